"""What a check has found: each broken rule once, with how often it was broken, and how much was looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from packager.conformance.rules import ALL_RULES, Violation

_LEVELS = ("MUST", "PLAYER", "SHOULD")


class Findings:
    """Collects violations. Of each rule the first is kept and the others are counted."""

    def __init__(self) -> None:
        self.first: dict[str, Violation] = {}
        self.counts: Counter[str] = Counter()
        self.looked_at: Counter[str] = Counter()
        """How many playlists, parts, … were checked."""
        self.notes: list[str] = []

    def add(self, violations: Iterable[Violation]) -> None:
        """Take in what broke a rule."""
        for violation in violations:
            self.first.setdefault(violation.rule.name, violation)
            self.counts[violation.rule.name] += 1

    @property
    def failed(self) -> bool:
        """Whether a rule is broken that is more than advice."""
        return any(violation.rule.level != "SHOULD" for violation in self.first.values())

    def report(self) -> str:
        """A text to read: what was checked, then each broken rule with its number, what it says, and the first case."""
        looked_at = ", ".join(f"{count} {what}" for what, count in sorted(self.looked_at.items()))
        lines = [f"checked: {looked_at or 'nothing'}; {len(ALL_RULES)} rules", *self.notes]
        broken = sorted(self.first.values(), key=lambda one: (_LEVELS.index(one.rule.level), one.rule.section))
        for violation in broken:
            rule = violation.rule
            lines += [
                "",
                f"{rule.level:6} {rule.section:9} {rule.name} ({self.counts[rule.name]} x)",
                f"       {rule.says}",
                f"       {violation.detail}",
            ]
        if not broken:
            lines.append("no rule is broken")
        return "\n".join(lines)

"""Rules and what breaks them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal, ParamSpec

Level = Literal["MUST", "SHOULD", "PLAYER"]
_P = ParamSpec("_P")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its section in the draft, its name, its level, and one sentence of what it says."""

    section: str
    name: str
    level: Level
    says: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that is broken; `detail` says where and by how much."""

    rule: Rule
    detail: str

    def __str__(self) -> str:
        return f"{self.rule.section} {self.rule.name} ({self.rule.level}): {self.detail}"


ALL_RULES: dict[str, Rule] = {}
"""Every rule by its name."""


class RuleSet(Generic[_P]):
    """Rules that look at the same things. A rule's function yields a text for each thing that breaks it."""

    def __init__(self) -> None:
        self._checks: list[tuple[Rule, Callable[_P, Iterable[str]]]] = []

    def rule(
        self, section: str, level: Level = "MUST"
    ) -> Callable[[Callable[_P, Iterable[str]]], Callable[_P, Iterable[str]]]:
        """Decorator: add this function as a rule. Its name and its docstring are the rule's."""

        def add(check: Callable[_P, Iterable[str]]) -> Callable[_P, Iterable[str]]:
            rule = new_rule(section, check.__name__.replace("_", "-"), level, (check.__doc__ or "").strip())
            self._checks.append((rule, check))
            return check

        return add

    def check(self, *args: _P.args, **kwargs: _P.kwargs) -> Iterator[Violation]:
        """Everything that breaks one of these rules."""
        for rule, check in self._checks:
            for detail in check(*args, **kwargs):
                yield Violation(rule, detail)


def new_rule(section: str, name: str, level: Level, says: str) -> Rule:
    """A rule in the table of all rules."""
    assert name not in ALL_RULES, name
    rule = ALL_RULES[name] = Rule(section, name, level, says)
    return rule

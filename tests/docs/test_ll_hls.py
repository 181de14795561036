"""docs/ll-hls.md names only tests that exist, and has one for each rule."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TABLE = (ROOT / "docs/ll-hls.md").read_text().partition("| section | rule | test |\n| --- | --- | --- |\n")[2]
RULES = TABLE[: TABLE.index("\n\n")].splitlines()
_NAMED = re.compile(r"`(?:((?:tests/)?[\w/]+\.py)|…)(?:::(test_\w+)(…?))?`")


def named() -> Iterator[tuple[str, str, bool]]:
    """File and test, or the beginning of its name; `…` stands for the file before."""
    for rule in RULES:
        file = ""
        for match in _NAMED.finditer(rule):
            file = match[1] or file
            yield file if file.startswith("tests/") else f"tests/packager/{file}", match[2] or "test_", bool(match[3])


@pytest.mark.parametrize(("file", "test", "is_beginning"), sorted(set(named())))
def test_a_test_that_is_named_exists(file: str, test: str, is_beginning: bool) -> None:
    end = "" if is_beginning or test == "test_" else r"\("
    assert re.search(rf"^(async )?def {test}{end}", (ROOT / file).read_text(), re.MULTILINE)


def test_every_rule_has_one() -> None:
    assert len(RULES) > 25
    assert not [rule for rule in RULES if _NAMED.search(rule) is None]

"""docs/security.md names only tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NAMED = re.findall(r"`(tests/[\w/]+\.py): (test_\w+)`", (ROOT / "docs/security.md").read_text())


@pytest.mark.parametrize(("file", "test"), sorted(set(NAMED)))
def test_a_test_that_is_named_exists(file: str, test: str) -> None:
    assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_every_threat_has_one() -> None:
    text = (ROOT / "docs/security.md").read_text()
    tables = re.findall(r"^\| threat \|.*\n\| --- .*\n((?:\|.*\n)+)", text, re.MULTILINE)
    threats = [row for table in tables for row in table.splitlines()]
    assert len(threats) > 20
    assert not [row for row in threats if "`tests/" not in row]

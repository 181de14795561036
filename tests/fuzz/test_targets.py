"""The fuzz targets in the ordinary tests: what was found before, changed seeds, and Hypothesis's bytes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.__main__ import FINDS
from tests.fuzz.targets import SEEDS, TARGETS

FOUND = sorted(path for path in FINDS.rglob("*") if path.is_file() and path.parent.name in TARGETS)
NAMES = list(TARGETS)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name[:20]}")
def test_what_was_found_stays_mended(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_seeds_cut_short_and_changed(name: str) -> None:
    chance = random.Random(name)
    for seed in SEEDS[name]:
        for end in range(len(seed) + 1):
            TARGETS[name](seed[:end])
        for _ in range(100):
            changed = bytearray(seed)
            for _ in range(chance.randint(1, 4)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            TARGETS[name](bytes(changed))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.binary(max_size=300))
def test_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name](data)

from __future__ import annotations

import pytest

from ingest.takeover import TakeoverRule


@pytest.mark.parametrize(("swaps", "needed_s"), [(0, 2.0), (1, 4.0), (2, 8.0), (5, 8.0)])
def test_each_swap_between_addresses_doubles_the_silence(swaps: int, needed_s: float) -> None:
    rule = TakeoverRule(2.0, 60.0)
    for index in range(swaps):
        rule.taken_over(float(index), same_address=False)
    assert not rule.allows(needed_s - 0.01, now_s=10.0, same_address=False)
    assert rule.allows(needed_s, now_s=10.0, same_address=False)
    assert rule.allows(2.0, now_s=10.0, same_address=True)


def test_swaps_are_forgotten() -> None:
    rule = TakeoverRule(2.0, 60.0)
    rule.taken_over(0.0, same_address=False)
    assert not rule.allows(2.0, now_s=60.0, same_address=False)
    assert rule.allows(2.0, now_s=60.1, same_address=False)


def test_an_encoder_that_returns_to_its_own_stream_counts_for_nothing() -> None:
    rule = TakeoverRule(2.0, 60.0)
    for index in range(5):
        rule.taken_over(float(index), same_address=True)
    assert rule.allows(2.0, now_s=5.0, same_address=False)

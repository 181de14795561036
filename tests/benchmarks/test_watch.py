"""How the players' benchmark counts stalls."""

from __future__ import annotations

import pytest

from benchmarks.players.watch import Watched
from benchmarks.reliability.players import Shown


def _watched(*spans_s: tuple[float, float]) -> Watched:
    """Ten pictures a second in these spans, in whole tenths."""
    watched = Watched("player")
    for from_s, until_s in spans_s:
        watched.shown += [Shown(tenth / 10, tenth / 10) for tenth in range(round(from_s * 10), round(until_s * 10) + 1)]
    return watched


def test_a_gap_between_pictures_is_a_stall() -> None:
    assert _watched((0, 5), (7, 9)).stalls_s() == pytest.approx([2.0])


def test_what_an_act_may_cost_is_taken_from_its_gap() -> None:
    watched = _watched((0, 5), (7, 9))
    watched.excused = [(4.9, 7.1)]
    assert watched.stalls_s() == []
    watched.excused = [(4.9, 6.0)]
    assert watched.stalls_s() == pytest.approx([1.0])


def test_a_player_that_shows_nothing_more_has_stalled_until_it_leaves() -> None:
    watched = _watched((0, 5))
    watched.left_s = [30.0]
    assert watched.stalls_s() == pytest.approx([25.0])

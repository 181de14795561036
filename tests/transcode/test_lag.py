from __future__ import annotations

import pytest

from transcode.lag import ArrivalLag, DriftCorrection, Slowdown


def test_the_lag_is_the_least_that_was_seen() -> None:
    lag = ArrivalLag()
    assert lag.lag_s == 0.0
    for index, late_s in enumerate([0.3, 0.1, 2.0, 0.2]):
        lag.observe(index + late_s, float(index))
    assert lag.lag_s == pytest.approx(0.1)


def test_a_stall_of_the_network_does_not_change_it() -> None:
    lag = ArrivalLag()
    for index in range(30):
        lag.observe(index * 0.033 + 0.05, index * 0.033)
    for index in range(30, 60):
        lag.observe(8.0, index * 0.033)
    assert lag.lag_s == pytest.approx(0.05)


@pytest.mark.parametrize("drift_ppm", [100, -100])
def test_it_follows_a_clock_that_drifts(drift_ppm: int) -> None:
    lag = ArrivalLag()
    for second in range(3600):
        lag.observe(float(second), second * (1 + drift_ppm / 1e6))
    assert lag.lag_s == pytest.approx(-3600 * drift_ppm / 1e6, abs=0.005)


@pytest.mark.parametrize("drift_ppm", [100, -100, 0])
def test_a_source_whose_clock_drifts_is_kept_at_the_pace_of_ours(drift_ppm: int) -> None:
    lag, drift = ArrivalLag(), DriftCorrection()
    largest_step_s = 0.0
    for tick in range(10 * 7200):
        arrival_s = tick / 10
        jitter_s = 0.004 * (tick % 7)
        before_s = drift.offset_s
        media_s = arrival_s * (1 + drift_ppm / 1e6) + before_s
        lag.observe(arrival_s + jitter_s, media_s)
        drift.follow(arrival_s + jitter_s, lag.lag_s)
        largest_step_s = max(largest_step_s, abs(drift.offset_s - before_s))
        assert media_s == pytest.approx(arrival_s, abs=0.02)
    assert largest_step_s <= 0.0005 * 0.2


def test_an_encoder_that_was_away_for_long_moves_nothing_at_once() -> None:
    drift = DriftCorrection()
    drift.follow(40.0, 0.0)
    drift.follow(100.0, 5.0)
    assert abs(drift.offset_s) <= 0.0005


def moves_s(late_s: list[float]) -> list[float]:
    """By how much a connection is moved whose packets, 20 a second, are so late."""
    lag, slowdown = ArrivalLag(), Slowdown()
    moved_s: list[float] = []
    for index, late in enumerate(late_s):
        media_s = index * 0.05 + sum(moved_s)
        if move := slowdown.late_s(index * 0.05 + late, media_s, lag.lag_s):
            moved_s.append(move)
        lag.observe(index * 0.05 + late, index * 0.05 + sum(moved_s))
    return moved_s


def test_a_connection_that_has_become_slower_for_good_is_moved_once() -> None:
    assert moves_s([0.0] * 100 + [0.9] * 100) == pytest.approx([0.9])


def test_a_stall_whose_packets_all_come_at_last_moves_nothing() -> None:
    stall = [4.0 - index * 0.05 for index in range(80)]
    assert moves_s([0.0] * 100 + stall + [0.0] * 100) == []


def test_jitter_below_what_is_held_for_moves_nothing() -> None:
    assert moves_s([0.0] * 100 + [0.4] * 200) == []

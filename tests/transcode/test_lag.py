from __future__ import annotations

import pytest

from transcode.lag import ArrivalLag, WallClock


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


def test_wall_time_follows_slowly_and_never_jumps() -> None:
    clock = WallClock(start_wall_s=1000.0, lag_s=0.0)
    clock.follow(0.0, 0.0)
    previous_s = clock.wall_s(0.0)
    for segment in range(1, 200):
        clock.follow(segment * 2.0, 0.05)
        wall_s = clock.wall_s(segment * 2.0)
        assert wall_s - previous_s == pytest.approx(2.0, abs=0.0011)
        previous_s = wall_s
    assert clock.wall_s(400.0) == pytest.approx(1400.05)

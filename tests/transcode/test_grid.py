from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcode.grid import FrameGrid

RATE_30 = Fraction(30)


def place_all(grid: FrameGrid, times_s: list[float]) -> list[list[int] | None]:
    return [None if (ticks := grid.place(time_s)) is None else list(ticks) for time_s in times_s]


@pytest.mark.parametrize(
    ("name", "times_ms", "expected"),
    [
        ("steady", [0, 33, 67, 100], [[0], [1], [2], [3]]),
        ("a missing frame repeats the one before", [0, 33, 100], [[0], [1], [2, 3]]),
        ("a surplus frame drops", [0, 33, 40, 67], [[0], [1], None, [2]]),
        ("jitter of 14 ms neither repeats nor drops", [0, 47, 53, 114], [[0], [1], [2], [3]]),
        ("of twice the rate every other", [0, 17, 33, 50, 67, 83, 100], [[0], None, [1], None, [2], None, [3]]),
        ("a late frame drops", [0, 100, 33, 133], [[0], [1, 2, 3], None, [4]]),
    ],
)
def test_each_frame_goes_to_its_tick(name: str, times_ms: list[int], expected: list[list[int] | None]) -> None:
    assert place_all(FrameGrid(RATE_30, 0.0), [time_ms / 1000 for time_ms in times_ms]) == expected


@pytest.mark.parametrize(
    "rate", [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(60)]
)
def test_a_steady_source_with_millisecond_timestamps_never_repeats_or_drops(rate: Fraction) -> None:
    grid = FrameGrid(rate, 5.0)
    times_s = [5.0 + round(index / float(rate) * 1000) / 1000 for index in range(5000)]
    assert place_all(grid, times_s) == [[index] for index in range(5000)]
    assert (grid.repeated, grid.dropped) == (0, 0)


@pytest.mark.parametrize("source_rate", [24, 25, 30, 50, 60])
@pytest.mark.parametrize("grid_rate", [24, 25, 30, 50, 60])
def test_what_a_source_of_any_rate_shows_is_at_most_35_ms_off(grid_rate: int, source_rate: int) -> None:
    """Sound is placed to the sample: this is by how much it may be apart from the picture."""
    worst_s = 0.0
    for phase in range(10):
        grid = FrameGrid(Fraction(grid_rate), 0.0)
        waiting_s: list[float] = []
        for index in range(200):
            time_s = phase / 10 / grid_rate + index / source_rate
            waiting_s.append(time_s)  # what happens in a frame is seen with the next one that is shown
            if (ticks := grid.place(round(time_s * 1000) / 1000)) is not None:
                if index > 60:
                    worst_s = max(worst_s, *(abs(ticks[-1] / grid_rate - happened_s) for happened_s in waiting_s))
                waiting_s.clear()
    assert worst_s <= 0.035


def test_a_rate_a_little_off_costs_one_frame_at_a_time() -> None:
    grid = FrameGrid(RATE_30, 0.0)
    seconds = 200
    for index in range(round(seconds * 29.97)):
        grid.place(round(index / 29.97 * 1000) / 1000)
    assert grid.repeated == pytest.approx(seconds * 0.03, abs=1)
    assert grid.dropped == 0


def test_fill_keeps_the_grid_ticking_without_a_source_and_the_source_falls_back_into_step() -> None:
    grid = FrameGrid(RATE_30, 0.0)
    grid.place(0.0)
    assert list(grid.fill(0.2)) == [1, 2, 3, 4, 5]
    assert list(grid.fill(0.2)) == []
    assert grid.place(0.1) is None
    assert list(grid.place(0.2) or ()) == [6]


@given(st.lists(st.floats(min_value=-1, max_value=20), max_size=100))
def test_every_tick_is_given_out_once_in_order(times_s: list[float]) -> None:
    grid = FrameGrid(RATE_30, 0.0)
    given_out = [tick for ticks in place_all(grid, times_s) if ticks is not None for tick in ticks]
    assert given_out == list(range(grid.next_tick))

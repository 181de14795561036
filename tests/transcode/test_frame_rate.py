from __future__ import annotations

from fractions import Fraction

import pytest

from transcode.frame_rate import STANDARD_RATES, enough_to_measure, grid_rate


def times(rate: float, count: int = 10) -> list[float]:
    return [round(index / rate * 1000) / 1000 for index in range(count)]


@pytest.mark.parametrize("rate", STANDARD_RATES)
def test_every_standard_rate_is_recognised_with_its_hint(rate: Fraction) -> None:
    assert grid_rate(times(float(rate)), float(rate)) == rate


@pytest.mark.parametrize("rate", [10, 12, 15, 20, 25, 48, 50])
def test_rates_without_a_close_neighbour_need_no_hint(rate: int) -> None:
    assert grid_rate(times(rate), None) == rate


@pytest.mark.parametrize("rate", [24, 30, 60])
def test_without_a_hint_one_of_the_two_neighbours_is_taken(rate: int) -> None:
    assert grid_rate(times(rate), None) in {Fraction(rate), Fraction(rate * 1000, 1001)}


@pytest.mark.parametrize(
    ("name", "times_s", "hint", "expected"),
    [
        ("a hint that contradicts the measurement is wrong", times(25), 60.0, 25),
        ("an absurd hint", times(30), 1000.0, 30),
        ("120 frames per second", times(120, 20), 120.0, 60),
        ("40 frames per second take the next rate above", times(40), None, 48),
        ("variable rate without a hint takes a rate above its average", [0, 0.02, 0.1, 0.117, 0.2, 0.217], None, 50),
        ("variable rate with a hint", [0, 0.1, 0.133, 0.3, 0.333, 0.5], 30.0, 30),
        ("a single frame with a hint", [0.0], 25.0, 25),
        ("a single frame without one", [0.0], None, 30),
        ("equal timestamps", [1.0, 1.0, 1.0], None, 30),
    ],
)
def test_grid_rate(name: str, times_s: list[float], hint: float | None, expected: int) -> None:
    assert grid_rate(times_s, hint) == expected


def test_enough_is_ten_frames_or_half_a_second() -> None:
    assert not enough_to_measure(times(30, 9))
    assert enough_to_measure(times(30, 10))
    assert not enough_to_measure([0.0, 0.3, 0.6])
    assert enough_to_measure([0.0, 0.2, 0.4, 0.6])

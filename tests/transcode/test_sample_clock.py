from __future__ import annotations

import numpy as np
import pytest

from transcode.sample_clock import Block, SampleClock

RATE_HZ = 48_000


def block(samples: int, value: float = 0.5) -> Block:
    return np.full((2, samples), value, dtype=np.float32)


def lengths(blocks: list[Block]) -> list[int]:
    return [piece.shape[1] for piece in blocks]


def test_blocks_in_step_pass_untouched() -> None:
    clock = SampleClock(RATE_HZ, 2)
    for index in range(100):
        assert lengths(clock.place(block(1024), index * 1024)) == [1024]
    assert (clock.silence_samples, clock.cut_samples) == (0, 0)


def test_a_gap_is_filled_with_silence_of_its_very_length() -> None:
    clock = SampleClock(RATE_HZ, 2)
    clock.place(block(1024), 0)
    silence, sound = clock.place(block(1024), 1024 + 4800)
    assert silence.shape == (2, 4800)
    assert not silence.any()
    assert sound.shape == (2, 1024)


def test_an_overlap_is_cut() -> None:
    clock = SampleClock(RATE_HZ, 2)
    clock.fill(4800)
    assert lengths(clock.place(block(1024), 4800 - 1000)) == [24]
    assert lengths(clock.place(block(1024), 1000)) == []
    assert clock.position == 4824


def test_sound_from_before_the_clock_starts_is_cut_to_the_sample() -> None:
    clock = SampleClock(RATE_HZ, 2)
    assert lengths(clock.place(block(1024), -300)) == [724]


def test_millisecond_timestamps_do_not_stretch() -> None:
    clock = SampleClock(44_100, 2)
    for index in range(2000):
        at = round(round(index * 1024 / 44_100 * 1000) / 1000 * 44_100)
        assert lengths(clock.place(block(1024), at)) == [1024]


@pytest.mark.parametrize("drift_ppm", [300, -300])
def test_a_drifting_source_stays_within_10_ms_without_silence_or_cuts(drift_ppm: int) -> None:
    clock = SampleClock(RATE_HZ, 2)
    for index in range(20_000):  # seven minutes
        at = round(index * 1024 * (1 + drift_ppm / 1e6))
        clock.place(block(1024), at)
        assert abs(clock.position - 1024 - at) < RATE_HZ * 0.010
    assert (clock.silence_samples, clock.cut_samples) == (0, 0)


def test_what_has_a_time_base_of_its_own_is_put_to_the_sample() -> None:
    clock = SampleClock(RATE_HZ, 2)
    clock.place(block(1024), 0)
    clock.resync()
    assert lengths(clock.place(block(1024), 1024 + 700)) == [700, 1024]

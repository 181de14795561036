from __future__ import annotations

import pytest

from transcode.timeline import WRAP_MS, ConnectionTimeline, signed_difference_ms


@pytest.mark.parametrize(
    ("later", "earlier", "expected"),
    [(10, 0, 10), (0, 10, -10), (5, WRAP_MS - 5, 10), (WRAP_MS - 5, 5, -10), (1 << 31, 0, -(1 << 31))],
)
def test_signed_difference(later: int, earlier: int, expected: int) -> None:
    assert signed_difference_ms(later, earlier) == expected


def drive(
    timeline: ConnectionTimeline, track: str, raw_ms: list[int], start_s: float = 0.0, step_s: float = 0.033
) -> list[float]:
    return [
        round(timeline.map(track, raw % WRAP_MS, start_s + index * step_s), 3) for index, raw in enumerate(raw_ms)
    ]  # fmt: skip


def test_a_source_that_starts_anywhere_starts_at_its_arrival() -> None:
    assert drive(ConnectionTimeline(), "video", [90_000, 90_033, 90_066], start_s=2.0) == [2.0, 2.033, 2.066]


def test_the_32_bit_wrap_is_no_jump() -> None:
    timeline = ConnectionTimeline()
    assert drive(timeline, "video", [WRAP_MS - 33, WRAP_MS, WRAP_MS + 33]) == [0.0, 0.033, 0.066]
    assert timeline.jumps == 0


def test_tracks_share_an_offset_so_that_sync_is_kept() -> None:
    timeline = ConnectionTimeline()
    timeline.map("video", 1000, 0.0)
    assert timeline.map("audio", 1010, 0.2) == pytest.approx(0.010)


def test_a_restart_at_zero_goes_on_at_the_arrival_and_keeps_sync() -> None:
    timeline = ConnectionTimeline()
    timeline.map("video", 500_000, 0.0)
    timeline.map("audio", 500_000, 0.0)
    timeline.map("video", 510_000, 10.0)
    timeline.map("audio", 510_010, 10.0)
    assert timeline.map("video", 0, 10.033) == pytest.approx(10.033)
    assert timeline.map("audio", 20, 10.1) == pytest.approx(10.053)
    assert timeline.jumps == 1


def test_a_jump_forward_that_nobody_waited_for_is_taken_out() -> None:
    timeline = ConnectionTimeline()
    timeline.map("video", 0, 0.0)
    assert timeline.map("video", 3_600_000, 0.033) == pytest.approx(0.033)


def test_a_real_pause_of_the_source_stays_a_pause() -> None:
    timeline = ConnectionTimeline()
    timeline.map("video", 0, 0.0)
    assert timeline.map("video", 8_000, 8.0) == pytest.approx(8.0)
    assert timeline.jumps == 0


def test_a_network_stall_and_the_burst_after_it_are_no_jump() -> None:
    timeline = ConnectionTimeline()
    timeline.map("video", 0, 0.0)
    mapped = [timeline.map("video", raw_ms, 8.0) for raw_ms in range(33, 8000, 33)]
    assert mapped == pytest.approx([raw_ms / 1000 for raw_ms in range(33, 8000, 33)])
    assert timeline.jumps == 0

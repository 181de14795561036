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


@pytest.mark.parametrize("jump_ms", [-500_000, -1_500, -1_030, 1_030, 2_000, 3_600_000, 1 << 30])
def test_both_tracks_make_the_same_jump(jump_ms: int) -> None:
    """By how much each track's own step differs from the jump is a matter of the frames that lie around it."""
    timeline = ConnectionTimeline()
    for at_ms in range(0, 6000, 20):
        raw_ms = 600_000 + at_ms + (jump_ms if at_ms >= 2000 else 0)
        if at_ms % 40 == 0:
            picture_s = timeline.map("video", raw_ms, at_ms / 1000)
        # Sound of before the jump arrives after it.
        sound_at_ms = at_ms - 100
        raw_ms = 600_000 + sound_at_ms + (jump_ms if sound_at_ms >= 2000 else 0)
        sound_s = timeline.map("audio", raw_ms, at_ms / 1000)
        if at_ms > 2200:
            assert picture_s == pytest.approx(at_ms // 40 * 40 / 1000, abs=0.12)
            assert sound_s == pytest.approx(picture_s - 0.1 + at_ms % 40 / 1000), "sound and picture are apart"
    assert timeline.jumps == 1


def test_a_gap_that_leads_back_to_the_present_is_no_jump() -> None:
    """An encoder that has waited for its network throws away what is old."""
    timeline = ConnectionTimeline()
    timeline.map("video", 0, 0.0)
    timeline.map("video", 33, 4.0)
    assert timeline.map("video", 3990, 4.0) == pytest.approx(3.99)
    assert timeline.jumps == 0


def test_a_connection_is_moved_with_both_its_tracks() -> None:
    timeline = ConnectionTimeline()
    timeline.map("video", 0, 0.0)
    timeline.map("audio", 0, 0.0)
    timeline.move(0.8)
    assert timeline.map("video", 1000, 1.8) == pytest.approx(1.8)
    assert timeline.map("audio", 1000, 1.8) == pytest.approx(1.8)


def test_a_track_that_jumps_elsewhere_than_the_other_is_put_where_it_arrived() -> None:
    hour_ms = 3_600_000
    timeline = ConnectionTimeline()
    for index in range(10):
        timeline.map("video", index * 40, index * 0.04)
        timeline.map("audio", index * 40, index * 0.04)
    assert timeline.map("video", 10 * hour_ms, 0.4) == pytest.approx(0.4)
    assert timeline.map("audio", 25 * hour_ms, 0.41) == pytest.approx(0.41)

from __future__ import annotations

import itertools
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.ladders import LADDERS
from packager.cuts import Cut, SourceCuts
from tests.packager.helpers import sample
from transcode.frame_rate import STANDARD_RATES
from transcode.plan import plan_cuts, plan_renditions, plan_source_parts

RATE_30 = Fraction(30)


def sizes(quality: str, width_px: int, height_px: int, rate: Fraction = RATE_30) -> list[tuple[str, int, int]]:
    planned = plan_renditions(LADDERS[quality].rungs, width_px, height_px, rate)
    return [(rendition.name, rendition.width_px, rendition.height_px) for rendition in planned]


@pytest.mark.parametrize(
    ("name", "quality", "source", "expected"),
    [
        ("720p", "standard", (1280, 720), [("720p", 1280, 720), ("480p", 854, 480), ("360p", 640, 360)]),
        ("1080p high", "high", (1920, 1080), [("1080p", 1920, 1080), ("720p", 1280, 720), ("480p", 854, 480)]),
        ("4K is scaled down", "standard", (3840, 2160), [("720p", 1280, 720), ("480p", 854, 480), ("360p", 640, 360)]),
        ("portrait", "standard", (720, 1280), [("720p", 720, 1280), ("480p", 480, 854), ("360p", 360, 640)]),
        ("square", "standard", (720, 720), [("720p", 720, 720), ("480p", 480, 480), ("360p", 360, 360)]),
        ("odd sizes become even", "standard", (641, 361), [("360p", 640, 360)]),
        ("between two rungs: the source is the top one", "standard", (1066, 600),
         [("600p", 1066, 600), ("480p", 852, 480), ("360p", 640, 360)]),
        ("a little above a rung", "standard", (900, 506), [("480p", 854, 480), ("360p", 640, 360)]),
        ("below the ladder", "standard", (320, 180), [("180p", 320, 180)]),
        ("720p in high", "high", (1280, 720), [("720p", 1280, 720), ("480p", 854, 480)]),
    ],
)  # fmt: skip
def test_the_ladder_never_scales_up(
    name: str, quality: str, source: tuple[int, int], expected: list[tuple[str, int, int]]
) -> None:
    assert sizes(quality, *source) == expected


def test_rungs_up_to_480p_have_at_most_30_frames_per_second() -> None:
    planned = plan_renditions(LADDERS["standard"].rungs, 1280, 720, Fraction(60))
    assert [rendition.ticks_per_frame for rendition in planned] == [1, 2, 2]
    planned = plan_renditions(LADDERS["standard"].rungs, 1280, 720, Fraction(30000, 1001))
    assert [rendition.ticks_per_frame for rendition in planned] == [1, 1, 1]


def test_a_source_between_rungs_gets_a_bitrate_between_theirs() -> None:
    top = plan_renditions(LADDERS["standard"].rungs, 1066, 600, RATE_30)[0]
    assert top.bitrate_bps == 2_100_000


def test_a_source_of_no_size_is_refused() -> None:
    with pytest.raises(ValueError, match="1x720"):
        plan_renditions(LADDERS["standard"].rungs, 1, 720, RATE_30)


@given(width_px=st.integers(2, 5000), height_px=st.integers(2, 5000))
def test_every_size_is_even_and_no_larger_than_the_source(width_px: int, height_px: int) -> None:
    for quality in LADDERS:
        for _name, width, height in sizes(quality, width_px, height_px):
            assert width % 2 == 0 and height % 2 == 0
            assert min(width, height) <= max(2, min(width_px, height_px))


@given(
    rate=st.sampled_from(STANDARD_RATES),
    segment_s=st.floats(1, 10),
    part_s=st.floats(0.1, 2),
    step_ticks=st.sampled_from([1, 2]),
)
def test_cuts_fall_on_frames_and_parts_keep_to_the_part_target(
    rate: Fraction, segment_s: float, part_s: float, step_ticks: int
) -> None:
    plan = plan_cuts(rate, segment_s, part_s, step_ticks)
    assert plan.segment_ticks % plan.gop_ticks == 0
    starts_s = [*plan.part_starts_s, plan.segment_s]
    assert starts_s[0] == 0
    durations_s = [later - earlier for earlier, later in itertools.pairwise(starts_s)]
    longest_s = max(durations_s)
    assert float(longest_s) <= plan.part_target_s
    for start_s, duration_s in zip(starts_s, durations_s, strict=False):
        assert (start_s * rate / step_ticks).denominator == 1
        if start_s % (plan.gop_ticks / rate) and start_s + duration_s < plan.segment_s:  # neither independent nor last
            assert duration_s >= Fraction(85, 100) * Fraction(plan.part_target_s)
    assert round(plan.segment_s) <= plan.target_duration_s
    audio_frames = ceil(longest_s * 48000 / 1024)
    assert audio_frames * 1024 / 48000 <= plan.part_target_s


@pytest.mark.parametrize("rate", STANDARD_RATES)
@pytest.mark.parametrize("step_ticks", [1, 2])
def test_a_session_begins_at_the_last_part_of_its_first_segment(rate: Fraction, step_ticks: int) -> None:
    plan = plan_cuts(rate, 2.0, 0.333, step_ticks)
    assert plan.lead_ticks / rate == plan.part_starts_s[-1]
    assert plan.lead_ticks % step_ticks == 0


@pytest.mark.parametrize(
    ("rate", "part_ticks"),
    [(Fraction(24), [8, 8, 8]), (Fraction(25), [9, 8, 8]), (Fraction(30), [10, 10, 10]), (Fraction(60), [20, 20, 20])],
)
def test_default_parts_of_common_rates(rate: Fraction, part_ticks: list[int]) -> None:
    plan = plan_cuts(rate, 2.0, 0.333)
    ticks = [int(start_s * rate) for start_s in plan.part_starts_s] + [plan.segment_ticks]
    assert [later - earlier for earlier, later in itertools.pairwise(ticks)] == part_ticks * 2


@pytest.mark.parametrize("rate", [Fraction(5), Fraction(10), Fraction(12), Fraction(15), Fraction(20), *STANDARD_RATES])
@pytest.mark.parametrize("part_s", [0.2, 0.333, 0.5, 1.0])
@pytest.mark.parametrize("audio_frame_s", [1024 / 48000, 1024 / 44100, 0.02])
def test_parts_of_a_source_fill_their_target_for_all_that_its_timestamps_jitter(
    rate: Fraction, part_s: float, audio_frame_s: float
) -> None:
    """Frames as RTMP has them, in milliseconds, rounded here up and there down."""
    video_s, target_s = plan_source_parts(part_s, float(1 / rate), [audio_frame_s])
    cuts = SourceCuts(60.0, video_s, 60.0, 90_000)
    times = [(floor(n * 1000 / rate) + (n * 7 % 3 == 0)) * 90 for n in range(400)]
    durations, begun = [], times[0]
    for at, after in itertools.pairwise(times):
        if cuts.before(sample(at, after - at)) is not Cut.NONE:
            durations.append((at - begun) / 90_000)
            begun = at
    assert durations and max(durations) <= video_s
    assert min(durations[1:] or durations) >= 0.85 * target_s
    # The audio of a part is the whole frames that begin within it.
    assert ceil(max(durations) / audio_frame_s - 1e-9) * audio_frame_s <= target_s + 1e-9

"""Where renditions are cut: by plan, by the source, and by following."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packager.cuts import Cut, CutPolicy, FollowedCuts, PlannedCuts, SourceCuts
from packager.samples import Sample
from tests.packager.helpers import sample
from transcode.frame_rate import STANDARD_RATES
from transcode.plan import CutPlan, plan_cuts

AUDIO_HZ = 48_000


def cut(policy: CutPolicy, samples: Iterable[Sample]) -> list[tuple[int, list[list[Sample]]]]:
    """Segments: media sequence number and parts."""
    segments: list[tuple[int, list[list[Sample]]]] = []
    for one in samples:
        made = policy.before(one)
        if made is Cut.SEGMENT or not segments:
            segments.append((policy.media_sequence, [[]]))
        elif made is Cut.PART:
            segments[-1][1].append([])
        segments[-1][1][-1].append(one)
    return segments


def planned(plan: CutPlan, timescale_hz: int, origin_s: Fraction) -> PlannedCuts:
    return PlannedCuts(plan.part_starts_s, plan.segment_s, timescale_hz, origin_s)


def joined(parts: list[list[Sample]]) -> list[Sample]:
    return list(itertools.chain.from_iterable(parts))


def length_s(samples: list[Sample], timescale_hz: int) -> float:
    return sum(one.duration for one in samples) / timescale_hz


plans = st.builds(
    plan_cuts,
    st.sampled_from(sorted(STANDARD_RATES)),
    st.sampled_from([1.0, 2.0, 4.0]),
    st.sampled_from([0.2, 0.333, 0.5, 1.0]),
    st.sampled_from([1, 2]),
)


def renditions(plan: CutPlan, step_ticks: int, seconds: int) -> tuple[Fraction, list[tuple[int, list[Sample]]]]:
    """Every video rendition's samples, the audio's last, with the media time at which the plan begins."""
    origin_ticks = plan.gop_ticks
    out = []
    for ticks in {1, step_ticks}:
        hz, duration = plan.rate.numerator, plan.rate.denominator * ticks
        count = int(seconds * plan.rate / ticks)
        first = origin_ticks * plan.rate.denominator
        out.append((hz, [sample(first + n * duration, duration) for n in range(count)]))
    origin_s = origin_ticks / plan.rate
    first = round(origin_s * AUDIO_HZ) - 1024
    out.append((AUDIO_HZ, [sample(first + n * 1024, 1024) for n in range(seconds * AUDIO_HZ // 1024)]))
    return origin_s, out


@settings(max_examples=60, deadline=None)
@given(plans)
def test_no_part_is_longer_than_the_part_target_and_no_segment_rounds_above_the_target_duration(plan: CutPlan) -> None:
    step_ticks = 2 if plan.gop_ticks % 2 == 0 and all((s * plan.rate) % 2 == 0 for s in plan.part_starts_s) else 1
    origin_s, tracks = renditions(plan, step_ticks, 12)
    for hz, samples in tracks:
        # The audio that lies before the first picture makes the very first audio part longer by that one frame.
        for _msn, parts in cut(planned(plan, hz, origin_s), samples)[1:]:
            for part in parts:
                assert length_s(part, hz) <= plan.part_target_s
            segment_s = length_s(joined(parts), hz)
            assert floor(segment_s + 0.5) <= plan.target_duration_s


@settings(max_examples=60, deadline=None)
@given(plans)
def test_all_renditions_are_cut_at_the_same_media_times(plan: CutPlan) -> None:
    step_ticks = 2 if plan.gop_ticks % 2 == 0 and all((s * plan.rate) % 2 == 0 for s in plan.part_starts_s) else 1
    origin_s, tracks = renditions(plan, step_ticks, 8)
    for hz, samples in tracks:
        frame_s = Fraction(samples[0].duration, hz)
        for msn, parts in cut(planned(plan, hz, origin_s), samples)[:-1]:
            assert len(parts) == len(plan.part_starts_s)
            for part, start_s in zip(parts, plan.part_starts_s, strict=True):
                late_s = Fraction(part[0].dts, hz) - origin_s - msn * plan.segment_s - start_s
                first = msn == 0 and start_s == 0
                assert 0 <= late_s < frame_s or (first and -frame_s <= late_s <= 0)
                if hz != AUDIO_HZ:
                    assert late_s == 0


@settings(max_examples=60, deadline=None)
@given(plans, st.integers(0, 400), st.integers(1, 400))
def test_the_media_sequence_number_goes_by_time_even_when_samples_are_lost(
    plan: CutPlan, lost_from: int, lost: int
) -> None:
    origin_s, tracks = renditions(plan, 1, 12)
    hz, samples = tracks[0]
    whole = {one.dts: msn for msn, parts in cut(planned(plan, hz, origin_s), samples) for one in joined(parts)}
    left = samples[:lost_from] + samples[lost_from + lost :]
    for msn, parts in cut(planned(plan, hz, origin_s), left):
        assert {whole[one.dts] for part in parts for one in part} == {msn}


@pytest.mark.parametrize("starts", [(), (Fraction(1, 2),), (Fraction(0), Fraction(2))])
def test_part_starts_outside_the_segment_are_refused(starts: tuple[Fraction, ...]) -> None:
    with pytest.raises(ValueError, match="2 s"):
        PlannedCuts(starts, Fraction(2), 90_000, Fraction(0))


def source(gop_s: float, seconds: float, durations: Iterable[int] = (3600,)) -> list[Sample]:
    """A source with a keyframe every `gop_s`."""
    samples, dts, next_keyframe = [], 90_000, 90_000.0
    for duration in itertools.cycle(durations):
        keyframe = dts >= next_keyframe
        next_keyframe += gop_s * 90_000 * keyframe
        samples.append(sample(dts, duration, keyframe=keyframe))
        dts += duration
        if dts >= 90_000 * (1 + seconds):
            return samples
    raise AssertionError


def source_cuts() -> SourceCuts:
    return SourceCuts(2.0, 0.334, 6, 90_000)


@pytest.mark.parametrize(("gop_s", "segment_s"), [(1, 2), (2, 2), (3, 3), (5, 5)])
def test_a_source_is_cut_at_its_first_keyframe_after_the_segment_length(gop_s: float, segment_s: float) -> None:
    segments = cut(source_cuts(), source(gop_s, 30))
    assert [msn for msn, _parts in segments] == list(range(len(segments)))
    assert all(parts[0][0].keyframe for _msn, parts in segments)
    lengths_s = [length_s(joined(parts), 90_000) for _msn, parts in segments]
    assert lengths_s[0] == gop_s, "the first segment ends at the first keyframe"
    assert set(lengths_s[1:-1]) == {segment_s}


def test_a_gop_longer_than_the_target_duration_is_cut_before_it() -> None:
    segments = cut(source_cuts(), source(10, 40))
    assert all(length_s(joined(parts), 90_000) <= 6 for _msn, parts in segments)
    assert [parts[0][0].keyframe for _msn, parts in segments[:4]] == [True, False, True, False]


@given(st.lists(st.integers(900, 12_000), min_size=1, max_size=9), st.sampled_from([1.0, 2.0, 10.0]))
def test_parts_of_a_variable_frame_rate_end_before_the_part_target_is_crossed(
    durations: list[int], gop_s: float
) -> None:
    samples = source(gop_s, 20, durations)
    segments = cut(source_cuts(), samples)
    assert [one for _msn, parts in segments for part in parts for one in part] == samples
    for _msn, parts in segments:
        assert length_s(joined(parts), 90_000) <= 6
        for part, following in itertools.pairwise(parts):
            assert length_s(part, 90_000) <= 0.334
            assert length_s([*part, following[0]], 90_000) > 0.334


def test_a_source_that_is_told_to_ends_its_segment_at_the_next_sample() -> None:
    cuts = source_cuts()
    samples = source(2, 1)
    assert [cuts.before(one) for one in samples[:2]] == [Cut.NONE, Cut.NONE]
    cuts.end_segment()
    assert cuts.before(samples[2]) is Cut.SEGMENT
    assert cuts.before(samples[3]) is Cut.NONE
    assert cuts.media_sequence == 1


def test_a_source_that_has_not_begun_has_no_segment_to_end() -> None:
    cuts = source_cuts()
    cuts.end_segment()
    assert [cuts.before(one) for one in source(2, 1)[:2]] == [Cut.NONE, Cut.NONE]
    assert cuts.media_sequence == 0


def follow(gop_s: float, seconds: float, audio: list[Sample]) -> tuple[list[float], list[tuple[int, float]]]:
    """Video's segment starts, and audio's media sequence numbers and segment starts; audio lags as it does live."""
    leader = source_cuts()
    video = cut(leader, source(gop_s, seconds))
    followed = cut(FollowedCuts(leader, AUDIO_HZ), audio)
    assert not leader.made
    return (
        [parts[0][0].dts / 90_000 for _msn, parts in video],
        [(msn, parts[0][0].dts / AUDIO_HZ) for msn, parts in followed],
    )


@pytest.mark.parametrize("gop_s", [1, 2, 10])
def test_audio_is_cut_where_the_video_was(gop_s: float) -> None:
    video_s, audio = follow(gop_s, 20, [sample(47_000 + n * 1024, 1024) for n in range(940)])
    assert [msn for msn, _start_s in audio] == list(range(len(video_s)))
    for (_msn, start_s), expected_s in list(zip(audio, video_s, strict=True))[1:]:
        assert 0 <= start_s - expected_s < 1024 / AUDIO_HZ


def test_audio_that_lost_whole_segments_gets_the_number_of_the_segment_it_goes_on_in() -> None:
    audio = [sample(48_000 + n * 1024, 1024) for n in range(940)]
    kept = [one for one in audio if not 3.5 < one.dts / AUDIO_HZ < 8.2]
    video_s, followed = follow(2, 20, kept)
    assert [msn for msn, _start_s in followed] == [0, 1, *range(3, len(video_s))]

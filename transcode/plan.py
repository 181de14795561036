"""What a session publishes: the renditions for this source, and where GOPs, parts and segments are cut."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from config.ladders import AUDIO_SAMPLE_RATE_HZ, GOP_S, Rung

_CLEARLY_TALLER = 1.1
_MIN_PART_FILL = 0.85
_AUDIO_FRAME_S = Fraction(1024, AUDIO_SAMPLE_RATE_HZ)
_SOURCE_JITTER_S = 0.004
"""More than what rounding to RTMP's milliseconds does to the duration of a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRendition:
    """One encoded rendition: its name, size in square pixels, bitrate, and how many grid ticks one frame spans."""

    name: str
    width_px: int
    height_px: int
    bitrate_bps: int
    ticks_per_frame: int


def plan_renditions(rungs: tuple[Rung, ...], width_px: int, height_px: int, rate: Fraction) -> list[PlannedRendition]:
    """The renditions for a source of this displayed size, tallest first. Never larger than the source.

    A source clearly taller than the best rung left becomes the top rung itself, at an interpolated bitrate.
    """
    if width_px < 2 or height_px < 2:
        raise ValueError(f"a source of {width_px}x{height_px} pixels is below the minimum of 2x2")
    short_px = min(width_px, height_px)
    kept = [rung for rung in rungs if rung.short_side_px <= short_px]
    if len(kept) < len(rungs) and (not kept or short_px > kept[0].short_side_px * _CLEARLY_TALLER):
        max_frame_rate = 60 if short_px > 480 else 30
        kept.insert(0, Rung(short_px // 2 * 2, _interpolated_bitrate_bps(rungs, short_px), max_frame_rate))
    return [
        PlannedRendition(
            name=rung.name,
            width_px=_even(width_px * rung.short_side_px / short_px),
            height_px=_even(height_px * rung.short_side_px / short_px),
            bitrate_bps=rung.bitrate_bps,
            ticks_per_frame=2 if rate > rung.max_frame_rate else 1,
        )
        for rung in kept
    ]


def _even(pixels: float) -> int:
    return max(2, round(pixels / 2) * 2)


def _interpolated_bitrate_bps(rungs: tuple[Rung, ...], short_px: int) -> int:
    below = next((rung for rung in rungs if rung.short_side_px <= short_px), None)
    above = next((rung for rung in reversed(rungs) if rung.short_side_px > short_px), None)
    if below is None:
        lowest = rungs[-1]
        return max(100_000, int(lowest.bitrate_bps * (short_px / lowest.short_side_px) ** 1.5))
    assert above is not None
    share = (short_px - below.short_side_px) / (above.short_side_px - below.short_side_px)
    return int(below.bitrate_bps + share * (above.bitrate_bps - below.bitrate_bps))


def plan_source_parts(part_s: float, frame_s: float, sounds_s: Iterable[float]) -> tuple[float, float]:
    """How long a part of passed-through video may be, and the part target: seconds in whole milliseconds.

    A part is as many frames as fit, and stays so when their timestamps jitter: with one frame less it would be below
    85 % of the part target. An audio part is the whole packets that begin within its video part; `sounds_s` are the
    durations that a packet may have. Below 0.2 s that alone may take the part target too far.
    """
    jitter_s = min(_SOURCE_JITTER_S, frame_s / 4)
    video_s = _up_to_ms(max(1, floor((part_s + jitter_s) / frame_s)) * frame_s + jitter_s)
    return video_s, _up_to_ms(max(video_s, *(longest_sound_s(video_s, sound_s) for sound_s in sounds_s)))


def longest_sound_s(video_s: float, sound_s: float) -> float:
    """How long the audio part can be of a video part of `video_s`: the whole packets of `sound_s` that begin in it."""
    return ceil(video_s / sound_s) * sound_s


def _up_to_ms(seconds: float) -> float:
    return ceil(round(seconds * 1000, 3)) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CutPlan:
    """Where every rendition is cut: ticks count grid frames, times are in seconds from a segment's start."""

    rate: Fraction
    gop_ticks: int
    segment_ticks: int
    part_starts_s: tuple[Fraction, ...]
    part_target_s: float
    target_duration_s: int

    @property
    def segment_s(self) -> Fraction:
        """Duration of a segment in seconds."""
        return self.segment_ticks / self.rate

    @property
    def lead_ticks(self) -> int:
        """Where in segment 0 a session begins: at its last part.

        The first segment is complete together with the first part then, which matters to players that show
        nothing before a whole segment is listed (hls.js), and published times lie above zero.
        """
        return int(self.part_starts_s[-1] * self.rate)


def plan_cuts(rate: Fraction, segment_s: float, part_s: float, step_ticks: int = 1) -> CutPlan:
    """GOPs of about one second, each cut into equal parts, segments of whole GOPs.

    `step_ticks` is the largest `ticks_per_frame` of the ladder: every cut falls on a frame of every rendition. Parts
    differ by at most one step, and none is below 85 % of the part target (draft-pantos-hls-rfc8216bis, 4.4.4.9).
    """
    gop_steps = max(1, round(float(rate) * GOP_S / step_ticks))
    step_s = step_ticks / rate
    wanted = min(gop_steps, max(1, round(float(gop_steps * step_s) / part_s)))
    parts = next(n for n in range(wanted, 0, -1) if n == 1 or _fills(gop_steps // n, -(-gop_steps // n), step_s))
    starts = [-(-gop_steps * index // parts) for index in range(parts)]
    sizes = [later - earlier for earlier, later in zip(starts, [*starts[1:], gop_steps], strict=True)]
    gops = max(1, round(segment_s / float(gop_steps * step_s)))
    return CutPlan(
        rate=rate,
        gop_ticks=gop_steps * step_ticks,
        segment_ticks=gops * gop_steps * step_ticks,
        part_starts_s=tuple((gop * gop_steps + start) * step_s for gop in range(gops) for start in starts),
        part_target_s=_part_target_s(max(sizes) * step_s),
        # Rounded as a player does it (4.4.3.1): a half goes up.
        target_duration_s=max(1, floor(gops * gop_steps * step_s + _AUDIO_FRAME_S + Fraction(1, 2))),
    )


def _part_target_s(longest_s: Fraction) -> float:
    """An audio part holds whole AAC frames, so it may be longer than its video part by less than one frame."""
    return ceil(ceil(longest_s / _AUDIO_FRAME_S) * _AUDIO_FRAME_S * 1000) / 1000


def _fills(least_steps: int, most_steps: int, step_s: Fraction) -> bool:
    """Whether a part of the fewer steps fills the target that one of the more steps makes."""
    return float(least_steps * step_s) >= _MIN_PART_FILL * _part_target_s(most_steps * step_s)

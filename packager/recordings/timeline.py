"""Where a recording has holes, in media time and in wall-clock time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from packager.recordings.recording import Recording
from packager.recordings.records import StoredSegment

GAP_MIN_S = 0.25
"""What is shorter is rounding, or the cut between two frames."""

GapReason = Literal["not_recorded", "no_media"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Time that a recording does not hold, by the wall clock.

    `not_recorded`: it was published and is not stored. `no_media`: nothing was published, the encoder was away.
    """

    start_ms: int
    duration_s: float
    reason: GapReason


def hole_s(before: StoredSegment, after: StoredSegment) -> float:
    """Media time between two segments that follow each other in a recording; 0 when they touch."""
    if after.discontinuities == before.discontinuities and after.msn != before.msn + 1:
        missing_s = after.start_s - before.start_s - before.duration_s
    elif after.msn != before.msn + 1:
        missing_s = wall_hole_s(before, after)
    else:
        missing_s = 0.0
    return missing_s if missing_s > GAP_MIN_S else 0.0


def wall_hole_s(before: StoredSegment, after: StoredSegment) -> float:
    """Wall-clock time between two segments; it has holes that media time has not, while an encoder is away."""
    return (after.program_date_time_ms - before.program_date_time_ms) / 1000 - before.duration_s


class GapFinder:
    """The gaps of one rendition. Feed it the segments in order."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []
        self._before: StoredSegment | None = None

    def feed(self, segment: StoredSegment) -> None:
        """Take in the next segment."""
        before, self._before = self._before, segment
        if before is None and segment.msn:
            # What came before is known by its number only: about as long as this one, each.
            length_s = segment.msn * segment.duration_s
            self._add(segment.program_date_time_ms - round(length_s * 1000), length_s, "not_recorded")
        elif before is not None and (length_s := wall_hole_s(before, segment)) > GAP_MIN_S:
            start_ms = before.program_date_time_ms + round(before.duration_s * 1000)
            self._add(start_ms, length_s, "no_media" if segment.msn == before.msn + 1 else "not_recorded")
        if segment.is_missing:
            self._add(segment.program_date_time_ms, segment.duration_s, "not_recorded")

    def _add(self, start_ms: int, duration_s: float, reason: GapReason) -> None:
        if self.gaps and self.gaps[-1].reason == reason:
            last = self.gaps[-1]
            if start_ms - (last.start_ms + last.duration_s * 1000) <= GAP_MIN_S * 1000:
                end_ms = start_ms + duration_s * 1000
                self.gaps[-1] = Gap(
                    start_ms=last.start_ms, duration_s=(end_ms - last.start_ms) / 1000, reason=reason
                )  # fmt: skip
                return
        self.gaps.append(Gap(start_ms=start_ms, duration_s=duration_s, reason=reason))


def union(found: Sequence[Sequence[Gap]]) -> list[Gap]:
    """The gaps of all renditions as one list: time that is missing in any of them."""
    merged: list[Gap] = []
    for gap in sorted((gap for gaps in found for gap in gaps), key=lambda gap: (gap.start_ms, -gap.duration_s)):
        last = merged[-1] if merged else None
        if last is not None and gap.reason == last.reason and gap.start_ms <= last.start_ms + last.duration_s * 1000:
            end_ms = max(last.start_ms + last.duration_s * 1000, gap.start_ms + gap.duration_s * 1000)
            merged[-1] = Gap(
                start_ms=last.start_ms, duration_s=(end_ms - last.start_ms) / 1000, reason=gap.reason
            )  # fmt: skip
        else:
            merged.append(gap)
    return merged


def missing_ends_s(segments: Sequence[StoredSegment]) -> tuple[float, float]:
    """For how long there is nothing before the first, and after the last segment that is stored; both are listed."""
    there = [index for index, segment in enumerate(segments) if not segment.is_missing]
    if not there:
        return 0.0, 0.0
    before, after = segments[: there[0] + 1], segments[there[-1] :]
    return _length_s(before) - before[-1].duration_s, _length_s(after) - after[0].duration_s


def _length_s(segments: Sequence[StoredSegment]) -> float:
    holes_s = sum(hole_s(before, after) for before, after in pairwise(segments))
    return holes_s + sum(segment.duration_s for segment in segments)


def lost_ends(recording: Recording) -> list[StoredSegment]:
    """What is missing at the end of renditions, where others go on: with it all of them have the same length.

    For a recording whose session's journal did not say what was published last.
    """
    renditions = {name: rendition.segments for name, rendition in recording.renditions.items()}
    ends = {name: segments[-1].msn if segments else -1 for name, segments in renditions.items()}
    longest = renditions[max(ends, key=lambda name: ends[name])] if ends else []
    return [
        segment._replace(
            rendition=name, init=renditions[name][-1].init if renditions[name] else "", size_bytes=0, crc32=0
        )
        for name, end in ends.items()
        for segment in longest
        if segment.msn > end
    ]


class Positions:
    """Where media times of the session are in the playlist of a recording, in seconds from its start."""

    def __init__(self, segments: Sequence[StoredSegment]) -> None:
        self._starts_s = [segment.start_s for segment in segments]
        self._segments = segments
        self._positions_s: list[float] = []
        self.duration_s = 0.0
        before: StoredSegment | None = None
        for segment in segments:
            if before is not None:
                self.duration_s += hole_s(before, segment)
            self._positions_s.append(self.duration_s)
            self.duration_s += segment.duration_s
            before = segment

    def at(self, media_s: float) -> float | None:
        """The position of this media time; None where the recording has nothing of it."""
        index = bisect_right(self._starts_s, media_s) - 1
        if index < 0:
            return None
        into_s = media_s - self._starts_s[index]
        return self._positions_s[index] + into_s if into_s < self._segments[index].duration_s else None

"""Where renditions are cut into parts and segments."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from enum import Enum
from fractions import Fraction
from typing import Protocol

from packager.samples import Sample

_SEGMENT_TOLERANCE_S = 0.05


class Cut(Enum):
    """What ends before a sample."""

    NONE = "none"
    PART = "part"
    SEGMENT = "segment"


class CutPolicy(Protocol):
    """Asked before each sample of one rendition, in decode order."""

    def before(self, sample: Sample) -> Cut:
        """What the samples so far form once this one is to come."""

    def media_sequence(self, sample: Sample) -> int | None:
        """The media sequence number that this sample's segment must have; None where segments just count up."""


class PlannedCuts:
    """Cuts at the same media times in every rendition, audio included: a sample belongs to the slot its DTS lies in.

    `part_starts_s` are the starts of the parts within one segment, from 0; media time `origin_s` starts segment 0.
    """

    def __init__(
        self, part_starts_s: Sequence[Fraction], segment_s: Fraction, timescale_hz: int, origin_s: Fraction
    ) -> None:
        if not part_starts_s or part_starts_s[0] != 0 or part_starts_s[-1] >= segment_s:
            raise ValueError(f"part starts must run from 0 to below the segment's {segment_s} s")
        # Whole ticks: the first sample at or after a boundary opens the next slot.
        self._starts = [-int(-start_s * timescale_hz // 1) for start_s in part_starts_s]
        self._segment = segment_s * timescale_hz
        self._origin = origin_s * timescale_hz
        self._slot: tuple[int, int] | None = None

    def before(self, sample: Sample) -> Cut:
        """See `CutPolicy.before`."""
        slot, previous = self._slot_of(sample), self._slot
        self._slot = slot
        if previous is None or slot == previous:
            return Cut.NONE
        return Cut.PART if slot[0] == previous[0] else Cut.SEGMENT

    def media_sequence(self, sample: Sample) -> int | None:
        """See `CutPolicy.media_sequence`."""
        return self._slot_of(sample)[0]

    def _slot_of(self, sample: Sample) -> tuple[int, int]:
        position = max(Fraction(0), sample.dts - self._origin)
        number = int(position // self._segment)
        within = position - number * self._segment
        return number, bisect_right(self._starts, within) - 1


class SourceCuts:
    """Cuts a passthrough rendition where its source allows: segments at keyframes, parts before the part target.

    A source whose GOP is longer than the target duration is cut there all the same, between keyframes.
    """

    def __init__(self, segment_s: float, part_target_s: float, target_duration_s: float, timescale_hz: int) -> None:
        self._segment = (segment_s - _SEGMENT_TOLERANCE_S) * timescale_hz
        self._part_target = part_target_s * timescale_hz
        self._target_duration = target_duration_s * timescale_hz
        self.timescale_hz = timescale_hz
        self._segment_start: int | None = None
        self._part_start = 0
        self.made: list[tuple[int, Cut]] = []
        """The cuts so far that nobody has followed yet: DTS in ticks, and what ended there."""

    def before(self, sample: Sample) -> Cut:
        """See `CutPolicy.before`."""
        if self._segment_start is None:
            self._segment_start = self._part_start = sample.dts
            return Cut.NONE
        end = sample.dts + sample.duration
        cut = Cut.NONE
        if (sample.keyframe and sample.dts - self._segment_start >= self._segment) or (
            end - self._segment_start > self._target_duration
        ):
            cut = Cut.SEGMENT
            self._segment_start = self._part_start = sample.dts
        elif end - self._part_start > self._part_target:
            cut = Cut.PART
            self._part_start = sample.dts
        if cut is not Cut.NONE:
            self.made.append((sample.dts, cut))
        return cut

    def media_sequence(self, sample: Sample) -> int | None:
        """See `CutPolicy.media_sequence`."""
        return None


class FollowedCuts:
    """Cuts a rendition at the media times at which `leader` was cut. Its samples must come after those of the leader.

    Of cuts that fall between two samples only the strongest is made.
    """

    def __init__(self, leader: SourceCuts, timescale_hz: int) -> None:
        self._leader = leader
        self._timescale_hz = timescale_hz

    def before(self, sample: Sample) -> Cut:
        """See `CutPolicy.before`."""
        made, cut = self._leader.made, Cut.NONE
        while made and sample.dts * self._leader.timescale_hz >= made[0][0] * self._timescale_hz:
            _dts, following = made.pop(0)
            if cut is not Cut.SEGMENT:
                cut = following
        return cut

    def media_sequence(self, sample: Sample) -> int | None:
        """See `CutPolicy.media_sequence`."""
        return None

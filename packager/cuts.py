"""Where renditions are cut into parts and segments."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
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


Slot = tuple[int, int]
"""A segment's number and the index of a part in it."""


class CutPolicy(Protocol):
    """Asked before each sample of one rendition, in decode order."""

    def before(self, sample: Sample) -> Cut:
        """What the samples so far form once this one is to come."""

    def after(self, sample: Sample) -> Cut:
        """What ends with the sample that `before` saw last, where that is known before the next one comes."""

    @property
    def media_sequence(self) -> int:
        """The media sequence number of the segment to which the sample belongs that `before` saw last."""


class PlannedCuts:
    """Cuts at the same media times in every rendition, audio included: a sample belongs to the slot its DTS lies in.

    `part_starts_s` are the starts of the parts within one segment, from 0; media time `origin_s` starts segment 0.
    """

    def __init__(
        self, part_starts_s: Sequence[Fraction], segment_s: Fraction, timescale_hz: int, origin_s: Fraction
    ) -> None:
        if not part_starts_s or part_starts_s[0] != 0 or part_starts_s[-1] >= segment_s:
            raise ValueError(f"part starts must run from 0 to below the segment's {segment_s} s")
        self._starts = [start_s * timescale_hz for start_s in part_starts_s]
        self._segment = segment_s * timescale_hz
        self._origin = origin_s * timescale_hz
        self._slot: Slot | None = None

    def before(self, sample: Sample) -> Cut:
        """See `CutPolicy.before`."""
        previous, self._slot = self._slot, self._slot_of(sample.dts)
        return _between(previous or self._slot, self._slot)

    def after(self, sample: Sample) -> Cut:
        """See `CutPolicy.after`. Nothing needs to wait for the next sample: the plan says where it belongs."""
        slot = self._slot_of(sample.dts)
        return _between(slot, self._slot_of(sample.dts + sample.duration))

    @property
    def media_sequence(self) -> int:
        """See `CutPolicy.media_sequence`. Goes by time: lost samples do not shift what follows."""
        return self._slot[0] if self._slot else 0

    def _slot_of(self, dts: int) -> Slot:
        position = max(Fraction(0), dts - self._origin)
        number = int(position // self._segment)
        return number, bisect_right(self._starts, position - number * self._segment) - 1


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
        self._first = 0
        self._part_start = 0
        self._slot: Slot = (0, 0)
        self._segment_over = False
        self.made: deque[tuple[int, Slot]] = deque()
        """The cuts so far that nobody has followed yet: DTS in ticks, and the slot that began there."""

    def go_on(self, slot: Slot, part_start: int | None = None, segment_start: int | None = None) -> None:
        """Another worker has come as far as this slot; it and its segment begin at these DTS, in ticks."""
        self._slot, self._segment_start, self._part_start = slot, segment_start, part_start or 0
        if segment_start is None:
            self._first = slot[0]

    def before(self, sample: Sample) -> Cut:
        """See `CutPolicy.before`."""
        if self._segment_start is None:
            self._segment_start = self._part_start = sample.dts
            return Cut.NONE
        previous, (segment, part) = self._slot, self._slot
        end = sample.dts + sample.duration
        # The first segment ends as soon as it can: some players show nothing before a whole segment is listed.
        wanted = min(self._segment, self._part_target) if segment == self._first else self._segment
        if (
            self._segment_over
            or (sample.keyframe and sample.dts - self._segment_start >= wanted)
            or end - self._segment_start > self._target_duration
        ):
            self._slot = (segment + 1, 0)
            self._segment_start = self._part_start = sample.dts
            self._segment_over = False
        elif end - self._part_start > self._part_target:
            self._slot = (segment, part + 1)
            self._part_start = sample.dts
        if self._slot != previous:
            self.made.append((sample.dts, self._slot))
        return _between(previous, self._slot)

    def after(self, sample: Sample) -> Cut:
        """See `CutPolicy.after`. Where a source cuts is known when it has cut."""
        return Cut.NONE

    @property
    def media_sequence(self) -> int:
        """See `CutPolicy.media_sequence`."""
        return self._slot[0]

    def end_segment(self) -> None:
        """The next sample begins a segment, keyframe or not."""
        self._segment_over = self._segment_start is not None


class FollowedCuts:
    """Cuts a rendition at the media times at which `leader` was cut. Its samples must come after those of the leader.

    Of cuts that fall between two samples only the strongest is made.
    """

    def __init__(self, leader: SourceCuts, timescale_hz: int) -> None:
        self._leader = leader
        self._timescale_hz = timescale_hz
        self._slot: Slot = (0, 0)

    def go_on(self, slot: Slot) -> None:
        """Another worker has come as far as this slot; cuts of the leader's that came after it are in `made`."""
        self._slot = slot

    def before(self, sample: Sample) -> Cut:
        """See `CutPolicy.before`."""
        made, previous = self._leader.made, self._slot
        while made and sample.dts * self._leader.timescale_hz >= made[0][0] * self._timescale_hz:
            _dts, self._slot = made.popleft()
        return _between(previous, self._slot)

    def after(self, sample: Sample) -> Cut:
        """See `CutPolicy.after`. The leader may not have cut yet."""
        return Cut.NONE

    @property
    def media_sequence(self) -> int:
        """See `CutPolicy.media_sequence`. The leader's: lost samples do not shift what follows."""
        return self._slot[0]


def _between(previous: Slot, slot: Slot) -> Cut:
    if slot == previous:
        return Cut.NONE
    return Cut.PART if slot[0] == previous[0] else Cut.SEGMENT

"""A session as the origin knows it: replayed from the records of its journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from packager.records import (
    EndRecord,
    OpenRecord,
    PartRecord,
    Record,
    RenditionRecord,
    RewrittenRecord,
    SegmentRecord,
    SessionRecord,
    ThumbnailRecord,
)

WINDOW_SEGMENTS = 6
"""A playlist never has fewer segments, once there are so many."""
LISTED_PARTS_TARGET_DURATIONS = 3
"""Parts farther than this from the end of a playlist leave it (draft-pantos-hls-rfc8216bis, 6.2.2)."""


@dataclass(slots=True)
class Segment:
    """A segment, complete or still open. The duration of an open one is 0. A `gap` was never made, or is lost."""

    msn: int
    program_date_time_ms: int
    discontinuity: bool
    discontinuities: int
    init: str
    parts: list[PartRecord] = field(default_factory=list)
    duration_s: float = 0.0
    complete: bool = False
    independent: bool = True
    gap: bool = False
    part_bytes: Sequence[int] = ()
    """The sizes of its parts, which its file holds one after the other."""
    text: str = ""
    """Its lines in a playlist, without its map and its parts, once they were rendered."""


@dataclass(slots=True)
class Rendition:
    """One rendition and the segments that are still known of it, oldest first. Only the last may be open."""

    info: RenditionRecord
    segments: deque[Segment] = field(default_factory=deque)
    kept_s: float = 0.0
    """The durations of the complete segments, summed."""
    dependent: int = 0
    """How many of the segments do not start with a keyframe."""

    @property
    def last_msn(self) -> int:
        """The media sequence number of the newest segment, open or complete; -1 before the first."""
        return self.segments[-1].msn if self.segments else -1

    @property
    def last_part(self) -> tuple[int, int] | None:
        """Media sequence number and index of the newest part; None before the first."""
        for segment in reversed(self.segments):
            if segment.parts:
                return segment.msn, segment.parts[-1].part
        return None

    @property
    def has_media(self) -> bool:
        """Whether a playlist of it can be played.

        In the middle of a session, where another node has left it, players want a whole segment first (hls.js 1.7.4).
        """
        first = next((segment for segment in self.segments if not segment.gap), None)
        return first is not None and (first.complete or (bool(first.parts) and first.msn == 0))

    @property
    def next_part(self) -> tuple[int, int]:
        """Media sequence number and index of the part that comes next."""
        if not self.segments:
            return 0, 0
        last = self.segments[-1]
        return (last.msn + 1, 0) if last.complete else (last.msn, len(last.parts))

    def segment(self, msn: int) -> Segment | None:
        """The segment of this media sequence number, if it is still known."""
        index = msn - self.segments[0].msn if self.segments else -1
        return self.segments[index] if 0 <= index < len(self.segments) else None

    def has_segment(self, msn: int) -> bool:
        """Whether this segment is complete, or will not come any more: a later one has begun."""
        return self.last_msn > msn or (self.last_msn == msn and self.segments[-1].complete)

    def has_part(self, msn: int, part: int) -> bool:
        """Whether this part, or a later one, exists. A part beyond a complete segment's last is the next's first."""
        if not self.segments:
            return False
        last = self.segments[-1]
        if msn >= last.msn:
            return msn == last.msn and part < len(last.parts)
        if msn < last.msn - 1 or last.parts or last.complete:
            return True
        return len(self.segments) > 1 and part < len(self.segments[-2].parts)


class Presentation:
    """One session. Feed it records in journal order."""

    def __init__(self) -> None:
        self.session: SessionRecord | None = None
        self.renditions: dict[str, Rendition] = {}
        self.ended = False

    def feed(self, records: Iterable[Record]) -> None:
        """Take in what the journal says. Raises `ValueError` when a record fits nothing before it."""
        for record in records:
            if isinstance(record, SessionRecord):
                self.session = record
            elif isinstance(record, RenditionRecord):
                known = self.renditions.get(record.name)
                if known is None:
                    self.renditions[record.name] = Rendition(record)
                else:
                    known.info = record
            elif isinstance(record, EndRecord):
                self.ended = True
            elif not isinstance(record, ThumbnailRecord | RewrittenRecord):
                self._feed_media(self._rendition(record.rendition), record)

    def _feed_media(self, rendition: Rendition, record: OpenRecord | PartRecord | SegmentRecord) -> None:
        segments = rendition.segments
        if isinstance(record, OpenRecord):
            self._open(rendition, record)
        elif isinstance(record, PartRecord):
            if not segments or segments[-1].msn != record.msn:
                raise ValueError(f"part {record.msn}.{record.part} of {record.rendition!r} is of no open segment")
            segment = segments[-1]
            if not segment.parts:
                self._set_independent(rendition, segment, record.independent)
            segment.parts.append(record)
        else:
            if not segments or segments[-1].msn != record.msn:
                # A compacted journal keeps no opening records of old segments.
                self._open(rendition, record)
            segment = segments[-1]
            segment.duration_s, segment.complete, segment.gap = record.duration_s, True, record.gap
            segment.part_bytes = tuple(record.part_bytes)
            self._set_independent(rendition, segment, record.independent)
            rendition.kept_s += record.duration_s
            self._forget_old(rendition)

    def _open(self, rendition: Rendition, record: OpenRecord | SegmentRecord) -> None:
        """Append a segment. Numbers that were left out become gaps: players count segments, not names."""
        assert self.session is not None
        segments = rendition.segments
        missing = range(segments[-1].msn + 1, record.msn) if segments else range(0)
        if missing:
            last = segments[-1]
            start_ms = last.program_date_time_ms + last.duration_s * 1000
            each_ms = (record.program_date_time_ms - start_ms) / len(missing)
            each_ms = min(max(each_ms, 1.0), self.session.target_duration_s * 1000)
            rendition.kept_s += len(missing) * each_ms / 1000
            for index, msn in enumerate(missing):
                segments.append(
                    Segment(
                        msn=msn,
                        program_date_time_ms=round(start_ms + index * each_ms),
                        discontinuity=False,
                        discontinuities=last.discontinuities,
                        init=last.init,
                        duration_s=each_ms / 1000,
                        complete=True,
                        gap=True,
                    )
                )
        segments.append(
            Segment(
                msn=record.msn,
                program_date_time_ms=record.program_date_time_ms,
                discontinuity=record.discontinuity,
                discontinuities=record.discontinuities,
                init=record.init,
            )
        )

    def _set_independent(self, rendition: Rendition, segment: Segment, independent: bool) -> None:
        rendition.dependent += segment.independent - independent
        segment.independent = independent

    def _forget_old(self, rendition: Rendition) -> None:
        """Leave at least the window: a segment goes when those after it fill the window alone. Its parts go before."""
        assert self.session is not None
        segments = rendition.segments
        while len(segments) > WINDOW_SEGMENTS and rendition.kept_s - segments[0].duration_s >= self.session.window_s:
            oldest = segments.popleft()
            rendition.kept_s -= oldest.duration_s
            rendition.dependent -= not oldest.independent
        after_s = 0.0
        for segment in reversed(segments):
            if after_s > self.session.target_duration_s * LISTED_PARTS_TARGET_DURATIONS:
                if not segment.parts:
                    break  # and neither has any before it
                segment.parts.clear()
            after_s += segment.duration_s

    def _rendition(self, name: str) -> Rendition:
        if self.session is None or name not in self.renditions:
            raise ValueError(f"a record of rendition {name!r} comes before the rendition itself")
        return self.renditions[name]

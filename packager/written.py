"""What a session has written so far, by its journal: enough to go on writing where it stopped, in another process."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from packager.journal import FILE_NAME, read_whole_lines
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
    decode_record,
)


@dataclass(slots=True)
class WrittenSegment:
    """A complete segment whose file is still there."""

    msn: int
    duration_s: float
    part_files: int


@dataclass(slots=True)
class WrittenRendition:
    """One rendition. Feed it its own records, in order."""

    info: RenditionRecord
    init: str = ""
    inits: int = 0
    discontinuities: int = 0
    open: OpenRecord | None = None
    """The segment that has begun and is not complete."""
    open_parts: list[PartRecord] = field(default_factory=list)
    segments: deque[WrittenSegment] = field(default_factory=deque)
    kept_s: float = 0.0
    """The durations of `segments`, summed."""
    parts_from: int = 0
    """The first media sequence number whose part files are still there."""
    next_msn: int = 0
    """The media sequence number of the open segment, or of the next."""
    next_s: float = 0.0
    """The media time at which the next part begins."""
    dated_until_ms: float = 0.0
    """The PROGRAM-DATE-TIME at which the newest complete segment ends, in Unix milliseconds."""
    starts: deque[tuple[float, tuple[int, int]]] = field(default_factory=lambda: deque(maxlen=64))
    """The media times at which the newest parts began, with media sequence number and index; the next part's too."""

    def feed(self, record: OpenRecord | PartRecord | SegmentRecord) -> None:
        """Take in what was written next."""
        if isinstance(record, OpenRecord):
            self.open, self.open_parts = record, []
            self.init, self.discontinuities = record.init, record.discontinuities
            self.next_msn, self.next_s = record.msn, record.start_s
            self._starts_at(record.start_s, (record.msn, 0))
        elif isinstance(record, PartRecord):
            if self.open is None or record.msn != self.open.msn:  # a compacted journal may begin within a segment
                return
            self.open_parts.append(record)
            self.next_s += record.duration_s
            self._starts_at(self.next_s, (record.msn, record.part + 1))
        elif not record.gap:
            if self.open is not None and self.open.msn == record.msn:
                self.next_s = self.open.start_s + record.duration_s
            self.segments.append(WrittenSegment(record.msn, record.duration_s, len(self.open_parts)))
            self.kept_s += record.duration_s
            self.init, self.discontinuities = record.init, record.discontinuities
            self.next_msn = record.msn + 1
            self.dated_until_ms = record.program_date_time_ms + record.duration_s * 1000
            self.open, self.open_parts = None, []
            self._starts_at(self.next_s, (self.next_msn, 0))

    def _starts_at(self, start_s: float, slot: tuple[int, int]) -> None:
        # The start of a part that turned out to be the next segment's first.
        if self.starts and self.starts[-1][0] >= start_s - 1e-6:
            self.starts.pop()
        self.starts.append((start_s, slot))


class WrittenSession:
    """A session, as far as it is written. Raises `ValueError` for records that make no session."""

    def __init__(self, records: Iterable[Record]) -> None:
        found: SessionRecord | None = None
        self.renditions: dict[str, WrittenRendition] = {}
        self.discontinuous: set[int] = set()
        self.ended = False
        for record in records:
            if isinstance(record, SessionRecord):
                found = record
            elif isinstance(record, RenditionRecord):
                self.renditions.setdefault(record.name, WrittenRendition(record)).info = record
            elif isinstance(record, EndRecord):
                self.ended = True
            elif isinstance(record, ThumbnailRecord | RewrittenRecord):
                continue
            elif record.rendition in self.renditions:
                self.renditions[record.rendition].feed(record)
                if isinstance(record, OpenRecord | SegmentRecord) and record.discontinuity:
                    self.discontinuous.add(record.msn)
            else:
                raise ValueError(f"a record of rendition {record.rendition!r} comes before the rendition itself")
        if found is None:
            raise ValueError("the journal holds no session")
        self.session = found

    @property
    def next_msn(self) -> int:
        """The first media sequence number that no rendition has begun."""
        return max(
            (written.next_msn + (written.open is not None) for written in self.renditions.values()), default=0
        )  # fmt: skip

    @property
    def media_s(self) -> float:
        """The media time up to which some rendition is published."""
        return max((written.next_s for written in self.renditions.values()), default=0.0)


def read_written(session_dir: Path) -> WrittenSession | None:
    """The session whose files are in this directory, begun or ended; None when there is none. Raises `ValueError`."""
    try:
        lines = read_whole_lines(session_dir / FILE_NAME)
    except FileNotFoundError:
        return None
    return WrittenSession(map(decode_record, lines)) if lines else None

"""What there is to say of a recording: how long, how large, what is missing. Kept up with each segment."""

from __future__ import annotations

from dataclasses import dataclass, field

from packager.recordings.recording import Recording
from packager.recordings.records import InitRecord, Line, StoredSegment
from packager.recordings.timeline import Gap, GapFinder, hole_s, union
from packager.records import RenditionRecord, ThumbnailRecord


@dataclass(slots=True)
class _Rendition:
    info: RenditionRecord
    gaps: GapFinder = field(default_factory=GapFinder)
    last: StoredSegment | None = None
    started_ms: int = 0
    duration_s: float = 0.0
    stored: int = 0


class Summary:
    """Feed it the records of a recording, the segments of each rendition in order."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self.thumbnails = 0
        self.nodes: frozenset[str] = frozenset()
        """Those whose journals are in it."""
        self._renditions: dict[str, _Rendition] = {}

    @classmethod
    def of(cls, recording: Recording) -> Summary:
        """The summary of a recording that was read."""
        summary = cls()
        summary.nodes = recording.nodes
        for rendition in recording.renditions.values():
            summary.feed(rendition.info)
            for init in rendition.inits.values():
                summary.feed(init)
            for segment in rendition.segments:
                summary.feed(segment)
        for thumbnail in recording.thumbnails:
            summary.feed(thumbnail)
        return summary

    def feed(self, line: Line) -> None:
        """Take in the next record."""
        if isinstance(line, RenditionRecord):
            self._renditions.setdefault(line.name, _Rendition(line)).info = line
        elif isinstance(line, InitRecord):
            self.size_bytes += line.size_bytes
        elif isinstance(line, ThumbnailRecord):
            self.thumbnails += 1
        elif isinstance(line, StoredSegment):
            rendition = self._renditions[line.rendition]
            if rendition.last is None:
                rendition.started_ms = line.program_date_time_ms
            else:
                rendition.duration_s += hole_s(rendition.last, line)
            rendition.duration_s += line.duration_s
            rendition.stored += not line.is_missing
            rendition.last = line
            rendition.gaps.feed(line)
            self.size_bytes += line.size_bytes

    @property
    def has_media(self) -> bool:
        """Whether anything is stored."""
        return any(rendition.stored for rendition in self._renditions.values())

    @property
    def started_ms(self) -> int | None:
        """The wall clock at the first frame, in Unix milliseconds; None before there is one."""
        return min((each.started_ms for each in self._renditions.values() if each.last is not None), default=None)

    @property
    def duration_s(self) -> float:
        """How long the recording plays, gaps included."""
        return max((rendition.duration_s for rendition in self._renditions.values()), default=0.0)

    @property
    def renditions(self) -> list[RenditionRecord]:
        """What there is to choose from."""
        return [rendition.info for rendition in self._renditions.values()]

    @property
    def gaps(self) -> list[Gap]:
        """What is missing in any rendition."""
        return union([rendition.gaps.gaps for rendition in self._renditions.values()])

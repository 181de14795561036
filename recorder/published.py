"""What a session has published and is not recorded yet, as its journal says."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from config.session import RECORDED_FILE
from packager.journal import FILE_NAME, JournalReader
from packager.recordings.recording import Recording
from packager.records import EndRecord, OpenRecord, RenditionRecord, SegmentRecord, SessionRecord, ThumbnailRecord


class Published:
    """Follows the journal of one session on this node."""

    def __init__(self, session_dir: Path) -> None:
        self.session: SessionRecord | None = None
        """What the session's first record says; None before it was seen."""
        self.waiting: deque[RenditionRecord | SegmentRecord | ThumbnailRecord] = deque()
        """What is to be recorded, in order."""
        self.has_ended = False
        self.is_gone = False
        self.left_out = 0
        """How many segments do not wait any more, because they are lost between two others."""
        self._session_dir = session_dir
        self._reader = JournalReader(session_dir / FILE_NAME, keep=True)
        self._starts_s: dict[tuple[str, int], float] = {}
        self._seen: dict[str, int] = {}  # the newest media sequence number that was taken in
        self._newest_thumbnail_s = -1.0

    @property
    def has_news(self) -> bool:
        """Whether there is anything to record, or to take in."""
        return bool(self.waiting) or self.has_grown

    @property
    def has_grown(self) -> bool:
        """Whether there is anything to take in."""
        return (self._session_dir / FILE_NAME).exists() if self.is_gone else self._reader.has_news()

    def take_in(self) -> None:
        """Read what is new. Raises `ValueError` when the journal can't be read."""
        try:
            _anew, records = self._reader.poll()
        except FileNotFoundError:
            # Before the first look it is only not there yet.
            self.is_gone = self.session is not None
            return
        if self.is_gone:
            self.is_gone = False
            (self._session_dir / RECORDED_FILE).unlink(missing_ok=True)
        for record in records:
            if isinstance(record, SessionRecord):
                self.session = record
            elif isinstance(record, RenditionRecord):
                self.waiting.append(record)
            elif isinstance(record, ThumbnailRecord) and record.start_s > self._newest_thumbnail_s:
                self._newest_thumbnail_s = record.start_s
                self.waiting.append(record)
            elif isinstance(record, OpenRecord):
                self._starts_s[record.rendition, record.msn] = record.start_s
            elif isinstance(record, EndRecord):
                self.has_ended = True
            elif isinstance(record, SegmentRecord) and not record.gap and self._is_new(record):
                self.waiting.append(record)

    def start_s(self, record: SegmentRecord) -> float | None:
        """When a segment begins in media time, if the journal has said it."""
        return self._starts_s.get((record.rendition, record.msn))

    def forget_start(self, record: SegmentRecord) -> None:
        """The segment is recorded."""
        self._starts_s.pop((record.rendition, record.msn), None)

    def lost(self, *, everything: bool = False) -> list[SegmentRecord]:
        """The waiting segments that can't be had any more, in order; with `everything` all that wait.

        Of each rendition only the first and the last of them go on waiting: where a number follows that is not the
        next one, who reads a recording finds the hole by itself, however long nothing can be stored.
        """
        lost: dict[str, list[SegmentRecord]] = {}
        there = set()
        for record in self.waiting:
            if isinstance(record, SegmentRecord) and record.rendition not in there:
                # The oldest go first.
                if not everything and (self._session_dir / record.rendition / f"{record.msn}.m4s").exists():
                    there.add(record.rendition)
                else:
                    lost.setdefault(record.rendition, []).append(record)
        between = {
            (record.rendition, record.msn)
            for records in lost.values()
            for before, record, after in zip(records, records[1:], records[2:], strict=False)
            if before.discontinuities == record.discontinuities == after.discontinuities
        }
        self.left_out += len(between)
        for place in between:
            self._starts_s.pop(place, None)
        self.waiting = deque(
            record
            for record in self.waiting
            if not isinstance(record, SegmentRecord) or (record.rendition, record.msn) not in between
        )
        found = [record for records in lost.values() for record in records]
        return [record for record in found if (record.rendition, record.msn) not in between]

    def leave_out(self, recording: Recording) -> None:
        """This is recorded already, here or by other nodes; what is missing in it may still be had."""
        done = set()
        for name, rendition in recording.renditions.items():
            for segment in rendition.segments:
                self._seen[name] = max(segment.msn, self._seen.get(name, -1))
                if not segment.is_missing:
                    done.add((name, segment.msn))
        newest_s = max((each.start_s for each in recording.thumbnails), default=-1.0)
        self.waiting = deque(
            record
            for record in self.waiting
            if not (isinstance(record, SegmentRecord) and (record.rendition, record.msn) in done)
            and not (isinstance(record, ThumbnailRecord) and record.start_s <= newest_s)
        )

    def close(self) -> None:
        """Stop following."""
        self._reader.close()

    def _is_new(self, record: SegmentRecord) -> bool:
        """Whether this segment was not taken in before; a rewritten journal is read from its start."""
        if record.msn <= self._seen.get(record.rendition, -1):
            return False
        self._seen[record.rendition] = record.msn
        return True

"""A recording that grows on this disk: what a session has published is copied into it and noted in its journal."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import structlog

from packager.publication import THUMBNAILS
from packager.recordings.fragments import BadFile, decode_time, timescale_hz
from packager.recordings.recording import Recording, read_recording
from packager.recordings.records import HeadRecord, InitRecord, Line, StoredSegment
from packager.recordings.summary import Summary
from packager.records import RenditionRecord, SegmentRecord, SessionRecord, ThumbnailRecord
from recorder.repair import repair
from recorder.spool import waiting
from recorder.storing import Disk, RecordingJournal
from recorder.tally import Tally

log = structlog.get_logger()


class RecordingWriter:
    """Takes up the recording where a crash may have left it. Everything here may raise `OSError`."""

    def __init__(
        self, session_dir: Path, session: SessionRecord, directory: Path, disk: Disk, node_id: str, tally: Tally
    ) -> None:
        self.directory = directory
        self._session_dir = session_dir
        self._disk = disk
        self._tally = tally
        self._stored: dict[str, StoredSegment] = {}  # the newest of each rendition
        self._missing: set[tuple[str, int]] = set()  # noted as missing
        self._is_summary_stale = False
        disk.recordings_dir.mkdir(parents=True, exist_ok=True)
        directory.mkdir(exist_ok=True)
        path = directory / f"{node_id}.jsonl"
        if path.exists():
            repair(path)
        self._journal = RecordingJournal(path)
        try:
            self.found = read_recording(directory)
            if self._journal.is_new:
                self._journal.append(*_first_lines(session, self.found))
        except OSError:
            self._journal.close()
            raise
        self._summary = Summary.of(self.found)
        self._renditions = {name: rendition.info for name, rendition in self.found.renditions.items()}
        self._inits: dict[tuple[str, str], int] = {}  # ticks a second by rendition and file
        for name, rendition in self.found.renditions.items():
            self._inits |= {(name, file): init.timescale_hz for file, init in rendition.inits.items()}
            for segment in rendition.segments:
                self._stored[name] = segment
                if segment.is_missing:
                    self._missing.add((name, segment.msn))

    def summary(self) -> Summary:
        """What there is to say of the recording; of all that it has after something was stored late."""
        if self._is_summary_stale:
            self.read_anew()
        return self._summary

    def known(self) -> Summary:
        """The same without a look at the disk."""
        return self._summary

    def read_anew(self) -> None:
        """What other nodes have recorded meanwhile is in their journals."""
        self._summary = Summary.of(read_recording(self.directory))
        self._is_summary_stale = False

    def note(self, info: RenditionRecord) -> None:
        """The session has this rendition."""
        if self._renditions.get(info.name) != info:
            self.append(info)
            self._renditions[info.name] = info

    def store_thumbnail(self, record: ThumbnailRecord) -> None:
        """Store a sheet as it is now."""
        try:
            data = (self._session_dir / THUMBNAILS / record.sheet).read_bytes()
        except FileNotFoundError:
            return
        (self.directory / THUMBNAILS).mkdir(exist_ok=True)
        self._disk.replace(self.directory / THUMBNAILS / record.sheet, data)
        self.append(record)

    def store(self, record: SegmentRecord, start_s: float | None) -> bool:
        """Store a segment that begins there in media time; False when it can't be had any more, which is noted."""
        place = record.rendition, record.msn
        data: bytes | None = None
        if self._store_init(record.rendition, record.init):
            with suppress(FileNotFoundError):
                data = (self._session_dir / record.rendition / f"{record.msn}.m4s").read_bytes()
        if not data and place in self._missing:
            return False
        crc32 = self._disk.store(self.directory / record.rendition / f"{record.msn}.m4s", data) if data else 0
        segment = missing_segment(record, start_s if start_s is not None else self._start_s(record, data))
        if data:
            segment = segment._replace(size_bytes=len(data), crc32=crc32)
        self.append(segment)
        # One that was noted as missing by an earlier run, and is there after all.
        self._is_summary_stale |= place in self._missing
        self._stored[record.rendition] = segment
        self._tally.count(segment)
        return not segment.is_missing

    def missing(self, record: SegmentRecord, start_s: float | None) -> StoredSegment:
        """The line of a segment that can't be had."""
        return missing_segment(record, start_s if start_s is not None else self._start_s(record, None))

    def append(self, *lines: Line) -> None:
        """Write records, all of them or none."""
        self._journal.append(*lines)
        for line in lines:
            self._take_in(line)

    def _take_in(self, line: Line) -> None:
        self._summary.feed(line)
        if self._disk.spool is not None and isinstance(line, StoredSegment | InitRecord) and line.size_bytes:
            self._disk.spool.add(waiting(self.directory.name, line))

    def close(self) -> None:
        """Close the journal's file."""
        self._journal.close()

    def _store_init(self, rendition: str, file: str) -> bool:
        """Whether the init segment is there."""
        if (rendition, file) in self._inits:
            return True
        try:
            data = (self._session_dir / rendition / file).read_bytes()
            ticks_hz = timescale_hz(data)
        except (FileNotFoundError, BadFile) as error:
            log.error("init_missed", recording_id=self.directory.name, rendition=rendition, file=file, error=str(error))
            return False
        (self.directory / rendition).mkdir(exist_ok=True)
        crc32 = self._disk.store_small(self.directory / rendition / file, data)
        self.append(
            InitRecord(rendition=rendition, file=file, timescale_hz=ticks_hz, size_bytes=len(data), crc32=crc32)
        )
        self._inits[rendition, file] = ticks_hz
        return True

    def _start_s(self, record: SegmentRecord, data: bytes | None) -> float:
        """Where the segment begins in media time: by the media, else where the last one ended."""
        if data is not None:
            try:
                return decode_time(data) / self._inits[record.rendition, record.init]
            except BadFile as error:
                log.error("segment_not_readable", recording_id=self.directory.name, msn=record.msn, error=str(error))
        before = self._stored.get(record.rendition)
        if before is None:
            return record.msn * record.duration_s
        return before.start_s + before.duration_s + (record.msn - before.msn - 1) * record.duration_s


def missing_segment(record: SegmentRecord, start_s: float) -> StoredSegment:
    """The line of a published segment that is not stored."""
    return StoredSegment(
        rendition=record.rendition,
        msn=record.msn,
        start_s=round(start_s, 6),
        duration_s=round(record.duration_s, 6),
        program_date_time_ms=record.program_date_time_ms,
        discontinuities=record.discontinuities,
        init=record.init,
        independent=record.independent,
        size_bytes=0,
        crc32=0,
    )


def _first_lines(session: SessionRecord, recording: Recording) -> list[Line]:
    """How a journal begins, which can be read before those of the other nodes: with all that theirs have declared."""
    head = HeadRecord(
        edge_id=session.edge_id, session_id=session.session_id, target_duration_s=session.target_duration_s
    )
    renditions = recording.renditions.values()
    inits = [init for rendition in renditions for init in rendition.inits.values()]
    return [head, *(rendition.info for rendition in renditions), *inits]

"""One session that is recorded: its journal is followed, what it names is stored, and what can't be is noted.

All of this blocks on disks, and runs in a thread.
"""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

import structlog

from config.session import RECORDED_FILE
from packager.journal import FILE_NAME, JournalReader
from packager.publication import THUMBNAILS
from packager.recordings.fragments import BadFile, decode_time, timescale_hz
from packager.recordings.recording import JOURNALS, Recording, read_recording, recording_id_of
from packager.recordings.records import HeadRecord, InitRecord, Line, OverRecord, StoredSegment
from packager.recordings.summary import Summary
from packager.records import EndRecord, OpenRecord, RenditionRecord, SegmentRecord, SessionRecord, ThumbnailRecord
from recorder.repair import repair
from recorder.spool import waiting
from recorder.storing import Disk, RecordingJournal

log = structlog.get_logger()

OVER, MOVED = "over", "moved"
"""What the file `RECORDED_FILE` holds: the session is over, or goes on on another node, from which it may come back."""


class RecordedSession:
    """Follows one session on this node: `step` again and again."""

    def __init__(self, session_dir: Path, disk: Disk, node_id: str) -> None:
        self.session_dir = session_dir
        self.session_id = session_dir.name
        self.edge_id = session_dir.parent.name
        self.recording_id = recording_id_of(self.session_id)
        self.directory = disk.recordings_dir / self.recording_id
        self.summary = Summary()
        self.problem = ""
        """Why nothing can be stored at the moment; empty when all is well."""
        self.has_ended = False
        """Whether the session's journal says that nothing follows."""
        self.is_gone = False
        """Whether the session's journal is no longer here: it goes on elsewhere, or was removed."""
        self._disk = disk
        self._node_id = node_id
        self._journal: RecordingJournal | None = None
        self._reader = JournalReader(session_dir / FILE_NAME, keep=True)
        self._session: SessionRecord | None = None
        self._pending: deque[RenditionRecord | SegmentRecord | ThumbnailRecord] = deque()
        self._starts_s: dict[tuple[str, int], float] = {}
        self._stored: dict[str, StoredSegment] = {}  # the newest of each rendition
        self._missing: set[tuple[str, int]] = set()  # noted as missing
        self._newest_thumbnail_s = -1.0
        self._missed_now = 0
        self._is_summary_stale = False
        self._stepping = threading.Lock()
        self._renditions: dict[str, RenditionRecord] = {}
        self._inits: dict[tuple[str, str], int] = {}  # ticks a second by rendition and file
        self._seen: dict[str, int] = {}  # the newest media sequence number that was taken in

    @property
    def has_news(self) -> bool:
        """Whether a step would do anything."""
        if self.is_gone:
            return bool(self._pending) or (self.session_dir / FILE_NAME).exists()
        return bool(self._pending) or self._reader.has_news()

    @property
    def is_recorded(self) -> bool:
        """Whether the session is to be recorded at all; False as long as nothing is known."""
        return self._session is not None and self._session.recording

    @property
    def is_known(self) -> bool:
        """Whether the session's record was seen."""
        return self._session is not None

    @property
    def is_complete(self) -> bool:
        """Whether everything that is known to be published was stored, or noted as missing."""
        return not self._pending

    def step(self) -> int:
        """Store what is new; how many files it was. What goes wrong is in `problem`, and tried again next time.

        A step that is still on its way in another thread, whose caller was cancelled, is waited for.
        """
        with self._stepping:
            return self._step()

    def _step(self) -> int:
        self._take_in()
        if not self.is_recorded:
            self._pending.clear()
            return 0
        files = self._missed_now = 0
        try:
            journal = self._open()
            while self._pending:
                record = self._pending[0]
                if isinstance(record, RenditionRecord):
                    self._note(journal, record)
                elif isinstance(record, ThumbnailRecord):
                    self._store_thumbnail(journal, record)
                else:
                    self._store(journal, record)
                    files += 1
                self._pending.popleft()
            if self._is_summary_stale:
                self.summary = Summary.of(read_recording(self.directory))
                self._is_summary_stale = False
        except OSError as error:
            self._set_problem(error.strerror or str(error))
        else:
            self._set_problem("")
        if self._missed_now:
            log.error("segments_missed", recording_id=self.recording_id, files=self._missed_now)
        return files

    def finish(self) -> Summary:
        """The session is over: close the recording. Raises `OSError`, and can be tried again."""
        journal = self._open()
        journal.append(OverRecord())
        self.leave()
        self.mark(OVER)
        if len(list(self.directory.glob(JOURNALS))) > 1:
            # What other nodes have recorded meanwhile is in their journals.
            self.summary = Summary.of(read_recording(self.directory))
        return self.summary

    def leave(self) -> None:
        """Stop following: another node records the rest."""
        self._reader.close()
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def mark(self, why: str) -> None:
        """Let ingest know that the session's files are not needed here any more."""
        if self.session_dir.is_dir():
            (self.session_dir / RECORDED_FILE).write_text(why)

    def _take_in(self) -> None:
        try:
            _anew, records = self._reader.poll()
        except FileNotFoundError:
            # Before the first look it is only not there yet.
            self.is_gone = self._session is not None
            return
        if self.is_gone:
            self.is_gone = False
            (self.session_dir / RECORDED_FILE).unlink(missing_ok=True)
        for record in records:
            if isinstance(record, SessionRecord):
                self._session = record
            elif isinstance(record, RenditionRecord):
                self._pending.append(record)
            elif isinstance(record, ThumbnailRecord) and record.start_s > self._newest_thumbnail_s:
                self._newest_thumbnail_s = record.start_s
                self._pending.append(record)
            elif isinstance(record, OpenRecord):
                self._starts_s[record.rendition, record.msn] = record.start_s
            elif isinstance(record, EndRecord):
                self.has_ended = True
            elif isinstance(record, SegmentRecord) and self._is_new(record):
                self._pending.append(record)

    def _is_new(self, record: SegmentRecord) -> bool:
        """Whether this segment was not taken in before; a rewritten journal is read from its start."""
        if record.msn <= self._seen.get(record.rendition, -1):
            return False
        self._seen[record.rendition] = record.msn
        return True

    def _open(self) -> RecordingJournal:
        """The recording's journal of this node, taken up where a crash may have left it."""
        if self._journal is not None:
            return self._journal
        assert self._session is not None
        self._disk.recordings_dir.mkdir(parents=True, exist_ok=True)
        self.directory.mkdir(exist_ok=True)
        path = self.directory / f"{self._node_id}.jsonl"
        if path.exists():
            repair(path)
        journal = RecordingJournal(path)
        try:
            recording = read_recording(self.directory)
            if journal.is_new:
                journal.append(*_first_lines(self._session, recording))
            self._take_up(recording)
        except OSError:
            journal.close()
            raise
        self._journal = journal
        return journal

    def _take_up(self, recording: Recording) -> None:
        """What is recorded already, here or by other nodes, and what could still be had of what is missing."""
        self.summary = Summary.of(recording)
        for name, rendition in recording.renditions.items():
            self._renditions[name] = rendition.info
            self._inits |= {(name, file): init.timescale_hz for file, init in rendition.inits.items()}
            for segment in rendition.segments:
                self._stored[name] = segment
                if segment.is_missing:
                    self._missing.add((name, segment.msn))
        done = {
            (name, segment.msn)
            for name, rendition in recording.renditions.items()
            for segment in rendition.segments
            if not segment.is_missing
        }
        self._pending = deque(
            record
            for record in self._pending
            if not isinstance(record, SegmentRecord) or (record.rendition, record.msn) not in done
        )
        if recording.thumbnails:
            newest_s = max(each.start_s for each in recording.thumbnails)
            self._pending = deque(
                record
                for record in self._pending
                if not isinstance(record, ThumbnailRecord) or record.start_s > newest_s
            )
        for name, segment in self._stored.items():
            self._seen[name] = max(segment.msn, self._seen.get(name, -1))

    def _note(self, journal: RecordingJournal, info: RenditionRecord) -> None:
        if self._renditions.get(info.name) != info:
            (self.directory / info.name).mkdir(exist_ok=True)
            self._append(journal, info)
            self._renditions[info.name] = info

    def _store_thumbnail(self, journal: RecordingJournal, record: ThumbnailRecord) -> None:
        try:
            data = (self.session_dir / THUMBNAILS / record.sheet).read_bytes()
        except FileNotFoundError:
            return
        (self.directory / THUMBNAILS).mkdir(exist_ok=True)
        self._disk.replace(self.directory / THUMBNAILS / record.sheet, data)
        self._append(journal, record)

    def _store(self, journal: RecordingJournal, record: SegmentRecord) -> None:
        source = self.session_dir / record.rendition
        place = record.rendition, record.msn
        has_init = self._store_init(journal, record.rendition, record.init)
        data: bytes | None = None
        if has_init:
            try:
                data = (source / f"{record.msn}.m4s").read_bytes()
            except FileNotFoundError:
                self._missed_now += 1
        if not data and place in self._missing:
            return
        crc32 = self._disk.store(self.directory / record.rendition / f"{record.msn}.m4s", data) if data else 0
        segment = StoredSegment(
            rendition=record.rendition,
            msn=record.msn,
            start_s=round(self._start_s(record, data), 6),
            duration_s=round(record.duration_s, 6),
            program_date_time_ms=record.program_date_time_ms,
            discontinuities=record.discontinuities,
            init=record.init,
            independent=record.independent,
            size_bytes=len(data) if data else 0,
            crc32=crc32,
        )
        self._append(journal, segment)
        # One that was noted as missing by an earlier run, and is there after all.
        self._is_summary_stale |= place in self._missing
        self._stored[record.rendition] = segment
        self._starts_s.pop(place, None)

    def _store_init(self, journal: RecordingJournal, rendition: str, file: str) -> bool:
        """Whether the init segment is there."""
        if (rendition, file) in self._inits:
            return True
        try:
            data = (self.session_dir / rendition / file).read_bytes()
            ticks_hz = timescale_hz(data)
        except (FileNotFoundError, BadFile) as error:
            log.error("init_missed", recording_id=self.recording_id, rendition=rendition, file=file, error=str(error))
            return False
        crc32 = self._disk.store(self.directory / rendition / file, data)
        init = InitRecord(
            rendition=rendition, file=file, timescale_hz=ticks_hz, size_bytes=len(data), crc32=crc32
        )  # fmt: skip
        self._append(journal, init)
        self._inits[rendition, file] = ticks_hz
        return True

    def _start_s(self, record: SegmentRecord, data: bytes | None) -> float:
        """Where the segment begins in media time: by the journal, else by the media, else where the last one ended."""
        known = self._starts_s.get((record.rendition, record.msn))
        if known is not None:
            return known
        if data is not None:
            try:
                return decode_time(data) / self._inits[record.rendition, record.init]
            except BadFile as error:
                log.error("segment_not_readable", recording_id=self.recording_id, msn=record.msn, error=str(error))
        before = self._stored.get(record.rendition)
        if before is None:
            return record.msn * record.duration_s
        return before.start_s + before.duration_s + (record.msn - before.msn - 1) * record.duration_s

    def _append(self, journal: RecordingJournal, line: Line) -> None:
        journal.append(line)
        self.summary.feed(line)
        if self._disk.spool is not None and isinstance(line, StoredSegment | InitRecord) and line.size_bytes:
            self._disk.spool.add(waiting(self.recording_id, line))

    def _set_problem(self, problem: str) -> None:
        if problem and not self.problem:
            log.error("recording_stalled", recording_id=self.recording_id, error=problem, waiting=len(self._pending))
        elif self.problem and not problem:
            log.warning("recording_goes_on", recording_id=self.recording_id)
        self.problem = problem


def _first_lines(session: SessionRecord, recording: Recording) -> list[Line]:
    """How a journal begins, which can be read before those of the other nodes: with all that theirs have declared."""
    head = HeadRecord(
        edge_id=session.edge_id, session_id=session.session_id, target_duration_s=session.target_duration_s
    )
    renditions = recording.renditions.values()
    inits = [init for rendition in renditions for init in rendition.inits.values()]
    return [head, *(rendition.info for rendition in renditions), *inits]

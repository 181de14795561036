"""One session that is recorded: what it publishes is stored, and what can't be is noted.

All of this blocks on disks, and runs in a thread.
"""

from __future__ import annotations

import copy
import errno
import threading
import time
from pathlib import Path

import structlog

from config.session import RECORDED_FILE
from packager.recordings.recording import JOURNALS, recording_id_of
from packager.recordings.records import Line, OverRecord, StoredSegment
from packager.recordings.summary import Summary
from packager.records import RenditionRecord, SegmentRecord, ThumbnailRecord
from recorder.published import Published
from recorder.spool import SpoolFull
from recorder.storing import Disk
from recorder.tally import Tally
from recorder.writing import RecordingWriter, missing_segment

log = structlog.get_logger()

OVER, MOVED = "over", "moved"
"""What the file `RECORDED_FILE` holds: the session is over, or goes on on another node, from which it may come back."""


class RecordedSession:
    """Follows one session on this node: `step` again and again."""

    def __init__(self, session_dir: Path, disk: Disk, node_id: str, tally: Tally | None = None) -> None:
        self.session_dir = session_dir
        self.session_id = session_dir.name
        self.edge_id = session_dir.parent.name
        self.recording_id = recording_id_of(self.session_id)
        self.directory = disk.recordings_dir / self.recording_id
        self.summary = Summary()
        self.problem = ""
        """Why nothing can be stored at the moment; empty when all is well."""
        self.has_given_up = False
        """Whether what still waits is not waited for any more."""
        self._lost_to = ""
        self._is_opened = False
        self._disk = disk
        self._node_id = node_id
        self._tally = tally or Tally()
        self._published = Published(session_dir)
        self._writer: RecordingWriter | None = None
        self._stepping = threading.Lock()
        self._waiting_since_s: float | None = None

    @property
    def has_news(self) -> bool:
        """Whether a step would do anything."""
        return self._published.has_news

    @property
    def has_ended(self) -> bool:
        """Whether the session's journal says that nothing follows."""
        return self._published.has_ended

    @property
    def is_gone(self) -> bool:
        """Whether the session's journal is no longer here: it goes on elsewhere, or was removed."""
        return self._published.is_gone

    @property
    def is_recorded(self) -> bool:
        """Whether the session is to be recorded at all; False as long as nothing is known."""
        return self._published.session is not None and self._published.session.recording

    @property
    def is_known(self) -> bool:
        """Whether the session's record was seen."""
        return self._published.session is not None

    @property
    def is_complete(self) -> bool:
        """Whether everything that is known to be published was stored, or noted as missing."""
        return not self._published.waiting

    @property
    def is_opened(self) -> bool:
        """Whether the recording on disk could be looked at, so that `summary` has all of it."""
        return self._is_opened

    @property
    def is_written(self) -> bool:
        """Whether the session's journal has grown since the last step."""
        return self._published.has_grown

    @property
    def has_published(self) -> bool:
        """Whether there is a segment, stored or not."""
        return self.summary.started_ms is not None or any(
            isinstance(record, SegmentRecord) for record in self._published.waiting
        )

    @property
    def lost_to(self) -> str:
        """What became the end of those that were given up, in a word; empty where none were."""
        return self._lost_to if self.has_given_up else ""

    @property
    def lag_s(self) -> float:
        """For how long something has been waiting to be stored; also while a step hangs."""
        since_s = self._waiting_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def step(self) -> int:
        """Store what is new; how many files it was. What goes wrong is in `problem`, and tried again next time.

        A step that is still on its way in another thread, whose caller was cancelled, is waited for.
        """
        with self._stepping:
            return self._step()

    def _step(self) -> int:
        published = self._published
        published.take_in()
        if not self.is_recorded:
            published.waiting.clear()
            return 0
        if self.has_given_up:
            return 0
        if published.waiting and self._waiting_since_s is None:
            self._waiting_since_s = time.monotonic()
        is_only_to_close = published.has_ended and not published.waiting
        files, missed = 0, 0
        try:
            writer = self._open()
            while published.waiting:
                stored = self._store(writer, published.waiting[0])
                files += stored is not None
                missed += stored is False
                published.waiting.popleft()
            self.summary = writer.summary()
        except OSError as error:
            self._stall(error)
        else:
            if not is_only_to_close:  # what keeps the journal from being closed is seen when that is tried
                self._set_problem("")
            self._waiting_since_s = None
        if missed:
            log.error("segments_missed", recording_id=self.recording_id, files=missed)
        return files

    def give_up(self) -> None:
        """Wait no more for what can't be stored: it is lost, and the session's files may go."""
        self.has_given_up = True
        self._published.has_ended = True
        self.summary = self._summary_without(self._lost())
        log.error("segments_given_up", recording_id=self.recording_id, problem=self.problem)
        self.mark(OVER)

    def finish(self) -> Summary:
        """The session is over: close the recording. Raises `OSError`, and can be tried again."""
        try:
            writer = self._open()
            lines: list[Line] = [OverRecord()]
            if self.has_given_up:
                for rendition in self._published.waiting:
                    if isinstance(rendition, RenditionRecord):
                        writer.note(rendition)
                lines[:0] = [writer.missing(record, self._published.start_s(record)) for record in self._lost()]
            writer.append(*lines)
            for line in lines:
                if isinstance(line, StoredSegment):
                    self._tally.count(line)
            if len(list(self.directory.glob(JOURNALS))) > 1:
                writer.read_anew()
            self.summary = writer.summary()
        except OSError as error:
            self._stall(error)
            raise
        if self.has_given_up:
            self.problem = ""
        self._set_problem("")
        self.leave()
        self.mark(OVER)
        return self.summary

    def leave(self) -> None:
        """Stop following: another node records the rest."""
        self._published.close()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def move(self) -> None:
        """The session goes on on another node. If it comes back what that one has recorded is read first."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self.mark(MOVED)

    def mark(self, why: str) -> None:
        """Let ingest know that the session's files are not needed here any more."""
        try:
            if self.session_dir.is_dir():
                (self.session_dir / RECORDED_FILE).write_text(why)
        except OSError as error:
            # Ingest does not wait for ever.
            log.error("session_not_marked", session_id=self.session_id, error=error.strerror)

    def _open(self) -> RecordingWriter:
        if self._writer is None:
            assert self._published.session is not None
            writer = RecordingWriter(
                self.session_dir, self._published.session, self.directory, self._disk, self._node_id, self._tally
            )
            self._published.leave_out(writer.found)
            self._writer = writer
            self._is_opened = True
            self.summary = writer.summary()
        return self._writer

    def _store(self, writer: RecordingWriter, record: RenditionRecord | SegmentRecord | ThumbnailRecord) -> bool | None:
        """Whether a segment could be had; None for anything else."""
        if isinstance(record, RenditionRecord):
            writer.note(record)
            return None
        if isinstance(record, ThumbnailRecord):
            try:
                writer.store_thumbnail(record)
            except OSError as error:
                # What comes after is more important than a picture of it.
                log.warning("thumbnail_missed", recording_id=self.recording_id, error=error.strerror)
            return None
        is_stored = writer.store(record, self._published.start_s(record))
        self._published.forget_start(record)
        return is_stored

    def _stall(self, error: OSError) -> None:
        self._set_problem(error.strerror or str(error))
        if isinstance(error, SpoolFull):
            self._lost_to = "spool_full"
        else:
            self._lost_to = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "disk_failed"
        self.summary = self._summary_without(self._lost())

    def _lost(self) -> list[SegmentRecord]:
        """See `Published.lost`; all that waits after it was given up."""
        before = self._published.left_out
        lost = self._published.lost(everything=self.has_given_up)
        self._tally.count_missed(self._published.left_out - before)
        return lost

    def _summary_without(self, lost: list[SegmentRecord]) -> Summary:
        """What there is to say while the journal can't: it will say that these are missing."""
        summary = copy.deepcopy(self._writer.known()) if self._writer is not None else Summary()
        for record in self._published.waiting:
            if isinstance(record, RenditionRecord):
                summary.feed(record)
        for segment in lost:
            start_s = self._published.start_s(segment)
            if self._writer is not None:
                summary.feed(self._writer.missing(segment, start_s))
            else:
                summary.feed(missing_segment(segment, segment.msn * segment.duration_s if start_s is None else start_s))
        return summary

    def _set_problem(self, problem: str) -> None:
        if problem and not self.problem:
            waiting = len(self._published.waiting)
            log.error("recording_stalled", recording_id=self.recording_id, error=problem, waiting=waiting)
        elif self.problem and not problem:
            log.warning("recording_goes_on", recording_id=self.recording_id)
        self.problem = problem

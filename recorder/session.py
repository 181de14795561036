"""One session that is recorded: what it publishes is stored, and what can't be is noted.

All of this blocks on disks, and runs in a thread.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import structlog

from config.session import RECORDED_FILE
from packager.recordings.recording import JOURNALS, recording_id_of
from packager.recordings.records import OverRecord
from packager.recordings.summary import Summary
from packager.records import RenditionRecord, SegmentRecord, ThumbnailRecord
from recorder.published import Published
from recorder.storing import Disk
from recorder.tally import Tally
from recorder.writing import RecordingWriter

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
        if published.waiting and self._waiting_since_s is None:
            self._waiting_since_s = time.monotonic()
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
            self._set_problem(error.strerror or str(error))
        else:
            self._set_problem("")
            self._waiting_since_s = None
        if missed:
            log.error("segments_missed", recording_id=self.recording_id, files=missed)
        return files

    def finish(self) -> Summary:
        """The session is over: close the recording. Raises `OSError`, and can be tried again."""
        writer = self._open()
        writer.append(OverRecord())
        if len(list(self.directory.glob(JOURNALS))) > 1:
            writer.read_anew()
        self.summary = writer.summary()
        self.leave()
        self.mark(OVER)
        return self.summary

    def leave(self) -> None:
        """Stop following: another node records the rest."""
        self._published.close()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def mark(self, why: str) -> None:
        """Let ingest know that the session's files are not needed here any more."""
        if self.session_dir.is_dir():
            (self.session_dir / RECORDED_FILE).write_text(why)

    def _open(self) -> RecordingWriter:
        if self._writer is None:
            assert self._published.session is not None
            writer = RecordingWriter(
                self.session_dir, self._published.session, self.directory, self._disk, self._node_id, self._tally
            )
            self._published.leave_out(writer.found)
            self._writer = writer
            self.summary = writer.summary()
        return self._writer

    def _store(self, writer: RecordingWriter, record: RenditionRecord | SegmentRecord | ThumbnailRecord) -> bool | None:
        """Whether a segment could be had; None for anything else."""
        if isinstance(record, RenditionRecord):
            writer.note(record)
            return None
        if isinstance(record, ThumbnailRecord):
            writer.store_thumbnail(record)
            return None
        is_stored = writer.store(record, self._published.start_s(record))
        self._published.forget_start(record)
        return is_stored

    def _set_problem(self, problem: str) -> None:
        if problem and not self.problem:
            waiting = len(self._published.waiting)
            log.error("recording_stalled", recording_id=self.recording_id, error=problem, waiting=waiting)
        elif self.problem and not problem:
            log.warning("recording_goes_on", recording_id=self.recording_id)
        self.problem = problem

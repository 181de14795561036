"""What is recorded here and waits to be uploaded: files on this disk, oldest first, no more than fit a bound."""

from __future__ import annotations

import errno
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from packager.recordings.records import InitRecord, StoredSegment


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file that its recording's journal names."""

    recording_id: str
    rendition: str
    file: str
    size_bytes: int
    crc32: int

    @property
    def name(self) -> str:
        """Its path below the directory of recordings, and the name of its object."""
        return f"{self.recording_id}/{self.rendition}/{self.file}"

    @property
    def is_segment(self) -> bool:
        """Whether it is media, not an init segment."""
        return self.file.endswith(".m4s")


def waiting(recording_id: str, line: StoredSegment | InitRecord) -> Waiting:
    """The file that a line of a journal names."""
    return Waiting(recording_id, line.rendition, line.file, line.size_bytes, line.crc32)


class SpoolFull(OSError):
    """No more may wait for upload. An `ENOSPC`."""


class Spool:
    """Filled by the threads that record, emptied by the uploader."""

    def __init__(self, limit_bytes: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self._limit_bytes = limit_bytes
        self._now_s = now_s
        self._lock = threading.Lock()
        self._files: dict[Waiting, float] = {}
        self._bytes: Counter[str] = Counter()
        self._changed: set[str] = set()
        self._closed: set[str] = set()

    @property
    def size_bytes(self) -> int:
        """How much waits."""
        with self._lock:
            return self._bytes.total()

    @property
    def lag_s(self) -> float:
        """How long the oldest file has been waiting."""
        with self._lock:
            return self._now_s() - min(self._files.values()) if self._files else 0.0

    def pending_bytes(self, recording_id: str) -> int:
        """How much of one recording waits."""
        with self._lock:
            return self._bytes[recording_id]

    def check_room(self, size_bytes: int) -> None:
        """Raises `SpoolFull` when so much more does not fit.

        What is listed in a playlist stays listed, so nothing that waits is given up for what comes.
        """
        used_bytes = self.size_bytes
        if used_bytes + size_bytes > self._limit_bytes:
            raise SpoolFull(
                errno.ENOSPC, f"the spool is full: {used_bytes} of {self._limit_bytes} bytes wait for upload"
            )

    def add(self, file: Waiting) -> None:
        """A file was stored here, and its journal says so."""
        with self._lock:
            self._changed.add(file.recording_id)
            self._closed.discard(file.recording_id)
            if file not in self._files:
                self._files[file] = self._now_s()
                self._bytes[file.recording_id] += file.size_bytes

    def oldest(self, count: int) -> list[Waiting]:
        """The next files to upload."""
        with self._lock:
            return [file for file, _ in zip(self._files, range(count), strict=False)]

    def later(self, file: Waiting) -> None:
        """A file could not be uploaded: others go first."""
        with self._lock:
            if file in self._files:
                self._files[file] = self._files.pop(file)

    def done(self, file: Waiting) -> None:
        """A file need not be uploaded any more."""
        with self._lock:
            if self._files.pop(file, None) is not None:
                self._bytes[file.recording_id] -= file.size_bytes
                self._changed.add(file.recording_id)

    def drop(self, recording_id: str) -> None:
        """Nothing of this recording is to be uploaded any more."""
        with self._lock:
            self._files = {file: since for file, since in self._files.items() if file.recording_id != recording_id}
            self._bytes.pop(recording_id, None)
            self._changed.discard(recording_id)
            self._closed.discard(recording_id)

    def close(self, recording_id: str) -> None:
        """A recording has grown for the last time, on this node at least."""
        with self._lock:
            self._changed.add(recording_id)
            self._closed.add(recording_id)

    def is_ready_to_close(self, recording_id: str) -> bool:
        """Whether a recording is closed, and nothing of it waits."""
        with self._lock:
            return recording_id in self._closed and not self._bytes[recording_id]

    def take_changed(self) -> set[str]:
        """The recordings of which something has changed since the last call."""
        with self._lock:
            changed, self._changed = self._changed, set()
            return changed

"""Files of a recording on disk: written whole and down to the disk before anything says that they are there."""

from __future__ import annotations

import errno
import os
import zlib
from pathlib import Path

from packager.recordings.records import Line, encode_line
from recorder.spool import Spool


class Disk:
    """Where recordings lie. The last `reserve_bytes` of the file system stay free: Redis may write to the same one.

    With a spool they are here only until they are uploaded.
    """

    def __init__(self, recordings_dir: Path, reserve_bytes: int, spool: Spool | None = None) -> None:
        self.recordings_dir = recordings_dir
        self.spool = spool
        self._reserve_bytes = reserve_bytes

    def store(self, path: Path, data: bytes) -> int:
        """Write a file and return its CRC-32. Raises `OSError`; nothing is left of the file then."""
        if self.spool is not None:
            self.spool.check_room(len(data))
        self.check_room(len(data))
        return self.store_small(path, data)

    def store_small(self, path: Path, data: bytes) -> int:
        """The same for what is tiny, and without which nothing else plays: it may use the reserve."""
        try:
            with path.open("wb", buffering=0) as file:
                left = memoryview(data)
                while left:
                    left = left[file.write(left) :]
                os.fdatasync(file.fileno())
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return zlib.crc32(data)

    def replace(self, path: Path, data: bytes) -> None:
        """Write a file that may be there already, whole at any time. Raises `OSError`."""
        self.check_room(len(data))
        temporary = path.with_name(f".{path.name}")
        self.store_small(temporary, data)
        temporary.rename(path)

    def check_room(self, size_bytes: int) -> None:
        """Raises `OSError` (ENOSPC) when so much would eat into the reserve."""
        stat = os.statvfs(self.recordings_dir)
        if stat.f_bavail * stat.f_frsize - size_bytes < self._reserve_bytes:
            raise OSError(errno.ENOSPC, f"less than the reserve of {self._reserve_bytes} bytes would stay free")


class RecordingJournal:
    """Appends to the journal of a recording, which `repair` has seen. Lines are there whole and on disk, or not."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._size = os.fstat(self._fd).st_size

    @property
    def is_new(self) -> bool:
        """Whether it holds nothing yet."""
        return not self._size

    def append(self, *lines: Line) -> None:
        """Write records. Raises `OSError`; none of them is there then."""
        data = b"".join(map(encode_line, lines))
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._fd, data[written:], self._size + written)
            os.fdatasync(self._fd)
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

"""The journal of a session: an append-only file of records, the interface between the session worker and the origin.

Whole lines are written with one `write`, so a reader sees them whole or, at the very end, torn; a torn line is left for
the next look. When most lines are stale the file is rewritten beside itself and renamed. Its first line then says where
a reader who was up to date goes on; for any other a new inode means "read anew".
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from math import inf
from pathlib import Path
from typing import BinaryIO

from packager.records import Record, RewrittenRecord, decode_record, encode_record

FILE_NAME = "journal.jsonl"


def read_whole_lines(path: Path) -> list[bytes]:
    """The lines of a journal that nobody writes now; a torn last one is left out. Raises `FileNotFoundError`."""
    data = path.read_bytes()
    return data[: data.rfind(b"\n") + 1].splitlines(keepends=True)


class JournalWriter:
    """Appends records; keeps those that are still wanted, so that it can rewrite the file without the others.

    A journal that is there already is gone on with; a line that its writer was killed at is cut off. Raises
    `ValueError` when a line of it is no record.
    """

    def __init__(self, path: Path, compact_at_least_lines: int = 2000) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._records: list[Record] = []
        self._sizes_bytes = array("I")  # of the lines: a rewritten file takes them over as they are
        self._file = path.open("ab", buffering=0)
        if self._file.tell():
            lines = read_whole_lines(path)
            self._file.truncate(sum(map(len, lines)))
            self._records = [decode_record(line) for line in lines]
            self._sizes_bytes.extend(map(len, lines))
        self._compact_at = compact_at_least_lines
        self._compact_at_least = compact_at_least_lines

    @property
    def records(self) -> Sequence[Record]:
        """The records that the file holds."""
        return self._records

    def append(self, *records: Record) -> None:
        """Write records. Safe from several threads."""
        with self._lock:
            lines = [encode_record(record) for record in records]
            self._records += records
            self._sizes_bytes.extend(map(len, lines))
            self._file.write(b"".join(lines))

    def compact(self, wanted: Callable[[Record], bool]) -> None:
        """Drop the records that are not wanted any more, once that is likely to halve the file."""
        with self._lock:
            if len(self._records) < self._compact_at:
                return
            keep = [not isinstance(record, RewrittenRecord) and wanted(record) for record in self._records]
            self._compact_at = max(self._compact_at_least, 2 * sum(keep))
            if len(self._records) < self._compact_at:
                return
            # From the last record on that goes, the file stays as it is.
            tail = len(keep) - keep[::-1].index(False)
            sizes_bytes, before_tail = self._sizes_bytes, sum(self._sizes_bytes[:tail])
            data, position, kept = self._path.read_bytes(), 0, []
            for size_bytes, wants in zip(sizes_bytes[:tail], keep, strict=False):
                if wants:
                    kept.append(data[position : position + size_bytes])
                position += size_bytes
            generation = next((one.generation for one in self._records[:1] if isinstance(one, RewrittenRecord)), 0)
            rewritten = RewrittenRecord(generation=generation + 1, old=before_tail, skip=sum(map(len, kept)))
            temporary = self._path.with_suffix(".tmp")
            file = temporary.open("wb", buffering=0)
            file.write(b"".join([encode_record(rewritten), *kept, data[before_tail:]]))
            temporary.rename(self._path)
            self._file.close()
            self._file = file
            self._records = [rewritten, *itertools.compress(self._records, keep)]
            self._sizes_bytes = array("I", [len(encode_record(rewritten)), *itertools.compress(sizes_bytes, keep)])

    def close(self) -> None:
        """Close the file. Nothing may be appended afterwards."""
        with self._lock:
            self._file.close()


class JournalReader:
    """Follows a journal. Holds no file open between polls, unless it is to `keep` it.

    Of a journal that was kept, what was written until it was removed is read all the same.
    """

    def __init__(self, path: Path, *, keep: bool = False) -> None:
        self._path = path
        self._keep = keep
        self._kept: BinaryIO | None = None
        self._seen: tuple[int, int, int] | None = None
        self._begins_with = b""  # the first line: a file system may give a new file the number of one that is gone
        self._offset = 0

    def close(self) -> None:
        """Let go of a file that is kept."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def has_news(self) -> bool:
        """Whether the journal has grown, was rewritten or is gone since the last poll; a torn last line counts."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return True
        return self._seen != (stat.st_ino, stat.st_mtime_ns, stat.st_size)

    def quiet_s(self) -> float:
        """Seconds since the journal has grown; infinite when it is gone."""
        try:
            return time.time() - self._path.stat().st_mtime
        except FileNotFoundError:
            return inf

    def poll(self) -> tuple[bool, Iterable[Record]]:
        """Whether to start over (the file is new or was rewritten), and the records since the last poll.

        Raises `FileNotFoundError` when there is no journal, `ValueError` when a line is no record.
        """
        anew, data = self._read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return anew, [decode_record(line) for line in whole.splitlines()]

    def _read(self) -> tuple[bool, bytes]:
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            if self._kept is None:
                raise
            with self._kept as removed:
                self._kept = None
                removed.seek(self._offset)
                return False, removed.read()
        stat = os.fstat(file.fileno())
        first = file.readline()
        anew = self._seen is None or stat.st_ino != self._seen[0] or first != self._begins_with
        if anew:
            offset = self._goes_on_at(first)
            anew = offset is None
            self._begins_with, self._offset = first, offset or 0
        # What is written from here on is news, even if it is read here already.
        self._seen = stat.st_ino, stat.st_mtime_ns, stat.st_size
        file.seek(self._offset)
        data = file.read()
        self.close()
        if self._keep:
            self._kept = file
        else:
            file.close()
        return anew, data

    def _goes_on_at(self, first: bytes) -> int | None:
        """Where in the file with this first line is what follows here; None when that is not told."""
        rewritten, before = _rewritten(first), _rewritten(self._begins_with)
        if not self._begins_with or rewritten is None or self._offset < rewritten.old:
            return None
        if rewritten.generation != (before.generation if before is not None else 0) + 1:
            return None
        return len(first) + rewritten.skip + self._offset - rewritten.old


def _rewritten(line: bytes) -> RewrittenRecord | None:
    if not line.startswith(b'{"type":"rewritten"') or not line.endswith(b"\n"):
        return None
    record = decode_record(line)
    return record if isinstance(record, RewrittenRecord) else None

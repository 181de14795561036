"""What a crash or a power cut has left of a recording: lines and files that are not whole, here or in the store."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import structlog

from packager.recordings.records import InitRecord, Line, StoredSegment, decode_lines, encode_line, sound_lines
from packager.recordings.uploads import UPLOADS_SUFFIX, read_uploads

log = structlog.get_logger()

_TAIL_SEGMENTS = 16
"""So many of the newest segments of a journal are read again; of all others the size is looked at."""


def repair(journal: Path) -> bool:
    """Note as missing what the journal names but is not there as it was stored. Whether there was any."""
    data = journal.read_bytes()
    sound = sound_lines(data)
    lines = list(decode_lines(sound))
    stored = [line for line in lines if isinstance(line, StoredSegment) and not line.is_missing]
    newest = {(line.rendition, line.msn) for line in stored[-_TAIL_SEGMENTS:]}
    uploaded = read_uploads(journal.with_suffix(UPLOADS_SUFFIX))
    repaired: list[Line] = []
    lost_files = 0
    for line in lines:
        if isinstance(line, StoredSegment | InitRecord) and (line.rendition, line.file) in uploaded:
            repaired.append(line)
            continue
        if isinstance(line, StoredSegment) and not line.is_missing:
            path = journal.parent / line.rendition / line.file
            if not _is_whole(path, line, read=(line.rendition, line.msn) in newest):
                path.unlink(missing_ok=True)
                repaired.append(line._replace(size_bytes=0, crc32=0))
                lost_files += 1
                continue
        if isinstance(line, InitRecord) and not _is_whole(journal.parent / line.rendition / line.file, line, read=True):
            lost_files += 1
            continue
        repaired.append(line)
    cut_bytes = len(data) - len(sound)
    if not lost_files and not cut_bytes:
        return False
    log.warning("recording_repaired", recording_id=journal.parent.name, lost_files=lost_files, cut_bytes=cut_bytes)
    temporary = journal.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(b"".join(map(encode_line, repaired)))
        file.flush()
        os.fdatasync(file.fileno())
    temporary.rename(journal)
    return True


def _is_whole(path: Path, stored: StoredSegment | InitRecord, *, read: bool) -> bool:
    try:
        if path.stat().st_size != stored.size_bytes:
            return False
        return not read or zlib.crc32(path.read_bytes()) == stored.crc32
    except OSError:
        return False

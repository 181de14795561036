"""What of a recording is in the object store: `{node}.stored` beside the journal, a line for each file.

A segment's line also holds the headers of its fragments, so that the MP4 of a recording needs no media to be read.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from packager.recordings.fragment_headers import FragmentHeader
from packager.recordings.fragments import BadFile

UPLOADS_SUFFIX = ".stored"
UPLOADS = f"*{UPLOADS_SUFFIX}"
_HEADER = struct.Struct(">QII")
_ROW_BYTES = 16


class Uploaded(NamedTuple):
    """A file that the store has. `headers` are those of a segment, packed; empty where it is none."""

    rendition: str
    file: str
    size_bytes: int
    headers: str


def encode_uploaded(line: Uploaded) -> bytes:
    """One line of the file."""
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def read_uploads(path: Path) -> dict[tuple[str, str], Uploaded]:
    """What the file says, by rendition and file. A line that a crash cut short says nothing."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    found = {}
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        try:
            uploaded = Uploaded(*json.loads(line))
        except (ValueError, TypeError):
            continue
        found[uploaded.rendition, uploaded.file] = uploaded
    return found


def pack_headers(headers: Iterable[FragmentHeader]) -> str:
    """The fragments of a segment as text."""
    packed = b"".join(
        _HEADER.pack(header.decode_time, header.data_at, header.count) + header.rows for header in headers
    )
    return base64.b64encode(zlib.compress(packed, 1)).decode()


def unpack_headers(text: str) -> list[FragmentHeader]:
    """The fragments of a segment. Raises `BadFile`."""
    headers, at = [], 0
    try:
        packed = zlib.decompress(base64.b64decode(text))
        while at < len(packed):
            decode_time, data_at, count = _HEADER.unpack_from(packed, at)
            at += _HEADER.size
            headers.append(FragmentHeader(decode_time, data_at, count, packed[at : at + count * _ROW_BYTES]))
            at += count * _ROW_BYTES
    except (ValueError, zlib.error, struct.error):
        raise BadFile("the headers that were kept of a segment are damaged") from None
    return headers

"""Whole media files answered from memory: what all viewers of a stream fetch at about the same moment.

A player's plain request for a part or a segment is recognised in the bytes that came, before anything parses them,
and answered with bytes that are prepared once per file. Everything else (ranges, conditions, parts that are not there
yet, other nodes' media, errors) is left to the origin's handlers. Files never change, so a copy is never wrong.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from email.utils import formatdate
from pathlib import Path
from typing import Final

from packager.plain_requests import PlainRequests

CAPACITY_BYTES: Final = 64 << 20
LARGEST_FILE_BYTES: Final = 4 << 20
HOT_S: Final = 120.0
"""Media older than this are fetched by few, each from another place: those come from their files, bit by bit, so that
many slow viewers of a long window cost no memory."""
SMALL_FILE_BYTES: Final = 64 << 10

_MEDIA: Final = re.compile(
    rb"GET /live/(lse_[0-9a-z]{26}/se_[0-9a-z]{26}/([0-9a-z]{1,16})/"
    rb"(?:init-[0-9]{1,9}\.mp4|[0-9]{1,12}(?:\.[0-9]{1,6})?\.m4s)) HTTP/1\.1\r\n"
)
_NAME: Final = re.compile(r"init-[0-9]{1,9}\.mp4|[0-9]{1,12}(?:\.[0-9]{1,6})?\.m4s")


class HotMedia:
    """The media files below a directory that were asked for last, up to `capacity_bytes` of them."""

    def __init__(self, media_dir: Path, headers: bytes, capacity_bytes: int = CAPACITY_BYTES) -> None:
        """`headers` are sent with each file: lines with their ends, without type, length and date."""
        self._media_dir = media_dir
        self._headers = headers
        self._capacity_bytes = capacity_bytes
        self._files: OrderedDict[bytes, tuple[bytes, bytes]] = OrderedDict()
        self._size_bytes = 0
        self._requests = PlainRequests()
        self._date = b""
        self._date_until_s = 0.0
        self.answers = 0
        """How many requests were answered here."""
        self.answered_bytes = 0

    @property
    def size_bytes(self) -> int:
        """How much of media is held."""
        return self._size_bytes

    def answer(self, data: bytes) -> tuple[bytes, bytes] | None:
        """The head and the body for exactly one plain request for a file that is there; None for anything else."""
        match = _MEDIA.match(data)
        if match is None or self._requests.headers(data[match.end() - 2 :]) is None:
            return None
        file = self.whole_file(match[1], is_audio=match[2] == b"audio")
        if file is not None:
            self.answers += 1
            self.answered_bytes += len(file[1])
        return file

    def whole_file(self, path: bytes, *, is_audio: bool) -> tuple[bytes, bytes] | None:
        """The head and the body of the answer for this path below the directory; None where the routes must answer."""
        file = self._file(path, is_audio=is_audio)
        return None if file is None else (file[0] + self._date_line(), file[1])

    def body(self, path: Path) -> bytes | None:
        """The bytes of a media file, the same object for all who send it; None where it is not hot.

        Other files may change, as posters do, and other directories hold recordings, which few ask for at once.
        """
        if not path.is_relative_to(self._media_dir) or _NAME.fullmatch(path.name) is None:
            return None
        relative = path.relative_to(self._media_dir)
        file = self._file(str(relative).encode(), is_audio=relative.parent.name == "audio")
        return None if file is None else file[1]

    def _file(self, path: bytes, *, is_audio: bool) -> tuple[bytes, bytes] | None:
        file = self._files.get(path)
        if file is None:
            return self._load(path, is_audio=is_audio)
        self._files.move_to_end(path)
        return file

    def _load(self, path: bytes, *, is_audio: bool) -> tuple[bytes, bytes] | None:
        file = self._media_dir / path.decode()
        try:
            stat = file.stat()
            is_cold = stat.st_size > SMALL_FILE_BYTES and stat.st_mtime < time.time() - HOT_S
            if stat.st_size > LARGEST_FILE_BYTES or is_cold:
                return None
            body = file.read_bytes()
        except OSError:
            return None  # the origin says why
        kind = b"audio/mp4" if is_audio else b"video/mp4"
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b" % (kind, len(body), self._headers)
        self._files[path] = head, body
        self._size_bytes += len(body)
        while self._size_bytes > self._capacity_bytes:
            _path, (_head, dropped) = self._files.popitem(last=False)
            self._size_bytes -= len(dropped)
        return head, body

    def _date_line(self) -> bytes:
        now_s = time.time()
        if now_s >= self._date_until_s:
            self._date = f"Date: {formatdate(now_s, usegmt=True)}\r\n\r\n".encode()
            self._date_until_s = int(now_s) + 1.0
        return self._date

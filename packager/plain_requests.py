"""Requests that are recognised in the bytes that came, before anything parses them: what players send all the time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

GZIP: Final = re.compile(r"\bgzip\b(?! *; *q=0(\.0*)? *(,|$))")

_KNOWN: Final = 1024
_MAX_BYTES: Final = 4096
_LINES: Final = re.compile(rb"(?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[ -~\t]*)*\r\n\r\n")
_NOT_PLAIN: Final = re.compile(
    rb"\r\n(?:range|if-|connection: *close|content-length|transfer-encoding|upgrade|expect|x-antlive-)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class PlainHeaders:
    """What headers say that do not change which answer is the right one; None where one is absent."""

    gzip: bool
    user_agent: str | None
    forwarded_for: str | None


class PlainRequests:
    """Reads the headers of requests. Few kinds of players ask again and again with the same ones, so they are kept."""

    def __init__(self) -> None:
        self._known: dict[bytes, PlainHeaders] = {}

    def headers(self, data: bytes) -> PlainHeaders | None:
        """What these bytes say, if they are the headers of exactly one request, from the end of its first line on.

        None when they are more or less than that, or when one of them asks for something else than the whole answer.
        """
        known = self._known.get(data)
        if known is not None:
            return known
        if len(data) > _MAX_BYTES or _LINES.fullmatch(data) is None or _NOT_PLAIN.search(data) is not None:
            return None
        if len(self._known) >= _KNOWN:
            self._known.clear()
        accepted = _value(data, b"accept-encoding")
        found = PlainHeaders(
            gzip=accepted is not None and GZIP.search(accepted) is not None,
            user_agent=_value(data, b"user-agent"),
            forwarded_for=_value(data, b"x-forwarded-for"),
        )
        self._known[data] = found
        return found


def _value(data: bytes, name: bytes) -> str | None:
    match = re.search(rb"\r\n" + name + rb":[ \t]*([^\r]*?)[ \t]*\r\n", data, re.IGNORECASE)
    return None if match is None else match[1].decode("ascii")

"""The SRT stream id: where callers put the stream key, and what else they say in it.

Taken are `#!::r=live/KEY,m=publish` (SRT access control syntax, any order, unknown fields ignored), `live/KEY`, `KEY`
and `publish:live/KEY`; each may be percent-encoded, since some callers do not decode their URL. No I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import unquote

from config.limits import LIMITS

APP = "live"
_STANDARD = "#!::"
_PUBLISH = "publish"
_OTHER_MODES = frozenset({"request", "bidirectional", "read", "play", "subscribe"})
_MEDIA_TYPES = frozenset({"", "stream"})


class Fault(Enum):
    """What is wrong with a stream id."""

    NO_KEY = "no_key"
    MALFORMED = "malformed_stream_id"
    TOO_LONG = "stream_id_too_long"
    UNKNOWN_APP = "unknown_app"
    NOT_PUBLISH = "not_publish"
    NOT_STREAM = "not_stream"


class StreamIdError(ValueError):
    """The stream id names no stream to publish. The message never holds what was sent."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class StreamId:
    """What a stream id says. The key is a secret."""

    key: str = field(repr=False)


def parse_stream_id(raw: bytes, max_bytes: int = LIMITS.srt_stream_id_bytes) -> StreamId:
    """Read a stream id. Raises `StreamIdError`."""
    if len(raw) > max_bytes:
        raise StreamIdError(Fault.TOO_LONG, f"a stream id of {len(raw)} bytes exceeds {max_bytes}")
    text = unquote(raw.decode("utf-8", "replace")).strip("\x00 \t\r\n\"'")
    if text.startswith("#!"):
        return StreamId(_key(_standard_resource(text)))
    mode, colon, rest = text.partition(":")
    if colon and mode.lower() in _OTHER_MODES:
        raise StreamIdError(Fault.NOT_PUBLISH, "this server takes publishers; play over HLS")
    return StreamId(_key(rest if colon and mode.lower() == _PUBLISH else text))


def _standard_resource(text: str) -> str:
    """The resource of the access control syntax, if it is asked for as a publisher of a live stream."""
    if not text.startswith(_STANDARD):
        raise StreamIdError(Fault.MALFORMED, "a stream id that starts with #! goes on with :: and then name=value")
    fields: dict[str, str] = {}
    for item in text.removeprefix(_STANDARD).split(","):
        name, equals, value = item.partition("=")
        if equals:
            fields.setdefault(name.strip().lower(), value.strip())
    # The syntax says that no mode means `request`, but a caller who comes here without one wants to publish.
    if fields.get("m", _PUBLISH).lower() != _PUBLISH:
        raise StreamIdError(Fault.NOT_PUBLISH, "this server takes publishers (m=publish); play over HLS")
    if fields.get("t", "").lower() not in _MEDIA_TYPES:
        raise StreamIdError(Fault.NOT_STREAM, "this server takes live streams (t=stream), no files")
    return fields.get("r", "")


def _key(resource: str) -> str:
    elements = [element for element in re.split(r"[?#]", resource, maxsplit=1)[0].split("/") if element]
    if len(elements) > 1 and elements[0] != APP:
        raise StreamIdError(Fault.UNKNOWN_APP, f"the application is {APP}")
    if not elements or elements == [APP] or len(elements) > 2:
        raise StreamIdError(Fault.NO_KEY, f"the stream id names no stream key: send {APP}/KEY")
    return elements[-1]

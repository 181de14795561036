"""The few numbers of an onMetaData tag that serve as hints. Anything else in it is passed over.

Only what a hint needs of AMF0 is read: a name, then an object or ECMA array of numbers, booleans and strings. The
protocol core has checked sizes and nesting before; a value of another kind ends the reading, it is no error.
"""

from __future__ import annotations

import struct

from transcode.units import Hints

_NUMBER, _BOOLEAN, _STRING, _OBJECT, _ECMA_ARRAY = 0, 1, 2, 3, 8


def read_hints(body: bytes) -> Hints | None:
    """The hints of a script tag's body, or None when it is no onMetaData."""
    values: dict[str, object] = {}
    try:
        name, position = _string(body, 1)
        if body[0] != _STRING or name != "onMetaData":
            return None
        kind = body[position]
        position += {_OBJECT: 1, _ECMA_ARRAY: 5}[kind]
        while True:
            key, position = _string(body, position)
            if not key:
                break
            kind, position = body[position], position + 1
            if kind == _NUMBER:
                values[key] = struct.unpack_from(">d", body, position)[0]
                position += 8
            elif kind == _BOOLEAN:
                position += 1
            elif kind == _STRING:
                values[key], position = _string(body, position)
            else:
                break
    except (IndexError, KeyError, struct.error, UnicodeDecodeError):
        pass  # half an answer is still a hint
    return Hints(
        frame_rate=_positive(values.get("framerate")),
        video_bitrate_bps=_scaled(values.get("videodatarate")),
        encoder=str(values["encoder"])[:64] if "encoder" in values else None,
    )


def _string(body: bytes, position: int) -> tuple[str, int]:
    (size_bytes,) = struct.unpack_from(">H", body, position)
    end = position + 2 + size_bytes
    return body[position + 2 : end].decode(), end


def _positive(value: object) -> float | None:
    return value if isinstance(value, float) and 0 < value < 1e6 else None


def _scaled(value: object) -> float | None:
    kbps = _positive(value)
    return kbps * 1000 if kbps else None

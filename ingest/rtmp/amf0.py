"""AMF0 values (Action Message Format 0 specification, 2007), with bounds on everything a stranger may send.

Number is `float`, string and long string are `str`, object is `dict`, ECMA array is `EcmaArray`, strict array is
`list`, date is `Date`, null is `None` and undefined (also "unsupported") is `UNDEFINED`. A typed object is read as
an object: its class name means nothing to us. References and the switch to AMF3 are refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import Any

from config.limits import IngestLimits
from ingest.rtmp.errors import ProtocolError

Value = Any

_NUMBER, _BOOLEAN, _STRING, _OBJECT, _NULL, _UNDEFINED = 0, 1, 2, 3, 5, 6
_ECMA_ARRAY, _OBJECT_END, _STRICT_ARRAY, _DATE, _LONG_STRING = 8, 9, 10, 11, 12
_UNSUPPORTED, _XML_DOCUMENT, _TYPED_OBJECT = 13, 15, 16
_END_OF_OBJECT = b"\0\0\x09"

_DOUBLE = struct.Struct(">d")
_DATE_BODY = struct.Struct(">dh")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")


class AmfError(ProtocolError):
    """The bytes are not AMF0, or exceed a bound."""


class Undefined(Enum):
    """The type of `UNDEFINED`."""

    UNDEFINED = "undefined"


UNDEFINED = Undefined.UNDEFINED


class EcmaArray(dict[str, Value]):
    """An associative array: the same as an object except for its marker on the wire."""


@dataclass(frozen=True, slots=True)
class Date:
    """Milliseconds since 1970 in UTC. The time zone in minutes is reserved by the specification and 0 in practice."""

    unix_ms: float
    zone_minutes: int = 0


def decode(data: bytes | bytearray | memoryview, limits: IngestLimits) -> list[Value]:
    """All values of one message body. Raises `AmfError`."""
    decoder = Decoder(data, limits)
    values = []
    while decoder.left:
        values.append(decoder.value())
    return values


class Decoder:
    """Reads value after value from one message body; the bound on items counts over the whole body."""

    def __init__(self, data: bytes | bytearray | memoryview, limits: IngestLimits) -> None:
        self._data = bytes(data)
        self._limits = limits
        self._items_left = limits.amf_items
        self.position = 0

    @property
    def left(self) -> int:
        """Bytes that are not read yet."""
        return len(self._data) - self.position

    def value(self, depth: int = 0) -> Value:
        """The next value. Raises `AmfError`."""
        if depth > self._limits.amf_depth:
            raise AmfError(f"AMF value is nested deeper than {self._limits.amf_depth} levels")
        self._items_left -= 1
        if self._items_left < 0:
            raise AmfError(f"AMF body holds more than {self._limits.amf_items} values")
        marker = self._take(1)[0]
        if marker == _NUMBER:
            return _DOUBLE.unpack(self._take(8))[0]
        if marker == _BOOLEAN:
            return self._take(1)[0] != 0
        if marker == _STRING:
            return self._string(_U16)
        if marker == _OBJECT:
            return self._properties({}, depth, None)
        if marker == _ECMA_ARRAY:
            count = self._count()
            return self._properties(EcmaArray(), depth, count)
        if marker == _STRICT_ARRAY:
            return [self.value(depth + 1) for _ in range(self._count())]
        if marker == _NULL:
            return None
        if marker in (_UNDEFINED, _UNSUPPORTED):
            return UNDEFINED
        if marker == _DATE:
            return Date(*_DATE_BODY.unpack(self._take(10)))
        if marker in (_LONG_STRING, _XML_DOCUMENT):
            return self._string(_U32)
        if marker == _TYPED_OBJECT:
            self._string(_U16)
            return self._properties({}, depth, None)
        raise AmfError(f"AMF marker {marker} is not supported")

    def _properties(self, found: dict[str, Value], depth: int, announced: int | None) -> dict[str, Value]:
        while True:
            # Some encoders leave out the end marker of an ECMA array that closes the body.
            if announced is not None and not self.left and len(found) >= announced:
                return found
            if self._data.startswith(_END_OF_OBJECT, self.position):
                self.position += len(_END_OF_OBJECT)
                return found
            name = self._string(_U16)
            found[name] = self.value(depth + 1)

    def _string(self, length_format: struct.Struct) -> str:
        length = length_format.unpack(self._take(length_format.size))[0]
        if length > self._limits.amf_string_bytes:
            raise AmfError(f"AMF string of {length} bytes exceeds {self._limits.amf_string_bytes}")
        return self._take(length).decode("utf-8", "replace")

    def _count(self) -> int:
        count: int = _U32.unpack(self._take(4))[0]
        if count > self._limits.amf_items:
            raise AmfError(f"AMF array of {count} values exceeds {self._limits.amf_items}")
        return count

    def _take(self, size: int) -> bytes:
        if size > self.left:
            raise AmfError(f"AMF body ends early: {size} bytes expected, {self.left} left")
        start = self.position
        self.position = start + size
        return self._data[start : self.position]


def encode(*values: Value) -> bytes:
    """The bytes of values in sequence. Raises `TypeError` for what AMF0 cannot say."""
    return b"".join(_encode(value) for value in values)


def _encode(value: Value) -> bytes:
    if value is None:
        return bytes([_NULL])
    if value is UNDEFINED:
        return bytes([_UNDEFINED])
    if isinstance(value, bool):
        return bytes([_BOOLEAN, value])
    if isinstance(value, int | float):
        return bytes([_NUMBER]) + _DOUBLE.pack(value)
    if isinstance(value, str):
        text = value.encode()
        if len(text) > 0xFFFF:
            return bytes([_LONG_STRING]) + _U32.pack(len(text)) + text
        return bytes([_STRING]) + _U16.pack(len(text)) + text
    if isinstance(value, EcmaArray):
        return bytes([_ECMA_ARRAY]) + _U32.pack(len(value)) + _encode_properties(value)
    if isinstance(value, dict):
        return bytes([_OBJECT]) + _encode_properties(value)
    if isinstance(value, list | tuple):
        return bytes([_STRICT_ARRAY]) + _U32.pack(len(value)) + encode(*value)
    if isinstance(value, Date):
        return bytes([_DATE]) + _DATE_BODY.pack(value.unix_ms, value.zone_minutes)
    raise TypeError(f"AMF0 has no type for {type(value).__name__}")


def _encode_properties(properties: dict[str, Value]) -> bytes:
    parts = []
    for name, value in properties.items():
        text = name.encode()
        parts += [_U16.pack(len(text)), text, _encode(value)]
    return b"".join([*parts, _END_OF_OBJECT])

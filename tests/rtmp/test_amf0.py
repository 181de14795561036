from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.limits import IngestLimits
from ingest.rtmp import amf0
from ingest.rtmp.amf0 import UNDEFINED, AmfError, Date, EcmaArray

LIMITS = IngestLimits()
WIDE = IngestLimits(amf_string_bytes=1 << 20)

BOTH_WAYS: list[tuple[str, Any, bytes]] = [
    ("number", 1.5, b"\x00" + struct.pack(">d", 1.5)),
    ("true", True, b"\x01\x01"),
    ("false", False, b"\x01\x00"),
    ("string", "live", b"\x02\x00\x04live"),
    ("empty string", "", b"\x02\x00\x00"),
    ("utf-8", "é", b"\x02\x00\x02\xc3\xa9"),
    ("object", {"app": "a"}, b"\x03\x00\x03app\x02\x00\x01a\x00\x00\x09"),
    ("empty object", {}, b"\x03\x00\x00\x09"),
    ("null", None, b"\x05"),
    ("undefined", UNDEFINED, b"\x06"),
    ("ecma array", EcmaArray(a=None), b"\x08\x00\x00\x00\x01\x00\x01a\x05\x00\x00\x09"),
    ("strict array", [None, True], b"\x0a\x00\x00\x00\x02\x05\x01\x01"),
    ("date", Date(2.0, -60), b"\x0b" + struct.pack(">dh", 2.0, -60)),
    ("long string", "x" * 65536, b"\x0c\x00\x01\x00\x00" + b"x" * 65536),
]
ONE_WAY: list[tuple[str, Any, bytes]] = [
    ("unsupported", UNDEFINED, b"\x0d"),
    ("short long string", "ab", b"\x0c\x00\x00\x00\x02ab"),
    ("xml document", "<a/>", b"\x0f\x00\x00\x00\x04<a/>"),
    ("typed object", {"a": None}, b"\x10\x00\x03cls\x00\x01a\x05\x00\x00\x09"),
    ("ecma array without its end", {"a": None}, b"\x08\x00\x00\x00\x01\x00\x01a\x05"),
    ("ecma array with a wrong count", {"a": None}, b"\x08\x00\x00\x00\x00\x00\x01a\x05\x00\x00\x09"),
    ("bytes that are no utf-8", "\ufffd", b"\x02\x00\x01\xff"),
]
WRONG: list[tuple[str, bytes, str]] = [
    ("endless string", b"\x02\xff\xffx", "AMF string of 65535 bytes exceeds 8192"),
    ("endless long string", b"\x0c\xff\xff\xff\xff", "AMF string of 4294967295 bytes exceeds 8192"),
    ("endless name", b"\x03\xff\xff", "AMF string of 65535 bytes exceeds 8192"),
    ("huge array", b"\x0a\xff\xff\xff\xff", "AMF array of 4294967295 values exceeds 256"),
    ("huge ecma array", b"\x08\xff\xff\xff\xff", "AMF array of 4294967295 values exceeds 256"),
    ("too many values", b"\x05" * 257, "more than 256 values"),
    ("too many properties", b"\x03" + b"\x00\x01a\x05" * 256, "more than 256 values"),
    ("too deep", b"\x0a\x00\x00\x00\x01" * 9 + b"\x05", "nested deeper than 8"),
    ("early end", b"\x00\x00", "8 bytes expected, 1 left"),
    ("object without its end", b"\x03\x00\x01a\x05", "2 bytes expected, 0 left"),
    ("reference", b"\x07\x00\x00", "marker 7 is not supported"),
    ("switch to amf3", b"\x11", "marker 17 is not supported"),
    ("unknown marker", b"\xff", "marker 255 is not supported"),
]


@pytest.mark.parametrize(("value", "data"), [row[1:] for row in BOTH_WAYS], ids=[row[0] for row in BOTH_WAYS])
def test_encode(value: Any, data: bytes) -> None:
    assert amf0.encode(value) == data


@pytest.mark.parametrize(
    ("value", "data"), [r[1:] for r in BOTH_WAYS + ONE_WAY], ids=[r[0] for r in BOTH_WAYS + ONE_WAY]
)
def test_decode(value: Any, data: bytes) -> None:
    assert amf0.decode(data, WIDE) == [value]
    if not data.startswith(b"\x08"):
        assert amf0.decode(data + b"\x05", WIDE) == [value, None]


@pytest.mark.parametrize(("value", "data"), [row[1:] for row in BOTH_WAYS[:-1]], ids=[row[0] for row in BOTH_WAYS[:-1]])
def test_every_early_end_is_an_error(value: Any, data: bytes) -> None:
    for size in range(1, len(data)):
        if value == EcmaArray(a=None) and size == len(data) - 3:
            continue  # legal: see "ecma array without its end"
        with pytest.raises(AmfError):
            amf0.decode(data[:size], LIMITS)


@pytest.mark.parametrize(("data", "text"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_wrong(data: bytes, text: str) -> None:
    with pytest.raises(AmfError, match=text):
        amf0.decode(data, LIMITS)


def test_what_amf0_cannot_say() -> None:
    with pytest.raises(TypeError, match="no type for set"):
        amf0.encode({1})


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.one_of(
    st.none(),
    st.just(UNDEFINED),
    st.booleans(),
    st.floats(allow_nan=False),
    texts,
    st.builds(Date, st.floats(allow_nan=False), st.integers(-720, 720)),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(texts.filter(bool), inner, max_size=4),
        st.dictionaries(texts.filter(bool), inner, max_size=4).map(EcmaArray),
    ),
    max_leaves=12,
)


@given(st.lists(values, max_size=4))
def test_round_trip(sent: list[Any]) -> None:
    wide = IngestLimits(amf_depth=100, amf_items=10_000)
    received = amf0.decode(amf0.encode(*sent), wide)
    assert received == sent
    assert repr(received) == repr(sent)  # tells an ECMA array from an object, and True from 1.0


@given(st.binary(max_size=200))
def test_random_bytes_are_values_or_an_amf_error(data: bytes) -> None:
    try:
        assert isinstance(amf0.decode(data, LIMITS), list)
    except AmfError as error:
        assert str(error)

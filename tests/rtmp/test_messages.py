from __future__ import annotations

import pytest

from config.limits import IngestLimits
from ingest.rtmp import amf0
from ingest.rtmp.chunks import Message
from ingest.rtmp.errors import ProtocolError
from ingest.rtmp.messages import (
    Command,
    Data,
    Parsed,
    SetPeerBandwidth,
    UserControl,
    WindowAcknowledgementSize,
    parse,
    split_aggregate,
)

LIMITS = IngestLimits()
PUBLISH = amf0.encode("publish", 3.0, None, "key")
META = amf0.encode("onMetaData", {"width": 1280.0})

TABLE: list[tuple[str, int, bytes, Parsed | None]] = [
    ("command", 20, PUBLISH, Command(name="publish", transaction_id=3.0, stream_id=1, arguments=[None, "key"])),
    ("type 17", 17, b"\0" + PUBLISH, Command(name="publish", transaction_id=3.0, stream_id=1, arguments=[None, "key"])),
    ("name only", 20, amf0.encode("x"), Command(name="x", transaction_id=0.0, stream_id=1, arguments=[])),
    ("data", 18, META, Data(name="onMetaData", timestamp_ms=7, body=META)),
    ("set data frame", 18, amf0.encode("@setDataFrame") + META, Data(name="onMetaData", timestamp_ms=7, body=META)),
    ("type 15", 15, b"\0" + META, Data(name="onMetaData", timestamp_ms=7, body=META)),
    ("data of 4 bytes", 18, b"\0\0\0\1", None),
    ("data without a name", 18, amf0.encode(1.0), None),
    ("data of nothing", 18, b"", None),
    ("ping", 4, b"\x00\x06\x00\x00\x00\x09", UserControl(event_type=6, data=b"\x00\x00\x00\x09")),
    ("window", 5, b"\x00\x00\x10\x00", WindowAcknowledgementSize(window_bytes=4096)),
    ("bandwidth", 6, b"\x00\x00\x10\x00\x02", SetPeerBandwidth(window_bytes=4096)),
    ("acknowledgement", 3, b"\x00\x00\x10\x00", None),
    ("shared object", 19, b"whatever", None),
]


@pytest.mark.parametrize(("type_id", "body", "expected"), [r[1:] for r in TABLE], ids=[r[0] for r in TABLE])
def test_parse(type_id: int, body: bytes, expected: Parsed | None) -> None:
    assert parse(Message(type_id, 7, 1, body), LIMITS) == expected
    assert parse(Message(type_id, 7, 1, memoryview(bytearray(body))), LIMITS) == expected


@pytest.mark.parametrize(
    ("type_id", "body", "text"),
    [
        (20, b"", "does not begin with a name"),
        (20, amf0.encode(1.0), "does not begin with a name"),
        (17, b"", "does not begin with a name"),
        (20, b"\x02\xff", "2 bytes expected, 1 left"),
        (4, b"\0", "user control message has 1 bytes"),
        (5, b"\0", "window message has 1 bytes"),
        (6, b"", "window message has 0 bytes"),
    ],
)
def test_wrong(type_id: int, body: bytes, text: str) -> None:
    with pytest.raises(ProtocolError, match=text):
        parse(Message(type_id, 0, 0, body), LIMITS)


def test_no_repr_tells_what_the_peer_wrote() -> None:
    assert "key" not in repr(parse(Message(20, 0, 0, PUBLISH), LIMITS))


def tag(type_id: int, timestamp_ms: int, body: bytes) -> bytes:
    time = (timestamp_ms & 0xFFFFFF).to_bytes(3, "big") + bytes([timestamp_ms >> 24])
    head = bytes([type_id]) + len(body).to_bytes(3, "big") + time + bytes(3)
    return head + body + (len(body) + 11).to_bytes(4, "big")


@pytest.mark.parametrize("back_pointer", [True, False])
def test_aggregate(back_pointer: bool) -> None:
    data = tag(9, 0x01000000, b"v") + tag(8, 0x01000005, b"aa")
    parts = split_aggregate(Message(22, 100, 1, data if back_pointer else data[:-4]))
    assert [p._replace(body=bytes(p.body)) for p in parts] == [Message(9, 100, 1, b"v"), Message(8, 105, 1, b"aa")]


@pytest.mark.parametrize(
    ("data", "text"), [(bytes(10), "header of 11 bytes, 10 left"), (tag(9, 0, b"abc")[:13], "body of 3 bytes, 2 left")]
)
def test_aggregate_that_ends_early(data: bytes, text: str) -> None:
    with pytest.raises(ProtocolError, match=text):
        list(split_aggregate(Message(22, 0, 1, data)))

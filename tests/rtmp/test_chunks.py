from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.limits import IngestLimits
from ingest.rtmp.chunk_writer import ChunkWriter
from ingest.rtmp.chunks import ChunkReader, Message
from ingest.rtmp.errors import ProtocolError

LIMITS = IngestLimits(message_before_key_bytes=1 << 20)
FMT0 = b"\x04\x00\x00\x64\x00\x00\x03\x09\x01\x00\x00\x00abc"  # csid 4, 100 ms, 3 bytes, video, stream 1
M0 = Message(9, 100, 1, b"abc")


def read(data: bytes, step: int | None = None, limits: IngestLimits = LIMITS) -> list[Message]:
    """All messages of `data`, fed `step` bytes at a time through a buffer that is overwritten each time."""
    reader = ChunkReader(limits)
    messages: list[Message] = []
    step = step or max(1, len(data))
    buffer = bytearray(step)
    for start in range(0, len(data), step):
        piece = data[start : start + step]
        buffer[: len(piece)] = piece
        reader.feed(memoryview(buffer)[: len(piece)])
        while (message := reader.next_message()) is not None:
            messages.append(message._replace(body=bytes(message.body)))
    return messages


EXT = b"\x01\x00\x00\x00"
BIG = 0x01000000
TABLE: list[tuple[str, bytes, list[Message]]] = [
    ("format 0", FMT0, [M0]),
    ("empty message", b"\x04\x00\x00\x64\x00\x00\x00\x09\x01\x00\x00\x00", [Message(9, 100, 1, b"")]),
    ("two-byte id", b"\x00\x0a" + FMT0[1:] + b"\xc0\x0adef", [M0, Message(9, 200, 1, b"def")]),
    ("three-byte id", b"\x01\x0a\x01" + FMT0[1:] + b"\xc1\x0a\x01def", [M0, Message(9, 200, 1, b"def")]),
    ("the same id in two forms", b"\x00\x0a" + FMT0[1:] + b"\xc1\x0a\x00def", [M0, Message(9, 200, 1, b"def")]),
    ("format 1", FMT0 + b"\x44\x00\x00\x0a\x00\x00\x02\x08de", [M0, Message(8, 110, 1, b"de")]),
    ("format 2", FMT0 + b"\x84\x00\x00\x0adef", [M0, Message(9, 110, 1, b"def")]),
    (
        "format 3 repeats the delta of format 2",
        FMT0 + b"\x84\x00\x00\x0adef\xc4ghi",
        [M0, Message(9, 110, 1, b"def"), Message(9, 120, 1, b"ghi")],
    ),
    ("format 3 after format 0 up to 1000 ms", FMT0 + b"\xc4def", [M0, Message(9, 200, 1, b"def")]),
    (
        "format 3 after format 0 above 1000 ms",
        FMT0.replace(b"\x00\x00\x64", b"\x00\x03\xe9") + b"\xc4def",
        [Message(9, 1001, 1, b"abc"), Message(9, 1001, 1, b"def")],
    ),
    (
        "fresh chunk stream with format 1 (librtmp ping)",
        b"\x42\x00\x00\x05\x00\x00\x06\x04\x00\x07\x00\x00\x00\x01",
        [Message(4, 5, 0, b"\x00\x07\x00\x00\x00\x01")],
    ),
    (
        "extended timestamp",
        b"\x04\xff\xff\xff\x00\x00\x03\x09\x01\x00\x00\x00" + EXT + b"abc",
        [Message(9, BIG, 1, b"abc")],
    ),
    (
        "extended delta, repeated on a new message",
        FMT0 + b"\x84\xff\xff\xff" + EXT + b"def\xc4" + EXT + b"ghi",
        [M0, Message(9, 100 + BIG, 1, b"def"), Message(9, 100 + 2 * BIG, 1, b"ghi")],
    ),
    (
        "extended timestamp of exactly 0xFFFFFF",
        b"\x04\xff\xff\xff\x00\x00\x01\x09\x01\x00\x00\x00\x00\xff\xff\xffa",
        [Message(9, 0xFFFFFF, 1, b"a")],
    ),
    (
        "timestamps wrap at 2^32",
        b"\x04\xff\xff\xff\x00\x00\x01\x09\x01\x00\x00\x00\xff\xff\xff\xf6a\x84\x00\x00\x14b",
        [Message(9, 0xFFFFFFF6, 1, b"a"), Message(9, 10, 1, b"b")],
    ),
    (
        "continuation with extended timestamp",
        b"\x04\xff\xff\xff\x00\x00\x82\x09\x01\x00\x00\x00" + EXT + b"a" * 128 + b"\xc4" + EXT + b"bb",
        [Message(9, BIG, 1, b"a" * 128 + b"bb")],
    ),
    (
        "continuation that leaves the extended timestamp out",
        b"\x04\xff\xff\xff\x00\x00\x84\x09\x01\x00\x00\x00" + EXT + b"a" * 128 + b"\xc4" + b"\x01bcd",
        [Message(9, BIG, 1, b"a" * 128 + b"\x01bcd")],
    ),
    (
        "set chunk size while a message is under way",
        b"\x04\x00\x00\x00\x00\x00\xff\x09\x01\x00\x00\x00"
        + b"a" * 128
        + b"\x02\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00\x00\x00\x10\x00"
        + b"\xc4"
        + b"b" * 127,
        [Message(9, 0, 1, b"a" * 128 + b"b" * 127)],
    ),
    (
        "abort",
        b"\x04\x00\x00\x00\x00\x00\xff\x09\x01\x00\x00\x00"
        + b"a" * 128
        + b"\x02\x00\x00\x00\x00\x00\x04\x02\x00\x00\x00\x00\x00\x00\x00\x04"
        + FMT0,
        [M0],
    ),
    (
        "control message on any chunk stream",
        b"\x07\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00\x00\x00\x00\x01" + FMT0[:-2] + b"\xc4b\xc4c",
        [M0],
    ),
]


@pytest.mark.parametrize(("data", "messages"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
@pytest.mark.parametrize("step", [None, 1, 2, 5])
def test_read(data: bytes, messages: list[Message], step: int | None) -> None:
    assert read(data, step) == messages


@pytest.mark.parametrize(("data", "messages"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_trailing_bytes_wait(data: bytes, messages: list[Message]) -> None:
    assert read(data + b"\x09\x00\x00") == messages


WRONG: list[tuple[str, bytes, str]] = [
    ("fresh with format 2", b"\x84\x00\x00\x00", "chunk stream 4 starts without a length"),
    ("fresh with format 3", b"\xc4", "chunk stream 4 starts without a header"),
    ("16 MB message", b"\x04\x00\x00\x00\xff\xff\xff\x09\x01\x00\x00\x00", "16777215 bytes exceeds 1048576"),
    ("chunk size 0", b"\x02\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00" + bytes(4), "chunk size 0 is not within 1"),
    (
        "chunk size above the bound",
        b"\x02\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00\x01\x00\x00\x00",
        "chunk size 16777216 is not within 1..16777215",
    ),
    ("short control", b"\x02\x00\x00\x00\x00\x00\x01\x01\x00\x00\x00\x00\x01", "control message 1 has 1 bytes"),
    (
        "new message in the middle of one",
        b"\x04\x00\x00\x00\x00\x00\xff\x09\x01\x00\x00\x00" + b"a" * 128 + FMT0,
        "new message before the last one was complete",
    ),
    (
        "33 chunk streams",
        b"".join(bytes([n]) + b"\x00\x00\x00\x00\x00\x00\x09\x01\x00\x00\x00" for n in range(3, 36)),
        "more than 32 chunk streams",
    ),
]


@pytest.mark.parametrize(("data", "text"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_wrong(data: bytes, text: str) -> None:
    with pytest.raises(ProtocolError, match=text):
        read(data)


def test_unfinished_messages_are_bounded_together() -> None:
    limits = IngestLimits(message_before_key_bytes=1000, bytes_in_flight=2500)
    start = b"".join(bytes([n]) + b"\x00\x00\x00\x00\x03\xe8\x09\x01\x00\x00\x00" + bytes(128) for n in (4, 5, 6))
    with pytest.raises(ProtocolError, match="unfinished messages of 3000 bytes exceed 2500"):
        read(start, limits=limits)


def test_finished_and_aborted_messages_are_no_longer_in_flight() -> None:
    limits = IngestLimits(message_before_key_bytes=1000, bytes_in_flight=1000)
    writer = ChunkWriter()
    whole = writer.write(4, Message(9, 0, 1, bytes(1000)))
    abort = writer.write(2, Message(2, 0, 0, (4).to_bytes(4, "big")))
    assert len(read((whole[:300][:140] + abort + whole) * 3, limits=limits)) == 3


def test_the_size_of_a_message_is_checked_before_its_first_byte() -> None:
    reader = ChunkReader(IngestLimits(message_before_key_bytes=10))
    reader.feed(memoryview(b"\x04\x00\x00\x00\x00\x00\x0b\x09\x01\x00\x00\x00"))
    with pytest.raises(ProtocolError, match="message of 11 bytes exceeds 10"):
        reader.next_message()


def test_a_message_in_one_chunk_is_not_copied() -> None:
    buffer = bytearray(FMT0)
    reader = ChunkReader(LIMITS)
    reader.feed(memoryview(buffer))
    message = reader.next_message()
    assert message is not None
    buffer[-3:] = b"xyz"
    assert bytes(message.body) == b"xyz"


messages = st.builds(
    Message,
    st.sampled_from([3, 8, 9, 18, 20]),
    st.one_of(st.integers(0, 2000), st.integers(0xFFFFFE, 0x1000001), st.integers(0, 0xFFFFFFFF)),
    st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=700),
)


@given(
    queues=st.lists(st.lists(messages, max_size=3), min_size=1, max_size=4),
    ids=st.permutations([2, 3, 63, 64, 319, 320, 65599]),
    chunk_bytes=st.integers(1, 300),
    order=st.lists(st.integers(0, 3), max_size=40),
    step=st.integers(1, 400),
)
def test_interleaved_chunk_streams_round_trip(
    queues: list[list[Message]], ids: Sequence[int], chunk_bytes: int, order: list[int], step: int
) -> None:
    writer = ChunkWriter()
    data = writer.write(2, Message(1, 0, 0, chunk_bytes.to_bytes(4, "big")))
    writer.chunk_bytes = chunk_bytes
    chunks = [
        [chunk for m in queue for chunk in writer.chunks(chunk_stream_id, m)]
        for queue, chunk_stream_id in zip(queues, ids, strict=False)
    ]
    for turn in order:
        if turn < len(chunks) and chunks[turn]:
            data += chunks[turn].pop(0)
    data += b"".join(chunk for queue in chunks for chunk in queue)

    received = read(data, step)
    sent = [m for queue in queues for m in queue]
    assert sorted(received) == sorted(sent)
    for queue in queues:
        rest = iter(received)
        assert all(m in rest for m in queue)  # each chunk stream keeps its order


@given(st.binary(max_size=400), st.integers(1, 50))
def test_random_bytes_are_messages_or_a_protocol_error(data: bytes, step: int) -> None:
    try:
        assert all(isinstance(message, Message) for message in read(data, step))
    except ProtocolError as error:
        assert str(error)


@pytest.mark.parametrize("between", range(9))
def test_a_long_message_with_another_between_its_chunks(between: int) -> None:
    """Runs of chunks are read at once; a run may end at any chunk, and the bytes at any place in it."""
    video = Message(9, 1000, 1, bytes(range(256)) * 4 + b"the end")
    audio = Message(8, 1003, 1, b"sound")
    chunks = ChunkWriter().chunks(6, video)
    assert len(chunks) == 9
    chunks.insert(between, ChunkWriter().write(4, audio))
    data = b"".join(chunks)
    expected = [audio, video]
    assert read(data) == expected
    for step in (*range(1, 300, 7), len(data) - 1):
        assert read(data, step) == expected


def test_a_known_stream_whose_message_is_interrupted() -> None:
    first, long = Message(9, 0, 1, b"v"), Message(9, 40, 1, b"w" * 300)
    chunks = ChunkWriter().chunks(6, long)
    audio = ChunkWriter().write(4, M0)
    data = ChunkWriter().write(6, first) + chunks[0] + audio + b"".join(chunks[1:])
    assert read(data) == [first, M0, long]

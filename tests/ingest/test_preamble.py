"""What is kept of a connection for a reader that comes late."""

from __future__ import annotations

import pytest

from ingest.preamble import FlvPreamble
from ingest.rtmp.flv import AUDIO_TAG, FILE_HEADER, SCRIPT_TAG, VIDEO_TAG, tag

AVC = b"\x17\0\0\0\0avcC"
HEVC = b"\x1c\0\0\0\0hvcC"
AAC = b"\xaf\0\x11\x90"
ENHANCED = b"\x90hvc1hvcC"
ENHANCED_AUDIO = b"\x90Opushead"
TRACK_0 = b"\x96\0avc1\0avcC"
TRACK_1 = b"\x96\0avc1\1avcC"
META = b"\2\0\12onMetaData"

KEPT = [(VIDEO_TAG, AVC), (VIDEO_TAG, HEVC), (VIDEO_TAG, ENHANCED), (AUDIO_TAG, AAC), (AUDIO_TAG, ENHANCED_AUDIO),
        (VIDEO_TAG, TRACK_0), (SCRIPT_TAG, META)]  # fmt: skip
LEFT_OUT = [(VIDEO_TAG, b"\x17\1\0\0\0picture"), (VIDEO_TAG, b"\x91hvc1picture"), (VIDEO_TAG, b"\x96\1avc1\0picture"),
            (AUDIO_TAG, b"\xaf\1packet"), (AUDIO_TAG, b"\x91Opuspacket"), (AUDIO_TAG, b"\x2f\xff\xfbmp3"),
            (VIDEO_TAG, b"\x17"), (VIDEO_TAG, b""), (SCRIPT_TAG, bytes(70_000))]  # fmt: skip


def written(tag_type: int, body: bytes) -> bytes:
    return b"".join(map(bytes, tag(tag_type, 0, body)))


@pytest.mark.parametrize(("tag_type", "body"), KEPT)
def test_kept(tag_type: int, body: bytes) -> None:
    preamble = FlvPreamble()
    preamble.note([FILE_HEADER])
    buffer = bytearray(body)
    preamble.note(tag(tag_type, 0, memoryview(buffer)))
    buffer[:] = bytes(len(buffer))  # the receive buffer is reused
    assert preamble.data() == FILE_HEADER + written(tag_type, body)


@pytest.mark.parametrize(("tag_type", "body"), LEFT_OUT)
def test_left_out(tag_type: int, body: bytes) -> None:
    preamble = FlvPreamble()
    preamble.note(tag(tag_type, 0, body))
    assert preamble.data() == b""


def test_the_latest_of_each_track_in_the_order_of_their_first() -> None:
    preamble = FlvPreamble()
    for body in (TRACK_1, TRACK_0, TRACK_1 + b"new"):
        preamble.note(tag(VIDEO_TAG, 0, body))
    assert preamble.data() == written(VIDEO_TAG, TRACK_1 + b"new") + written(VIDEO_TAG, TRACK_0)


def test_an_encoder_that_invents_tracks_fills_no_memory() -> None:
    preamble = FlvPreamble()
    for track in range(256):
        preamble.note(tag(VIDEO_TAG, 0, b"\x96\0avc1" + bytes((track,)) + b"avcC"))
    assert len(preamble.data()) < 1000

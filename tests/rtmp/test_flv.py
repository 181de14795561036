from __future__ import annotations

import pytest

from ingest.rtmp import flv


def test_the_file_header_announces_both_kinds_and_has_the_first_tag_size() -> None:
    assert flv.FILE_HEADER == b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("tag_type", "timestamp_ms", "header"),
    [
        (flv.AUDIO_TAG, 0, "08 000003 000000 00 000000"),
        (flv.VIDEO_TAG, 0x123456, "09 000003 123456 00 000000"),
        (flv.SCRIPT_TAG, 0xFEDCBA98, "12 000003 dcba98 fe 000000"),
    ],
)
def test_tag(tag_type: int, timestamp_ms: int, header: str) -> None:
    assert b"".join(flv.tag(tag_type, timestamp_ms, b"abc")) == bytes.fromhex(header) + b"abc" + b"\0\0\0\x0e"


def test_the_body_is_not_copied() -> None:
    body = memoryview(bytearray(70_000))
    buffers = flv.tag(flv.VIDEO_TAG, 0, body)
    assert buffers[1] is body
    assert bytes(buffers[0])[1:4] == (70_000).to_bytes(3, "big")
    assert bytes(buffers[2]) == (70_011).to_bytes(4, "big")

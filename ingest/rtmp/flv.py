"""RTMP messages as FLV (Adobe FLV specification 10.1, Annex E): a file header, then one tag per message."""

from __future__ import annotations

import struct

from ingest.admission import Buffer

AUDIO_TAG = 8
VIDEO_TAG = 9
SCRIPT_TAG = 18
TAG_HEADER_BYTES = 11

FILE_HEADER = b"FLV\x01\x05\x00\x00\x00\x09" + bytes(4)
"""The file header (audio and video announced) and PreviousTagSize0: what every FLV stream starts with."""

_tag_header = struct.Struct(">II3x").pack
_previous_tag_size = struct.Struct(">I").pack


def tag(tag_type: int, timestamp_ms: int, body: Buffer) -> list[Buffer]:
    """The buffers of one tag: header (11 bytes), the body itself, PreviousTagSize (4 bytes).

    `timestamp_ms` is the 32-bit RTMP timestamp: its low 24 bits come first, its top byte is TimestampExtended.
    """
    size_bytes = len(body)
    return [
        _tag_header(tag_type << 24 | size_bytes, (timestamp_ms & 0xFFFFFF) << 8 | timestamp_ms >> 24),
        body,
        _previous_tag_size(size_bytes + TAG_HEADER_BYTES),
    ]

"""The headers of Enhanced RTMP bodies (veovera, E-RTMP v2): which codec, what kind of packet, whose track."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

SEQUENCE_START: Final = 0
CODED_FRAMES: Final = 1
CODED_FRAMES_X: Final = 3
"""Coded frames of video whose composition time is zero, and which leave it out."""

_MOD_EX = 7
_MULTITRACK = {"video": 6, "audio": 5}
_ONE_TRACK = 0
_FOUR_CC_BYTES = 4
_WITH_COMPOSITION_TIME = (b"avc1", b"hvc1")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhancedPacket:
    """One packet of one track. `has_more_tracks`: the body held others behind it."""

    four_cc: bytes
    kind: int
    track_id: int
    composition_ms: int
    data: bytes
    has_more_tracks: bool


def read_enhanced(body: bytes, media: Literal["video", "audio"]) -> EnhancedPacket | None:
    """The first packet of a body whose header says that it is an enhanced one; None when it is cut short."""
    try:
        return _read(body, media)
    except IndexError:
        return None


def _read(body: bytes, media: Literal["video", "audio"]) -> EnhancedPacket:
    kind, at = body[0] & 0x0F, 1
    while kind == _MOD_EX:  # such as a nanosecond offset: nothing here needs it
        size_bytes, at = body[at] + 1, at + 1
        if size_bytes == 256:
            size_bytes, at = int.from_bytes(body[at : at + 2], "big") + 1, at + 2
        at += size_bytes
        kind, at = body[at] & 0x0F, at + 1
    track_id, has_more = 0, False
    if kind == _MULTITRACK[media]:
        layout, kind = body[at] >> 4, body[at] & 0x0F
        four_cc, track_id, at = body[at + 1 : at + 5], body[at + 5], at + 6
        data = body[at:]
        if layout != _ONE_TRACK:
            end = 3 + int.from_bytes(data[:3], "big")
            has_more = len(data) > end
            data = data[3:end]
    else:
        four_cc, data = body[at : at + 4], body[at + 4 :]
    if len(four_cc) < _FOUR_CC_BYTES:
        raise IndexError("the body ends within its FourCC")
    composition_ms = 0
    if media == "video" and kind == CODED_FRAMES and four_cc in _WITH_COMPOSITION_TIME:
        composition_ms, data = int.from_bytes(data[:3], "big", signed=True), data[3:]
    return EnhancedPacket(
        four_cc=four_cc,
        kind=kind,
        track_id=track_id,
        composition_ms=composition_ms,
        data=data,
        has_more_tracks=has_more,
    )

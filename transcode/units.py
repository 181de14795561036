"""What a demuxer yields, whatever the container was: configurations, packets and hints. Times are raw source times.

They are in milliseconds, not always whole ones, and only their differences count: FLV's are modulo 2^32. Packets
are not frozen, because that makes each three times as costly to make.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoConfig:
    """A video decoder configuration. `codec` is h264, hevc, av1 or vp9; `extradata` its avcC, hvcC, av1C or vpcC."""

    codec: str
    extradata: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioConfig:
    """An audio decoder configuration. For aac `extradata` is the AudioSpecificConfig, which says the rest.

    `sample_rate_hz` and `channels` are 0 where `extradata` says them or nothing does.
    """

    codec: str
    extradata: bytes
    sample_rate_hz: int
    channels: int


@dataclass(slots=True, kw_only=True)
class VideoPacket:
    """One coded picture. For h264 `data` is NAL units, each behind its length in four bytes."""

    dts_ms: float
    composition_ms: float
    keyframe: bool
    data: bytes


@dataclass(slots=True, kw_only=True)
class AudioPacket:
    """One coded audio packet."""

    pts_ms: float
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What the encoder says of itself. Never relied on: often missing, sometimes wrong."""

    frame_rate: float | None = None
    video_bitrate_bps: float | None = None
    encoder: str | None = None
    has_extra_tracks: bool = False
    """Whether there are tracks beside the ones that are used; this is never wrong."""


Unit = VideoConfig | AudioConfig | VideoPacket | AudioPacket | Hints


class BadMedia(ValueError):
    """The bytes are not the container that was announced. The message says what is wrong with them."""


class UnsupportedCodec(ValueError):
    """The source uses a codec that this system does not take. The message names it."""

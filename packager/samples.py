"""What the packager takes: tracks and their coded samples."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One coded picture or audio frame. Times and duration are in ticks of the track's `timescale_hz`."""

    dts: int
    pts: int
    duration: int
    keyframe: bool
    data: bytes | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTrack:
    """A video rendition. `decoder_config` is the avcC record (ISO/IEC 14496-15, 5.3.3)."""

    name: str
    timescale_hz: int
    codec: str
    decoder_config: bytes
    width_px: int
    height_px: int
    frame_rate: Fraction | float | None
    bandwidth_bps: int
    average_bandwidth_bps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioTrack:
    """An audio rendition. `decoder_config` is the AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1)."""

    name: str
    timescale_hz: int
    codec: str
    decoder_config: bytes
    sample_rate_hz: int
    channels: int
    bandwidth_bps: int
    average_bandwidth_bps: int


Track = VideoTrack | AudioTrack

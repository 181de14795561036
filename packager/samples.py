"""What the packager takes: tracks and their coded samples."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(slots=True, kw_only=True)
class Sample:
    """One coded picture or audio frame. Times and duration are in ticks of the track's `timescale_hz`.

    Not frozen, because that makes each three times as costly to make.
    """

    dts: int
    pts: int
    duration: int
    keyframe: bool
    data: bytes | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTrack:
    """A video rendition. `codec` is avc1, hvc1, av01 or vp09, and `decoder_config` its avcC, hvcC, av1C or vpcC record.

    Width and height are those of the coded picture after cropping; `display_width_px` is what a viewer sees.
    `may_carry_captions` says that the pictures are a source's own: nobody has looked for captions in them.
    """

    name: str
    timescale_hz: int
    codec: str
    decoder_config: bytes
    width_px: int
    height_px: int
    frame_rate: Fraction | float | None
    bandwidth_bps: int
    average_bandwidth_bps: int
    sample_aspect_ratio: Fraction = Fraction(1)
    may_carry_captions: bool = False

    @property
    def display_width_px(self) -> int:
        """The width at square pixels."""
        return round(self.width_px * self.sample_aspect_ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioTrack:
    """An audio rendition. `codec` is mp4a, and `decoder_config` the AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1), or
    Opus, and `decoder_config` the body of its dOps box.
    """

    name: str
    timescale_hz: int
    codec: str
    decoder_config: bytes
    sample_rate_hz: int
    channels: int
    bandwidth_bps: int
    average_bandwidth_bps: int


Track = VideoTrack | AudioTrack

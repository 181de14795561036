"""What passthrough must know of a video before it can announce it: the sample entry, size, pixel aspect and rate."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from packager.codecs import AvcConfig, CodecError, parse_avc_config
from packager.hevc import HevcConfig, parse_hevc_config
from transcode.units import UnsupportedCodec, VideoConfig

SAMPLE_ENTRIES = {"h264": "avc1", "hevc": "hvc1", "av1": "av01", "vp9": "vp09"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoShape:
    """`frame_rate` is None when the configuration says nothing of it."""

    width_px: int
    height_px: int
    sample_aspect_ratio: Fraction
    frame_rate: float | None


def shape_of(config: VideoConfig, keyframe: bytes) -> VideoShape:
    """The shape of a video with this configuration and first picture. Raises `UnsupportedCodec`."""
    if config.codec == "h264":
        try:
            return _told(parse_avc_config(config.extradata))
        except CodecError as error:
            raise UnsupportedCodec(f"the H.264 configuration is not usable: {error}") from error
    if config.codec == "hevc":
        try:
            return _told(parse_hevc_config(config.extradata))
        except CodecError:
            pass  # parameter sets may come with the pictures
    # A decoder knows what the configurations of the others say; one picture of it is enough.
    from transcode.video import VideoDecoder

    decoder = VideoDecoder(config, as_coded=True)
    frames = decoder.decode(keyframe, 0, 0, keyframe=True) or decoder.flush()
    if not frames:
        raise UnsupportedCodec(f"the first picture of {config.codec} can't be decoded")
    return VideoShape(
        width_px=frames[0].width,
        height_px=frames[0].height,
        sample_aspect_ratio=decoder.sample_aspect,
        frame_rate=None,
    )


def _told(config: AvcConfig | HevcConfig) -> VideoShape:
    return VideoShape(
        width_px=config.width_px,
        height_px=config.height_px,
        sample_aspect_ratio=config.sample_aspect_ratio,
        frame_rate=config.frame_rate,
    )

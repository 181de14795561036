"""One rung of the ladder, and the way there: decode a packet, scale a frame, encode it to a CMAF-ready sample."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from packager.samples import Sample
from transcode.deinterlace import Deinterlacer
from transcode.encoder_settings import x264_options
from transcode.ladder_plan import LadderPlan
from transcode.picture import plausible_aspect
from transcode.plan import PlannedRendition
from transcode.units import VideoConfig
from transcode.upright import Turner

_MICROSECONDS = Fraction(1, 1_000_000)
# The library's own choice for AV1 would be a decoder in hardware.
_DECODERS = {"av1": "libdav1d"}


class VideoDecoder:
    """Decodes the pictures of one configuration to upright, progressive frames, or `as_coded`.

    A corrupt picture, or one of more than `pixels_max`, is counted and skipped.
    """

    def __init__(self, config: VideoConfig, *, as_coded: bool = False, pixels_max: int | None = None) -> None:
        self._codec = cast(VideoCodecContext, av.CodecContext.create(_DECODERS.get(config.codec, config.codec), "r"))
        self._codec.extradata = config.extradata
        # FRAME threads would hold back one or two frames each.
        self._codec.thread_type = "SLICE"
        self._codec.thread_count = 1
        if pixels_max is not None:
            self._codec.options = {"max_pixels": str(pixels_max)}
        self._as_coded = as_coded
        self._deinterlacer = Deinterlacer()
        self._turner = Turner()
        self.corrupt = 0

    def decode(self, data: bytes, dts_us: int, pts_us: int, keyframe: bool) -> list[VideoFrame]:
        """The frames that this packet completes, in presentation order; their `pts` is in microseconds."""
        packet = Packet(data)
        packet.dts, packet.pts, packet.time_base, packet.is_keyframe = dts_us, pts_us, _MICROSECONDS, keyframe
        try:
            return self._finished(self._codec.decode(packet))
        except av.FFmpegError:  # most often invalid data, but a decoder may have other words for it
            self.corrupt += 1
            return []

    def flush(self) -> list[VideoFrame]:
        """The frames still held for reordering. The decoder takes no packet afterwards."""
        try:
            frames = self._finished(self._codec.decode(None))
            return frames + [self._turner.turn(frame) for frame in self._deinterlacer.flush()]
        except av.FFmpegError:
            return []

    def _finished(self, frames: list[VideoFrame]) -> list[VideoFrame]:
        if self._as_coded:
            return frames
        return [self._turner.turn(done) for frame in frames for done in self._deinterlacer.frames(frame)]

    @property
    def sample_aspect(self) -> Fraction:
        """Width of a pixel divided by its height, in the frames that are given out."""
        aspect = plausible_aspect(self._codec.sample_aspect_ratio)
        return 1 / aspect if self._turner.swaps_sides else aspect


class Scaler:
    """Scales to one size in 8-bit 4:2:0. Keeps its context: a new one per frame costs three times as much."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self._width_px = width_px
        self._height_px = height_px
        self._reformatter = VideoReformatter()

    def scale(self, frame: VideoFrame) -> VideoFrame:
        """A frame of this scaler's size; the same frame when it has that size already."""
        return self._reformatter.reformat(
            frame,
            width=self._width_px,
            height=self._height_px,
            format="yuv420p",
            interpolation=Interpolation.BICUBIC,
            threads=1,
        )


class RungEncoder:
    """Encodes one rendition of a plan. Every frame given is encoded; ticks are those of the session's grid.

    GOPs are counted from published time 0; tick 0 is published at the plan's lead.

    Samples leave in decode order. Their DTS counts frames, shifted so that an IDR has PTS = DTS: then a segment's
    first sample decodes and shows at the very media time at which the segment was cut.
    """

    def __init__(self, rendition: PlannedRendition, plan: LadderPlan) -> None:
        self.rendition = rendition
        self.rate = plan.rate / rendition.ticks_per_frame
        # Frame durations are whole numbers of this timescale, for 30000/1001 as for 25.
        self.timescale_hz = self.rate.numerator
        self._frame_duration = self.rate.denominator
        self._gop_ticks = plan.cuts.gop_ticks
        self._lead_ticks = plan.cuts.lead_ticks
        self.first_tick = 0
        self._encoded = 0
        codec = av.CodecContext.create("libx264", "w")
        codec.width, codec.height, codec.pix_fmt = rendition.width_px, rendition.height_px, "yuv420p"
        codec.time_base, codec.framerate = 1 / self.rate, self.rate
        codec.bit_rate = rendition.bitrate_bps
        codec.sample_aspect_ratio = Fraction(1)
        codec.thread_count = 1
        codec.flags |= av.codec.context.Flags.global_header
        colours = plan.colours
        codec.color_primaries, codec.color_trc = colours.primaries, colours.transfer
        codec.colorspace, codec.color_range = colours.matrix, colours.range
        codec.options = x264_options(rendition.bitrate_bps, min(rendition.width_px, rendition.height_px))
        codec.open()
        self._codec = codec

    @property
    def decoder_config(self) -> bytes:
        """The avcC record (ISO/IEC 14496-15, 5.3.3)."""
        assert self._codec.extradata is not None
        return self._codec.extradata

    def start_at(self, tick: int) -> None:
        """The first frame will be that of this tick. To be called before there is any."""
        self.first_tick = tick
        self._encoded = tick // self.rendition.ticks_per_frame

    def encode(self, frame: VideoFrame, tick: int) -> list[Sample]:
        """The samples that are complete once this frame is in. `tick` must be a multiple of `ticks_per_frame`."""
        frame.pts = tick // self.rendition.ticks_per_frame
        frame.time_base = 1 / self.rate
        # A decoded frame carries the type it had in the source, which x264 would obey.
        starts_gop = tick == self.first_tick or (tick + self._lead_ticks) % self._gop_ticks == 0
        frame.pict_type = PictureType.I if starts_gop else PictureType.NONE
        return [self._sample(packet) for packet in self._codec.encode(frame)]

    def flush(self) -> list[Sample]:
        """The samples still inside the encoder. It takes no frame afterwards."""
        return [self._sample(packet) for packet in self._codec.encode(None)]

    def _sample(self, packet: Packet) -> Sample:  # type: ignore[type-arg]
        assert packet.pts is not None
        dts = self._encoded
        self._encoded += 1
        return Sample(
            dts=(self._lead_frames + dts) * self._frame_duration,
            pts=(self._lead_frames + packet.pts) * self._frame_duration,
            duration=self._frame_duration,
            keyframe=packet.is_keyframe,
            data=bytes(packet),
        )

    @property
    def _lead_frames(self) -> int:
        return self._lead_ticks // self.rendition.ticks_per_frame

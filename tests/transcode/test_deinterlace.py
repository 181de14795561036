"""Interlaced sources become progressive, and no picture moves in time."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from transcode.units import VideoConfig
from transcode.video import VideoDecoder

FRAMES = 8
FRAME_US = 40_000


def luma_of(frame: VideoFrame) -> int:
    return round(float(frame.to_ndarray()[: frame.height].mean()))


def decoded(*, interlaced: bool) -> list[VideoFrame]:
    """Frames that are brighter by 20 than the one before, encoded and decoded again."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = 320, 192, "yuv420p", Fraction(1, 25)
    codec.flags |= av.codec.context.Flags.global_header
    codec.options = {"tune": "zerolatency", "crf": "10", "x264-params": "annexb=0" + ":interlaced=1" * interlaced}
    codec.open()
    assert codec.extradata is not None
    decoder = VideoDecoder(VideoConfig(codec="h264", extradata=codec.extradata))
    frames = []
    for index in range(FRAMES):
        frame = VideoFrame.from_ndarray(np.full((288, 320), 20 * index + 20, np.uint8), format="yuv420p")
        frame.pts = index
        for packet in codec.encode(frame):
            assert packet.pts is not None
            time_us = packet.pts * FRAME_US
            frames += decoder.decode(bytes(packet), time_us, time_us, packet.is_keyframe)
    return frames + decoder.flush()


@pytest.mark.parametrize("interlaced", [True, False])
def test_each_picture_keeps_its_time(interlaced: bool) -> None:
    frames = decoded(interlaced=interlaced)
    assert [frame.pts for frame in frames] == [index * FRAME_US for index in range(FRAMES)]
    assert not any(frame.interlaced_frame for frame in frames)
    assert [luma_of(frame) for frame in frames] == pytest.approx([20 * index + 20 for index in range(FRAMES)], abs=6)

"""Rotated sources are shown upright."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from tests.clips import FFMPEG
from transcode.picture import displayed_size
from transcode.units import VideoConfig
from transcode.upright import Turner
from transcode.video import VideoDecoder

# Brighter at the top: where that side is afterwards tells how the picture was turned.
BRIGHT_TOP = "color=black:size=320x192:rate=30,drawbox=h=48:color=white:t=fill,setsar=4/3"


def rotated_clip(path: Path, degrees: int) -> Path:
    """Two GOPs whose first picture alone says that all are to be turned, as FFmpeg's `h264_metadata` writes it."""
    command = [FFMPEG, "-v", "error", "-y", "-f", "lavfi", "-i", BRIGHT_TOP, "-frames:v", "12", "-g", "6"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"]
    command += ["-bsf:v", f"h264_metadata=display_orientation=insert:rotate={degrees}", str(path)]
    subprocess.run(command, check=True, timeout=20)
    return path


def decoded(path: Path, *, as_coded: bool = False) -> tuple[list[VideoFrame], Fraction]:
    """All frames of a clip, and the aspect of their pixels."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        config = VideoConfig(codec="h264", extradata=stream.codec_context.extradata or b"")
        decoder = VideoDecoder(config, as_coded=as_coded)
        frames = []
        for index, packet in enumerate(packet for packet in container.demux(stream) if packet.size):
            frames += decoder.decode(bytes(packet), index * 1000, index * 1000, packet.is_keyframe)
    return frames + decoder.flush(), decoder.sample_aspect


def bright_side(frame: VideoFrame) -> str:
    luma = frame.to_ndarray()[: frame.height, : frame.width].astype(np.float32)
    sides = {"top": luma[:8], "bottom": luma[-8:], "left": luma[:, :8], "right": luma[:, -8:]}
    return max(sides, key=lambda side: float(sides[side].mean()))


@pytest.mark.parametrize(
    ("degrees", "size", "side"),
    [(0, (427, 192), "top"), (90, (192, 427), "left"), (180, (427, 192), "bottom"), (270, (192, 427), "right")],
)
def test_every_picture_is_upright(tmp_path: Path, degrees: int, size: tuple[int, int], side: str) -> None:
    frames, aspect = decoded(rotated_clip(tmp_path / "rotated.flv", degrees))
    assert [frame.pts for frame in frames] == [index * 1000 for index in range(12)]
    assert {bright_side(frame) for frame in frames} == {side}
    for frame in frames:
        width_px, height_px = displayed_size(frame, aspect)
        # Turned pixels are tall: the size in square pixels is counted by the height, which stays.
        assert width_px / height_px == pytest.approx(size[0] / size[1], rel=0.01)


def test_a_decoder_can_leave_pictures_as_they_are_coded(tmp_path: Path) -> None:
    frames, aspect = decoded(rotated_clip(tmp_path / "rotated.flv", 90), as_coded=True)
    assert {(frame.width, frame.height) for frame in frames} == {(320, 192)} and aspect == Fraction(4, 3)
    assert {bright_side(frame) for frame in frames} == {"top"}


def test_an_upright_picture_is_free_at_once() -> None:
    """A frame in a reference cycle waits for the garbage collector, with its megabyte."""
    frame = VideoFrame(64, 36, "yuv420p")
    references = sys.getrefcount(frame)
    assert Turner().turn(frame) is frame
    assert sys.getrefcount(frame) == references

"""`antlive demo`: an encoder of our own that pushes the test picture, for those who have no OBS at hand."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable
from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from antlive.node import NodeFiles
from antlive.ready_stream import FILE as READY_STREAM_FILE
from antlive.serve import RUN_FILE
from antlive.test_pattern import TestPattern, beep
from config.settings import Settings

SAMPLE_RATE_HZ = 48_000
_AUDIO_FRAME = 1024


class NothingToPushTo(RuntimeError):
    """No URL was given and no `antlive serve` runs on this data directory."""


def demo(settings: Settings, url: str | None, size: str, fps: int, seconds: float | None) -> int:
    """Push until Ctrl-C or for `seconds`. Returns the exit code; errors are one line on standard error."""
    try:
        width_px, height_px = _size(size)
        if not 5 <= fps <= 60:
            raise argparse.ArgumentTypeError(f"--fps {fps} is not between 5 and 60")
        target = url or _ready_url(NodeFiles(settings.data_dir))
    except (argparse.ArgumentTypeError, NothingToPushTo) as error:
        print(f"antlive demo: {error}", file=sys.stderr)
        return 2
    print(f"pushing {width_px}x{height_px} at {fps} frames/s; Ctrl-C stops", flush=True)
    try:
        push(target, width_px, height_px, fps, seconds)
    except KeyboardInterrupt:
        print()
    except av.FFmpegError as error:
        print(f"antlive demo: the server ended the connection ({error.strerror})", file=sys.stderr)
        return 1
    return 0


def push(
    url: str,
    width_px: int,
    height_px: int,
    fps: int,
    seconds: float | None = None,
    *,
    gop_s: float = 1.0,
    bitrate_bps: int = 3_000_000,
    on_frame: Callable[[int], None] | None = None,
) -> None:
    """Encode and push in real time. Raises `av.FFmpegError` when the server refuses or leaves."""
    pattern = TestPattern(width_px, height_px, fps)
    with av.open(url, "w", format="flv", options={"flvflags": "no_duration_filesize"}) as output:
        video = _video_stream(output, width_px, height_px, fps, gop_s, bitrate_bps)
        audio = output.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="stereo")
        audio.bit_rate = 128_000
        started_s = time.monotonic()
        sample = 0
        index = 0
        while seconds is None or index < seconds * fps:
            _wait_until(started_s + index / fps)
            frame = VideoFrame.from_ndarray(pattern.frame(index, round(time.time() * 1000)), format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            output.mux(video.encode(frame))
            while sample * fps < (index + 1) * SAMPLE_RATE_HZ:
                output.mux(audio.encode(_audio_frame(sample)))
                sample += _AUDIO_FRAME
            index += 1
            if on_frame is not None:
                on_frame(index)
        output.mux(video.encode(None))
        output.mux(audio.encode(None))


def _video_stream(
    output: av.container.OutputContainer, width_px: int, height_px: int, fps: int, gop_s: float, bitrate_bps: int
) -> VideoStream:
    options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(round(fps * gop_s)), "sc_threshold": "0"}
    video = output.add_stream("libx264", rate=fps, options=options)
    video.width, video.height, video.pix_fmt = width_px, height_px, "yuv420p"
    video.bit_rate = bitrate_bps
    return video


def _audio_frame(sample: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(beep(sample, _AUDIO_FRAME, SAMPLE_RATE_HZ), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE_HZ, sample, Fraction(1, SAMPLE_RATE_HZ)
    return frame


def _wait_until(due_s: float) -> None:
    delay_s = due_s - time.monotonic()
    if delay_s > 0:
        time.sleep(delay_s)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"--size {text!r} is not WIDTHxHEIGHT in pixels")
    width_px, height_px = int(match[1]), int(match[2])
    if width_px % 4 or height_px % 4 or not min(width_px, height_px) >= 64 or max(width_px, height_px) > 3840:
        raise argparse.ArgumentTypeError(f"--size {text}: each side must be a multiple of 4 from 64 to 3840")
    return width_px, height_px


def _ready_url(files: NodeFiles) -> str:
    running, stream = files.read_json(RUN_FILE), files.read_json(READY_STREAM_FILE)
    if running is None or stream is None:
        raise NothingToPushTo(f"nothing runs with ANTLIVE_DATA_DIR={files.data_dir}: start `make run`, or give --url")
    return f"rtmp://127.0.0.1:{running['rtmp_port']}/live/{stream['key']}"

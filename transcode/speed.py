"""How fast this machine transcodes: made-up pictures through the decoder, the scalers and the encoders of a ladder.

The pictures have the spectrum of natural ones and move; what is still easier about them is set right by a share that
was measured. CPU time is measured with every core busy: cores that share their units are slower then, as they are when
the node is full.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from config.ladders import Ladder, Rung
from transcode.ladder_plan import Colours, LadderPlan
from transcode.picture import PictureFitter
from transcode.units import VideoConfig
from transcode.video import RungEncoder, Scaler, VideoDecoder

_TEXTURE_PX = 1024
_PAN_PX = 3
_NOISE = 2.0
_NATURAL_SHARE = 0.62
"""Units of `config.costs` that a core does in a second of natural ladders, over the pixels of these that it encodes."""
_NATURAL_LADDER_SHARE = 0.8
"""Speed of a ladder with natural pictures over that with these. Both are means of two clips and two ladders."""
_SOURCE_BITS_PER_PX = 0.2
_SOURCE_PICTURES = 60
_UNSPECIFIED = Colours(primaries=2, transfer=2, matrix=2, range=0)
_PROBE = Ladder((Rung(480, 1_400_000, 30),))


class Pictures:
    """A pan over a texture with noise, in 8-bit 4:2:0. The same for the same size."""

    def __init__(self, width_px: int, height_px: int) -> None:
        random = np.random.default_rng(1)
        across, down = np.fft.fftfreq(_TEXTURE_PX), np.fft.fftfreq(_TEXTURE_PX)
        distance = np.hypot(*np.meshgrid(across, down))
        distance[0, 0] = 1.0
        spectrum = np.fft.fft2(random.standard_normal((_TEXTURE_PX, _TEXTURE_PX))) / distance
        texture = np.real(np.fft.ifft2(spectrum))
        texture = 125 + texture / texture.std() * 40
        times = -(-max(width_px, height_px) // _TEXTURE_PX) + 1
        self._luma = np.tile(texture, (times, times))
        self._noise = random.normal(0, _NOISE, (height_px + 64, width_px + 64))
        self._size_px = width_px, height_px

    def picture(self, index: int) -> NDArray[np.uint8]:
        """The picture of this number."""
        width_px, height_px = self._size_px
        x, y = index * _PAN_PX % _TEXTURE_PX, index % _TEXTURE_PX
        grain = self._noise[index * 7 % 64 :, index * 13 % 64 :][:height_px, :width_px]
        luma = np.clip(self._luma[y : y + height_px, x : x + width_px] + grain, 16, 235).astype(np.uint8)
        chroma = np.full((height_px // 2, width_px), 128, np.uint8)
        return np.vstack((luma, chroma))


def in_parallel(work: Callable[[], float], threads: int) -> list[float]:
    """What `work` returns in each of so many threads that begin at the same time."""
    together = threading.Barrier(threads)

    def run() -> float:
        together.wait()
        return work()

    with ThreadPoolExecutor(threads) as pool:
        return [running.result() for running in [pool.submit(run) for _ in range(threads)]]


def encoded_megapixels_per_core_s(threads: int, pictures: int = 40) -> float:
    """Millions of natural pixels that a core encodes in a second of its time, with `threads` at work.

    Takes about a third of a second.
    """
    plan = _plan(_PROBE, Fraction(30))
    made = Pictures(*plan.shape_px)
    arrays = [made.picture(index) for index in range(pictures)]

    def encode() -> float:
        # An encoder writes into the frames that it is given: each thread has its own.
        frames = [VideoFrame.from_ndarray(array, format="yuv420p") for array in arrays]
        encoder = RungEncoder(plan.renditions[0], plan)
        begun_s = time.thread_time()
        for tick, frame in enumerate(frames):
            encoder.encode(frame, tick)
        encoder.flush()
        return time.thread_time() - begun_s

    took_s = in_parallel(encode, threads)
    return _NATURAL_SHARE * pictures * math.prod(plan.shape_px) / 1e6 * threads / sum(took_s)


def ladder_speed(ladder: Ladder, threads: int, rate_hz: int = 30, pictures: int = 240) -> float:
    """How many streams of a ladder the machine encodes in real time with so many threads at full load.

    The source has the size of the top rung. Sound and packaging are left out.
    """
    plan = _plan(ladder, Fraction(rate_hz))
    config, packets = _source(plan.shape_px, rate_hz)

    def transcode() -> float:
        decoder, fitter = VideoDecoder(config), PictureFitter(*plan.shape_px)
        scalers = [Scaler(rendition.width_px, rendition.height_px) for rendition in plan.renditions]
        encoders = [RungEncoder(rendition, plan) for rendition in plan.renditions]
        begun_s, tick = time.thread_time(), 0
        while tick < pictures:
            for index, data in enumerate(packets):
                us = (tick + 1) * 1_000_000 // rate_hz
                for frame in decoder.decode(data, us, us, index == 0):
                    scaled = fitter.fit(frame, Fraction(1))
                    for scaler, encoder in zip(scalers, encoders, strict=True):
                        if tick % encoder.rendition.ticks_per_frame == 0:
                            scaled = scaler.scale(scaled)
                            encoder.encode(scaled, tick)
                    tick += 1
        return tick / rate_hz / (time.thread_time() - begun_s)

    return _NATURAL_LADDER_SHARE * sum(in_parallel(transcode, threads))


def _plan(ladder: Ladder, rate: Fraction) -> LadderPlan:
    """For a source as large as the top rung."""
    short_px = ladder.rungs[0].short_side_px
    return LadderPlan(
        ladder=ladder,
        segment_s=2.0,
        part_s=0.333,
        shape_px=(round(short_px * 16 / 9 / 2) * 2, short_px),
        rate=rate,
        origin_s=0.0,
        start_wall_s=0.0,
        lag_s=0.0,
        colours=_UNSPECIFIED,
    )


def _source(shape_px: tuple[int, int], rate_hz: int) -> tuple[VideoConfig, list[bytes]]:
    """An encoder's upload: a second or two of one GOP, which is played over and over."""
    width_px, short_px = shape_px
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = width_px, short_px, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, rate_hz), Fraction(rate_hz)
    codec.bit_rate = int(width_px * short_px * rate_hz * _SOURCE_BITS_PER_PX)
    codec.flags |= av.codec.context.Flags.global_header
    codec.options = {"preset": "veryfast", "x264-params": "annexb=0:bframes=0:keyint=1000:scenecut=0"}
    made = Pictures(width_px, short_px)
    packets = []
    for index in range(_SOURCE_PICTURES):
        frame = VideoFrame.from_ndarray(made.picture(index), format="yuv420p")
        frame.pts = index
        packets += [bytes(packet) for packet in codec.encode(frame)]
    packets += [bytes(packet) for packet in codec.encode(None)]
    assert codec.extradata is not None
    return VideoConfig(codec="h264", extradata=codec.extradata), packets

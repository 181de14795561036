"""A source that shows how far sound and picture are apart, and the measure of it.

The picture is black but for a white tenth of a second, at every whole second but the first; a tone sounds
exactly as long.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from tests.clips import synthetic_clip

_FLASH = "gte(t,0.5)*lt(mod(t,1),0.1)"
_BRIGHT = 150
_LOUD = 0.1
_APART_S = 0.25
"""A flash and a tone belong together when they are no farther apart."""


def flashing_clip(
    path: Path,
    *,
    size: str = "320x180",
    fps: str = "30",
    seconds: float = 20,
    audio_rate_hz: int = 48_000,
    video: tuple[str, ...] = (),
    gop_frames: int = 30,
    extra_filters: str = "",
) -> Path:
    """An FLV file of flashes and tones."""
    tone = f"aevalsrc='if({_FLASH},0.5*sin(2*PI*1000*t),0)':sample_rate={audio_rate_hz}"
    return synthetic_clip(
        path,
        size=size,
        fps=fps,
        seconds=seconds,
        filters=f"drawbox=color=black:t=fill,drawbox=color=white:t=fill:enable='{_FLASH}'{extra_filters}",
        audio=("-c:a", "aac", "-ac", "2"),
        audio_source=tone,
        gop_frames=gop_frames,
        video=video,
    )


def offsets_s(pictures: Iterable[VideoFrame], sound: Iterable[AudioFrame]) -> list[tuple[float, float]]:
    """When each flash was, and how much later its tone begins, both in seconds of media time."""
    tones_s = _tones_s(sound)
    found = []
    for flash_s in _flashes_s(pictures):
        near = [tone_s - flash_s for tone_s in tones_s if abs(tone_s - flash_s) <= _APART_S]
        if near:
            found.append((flash_s, min(near, key=abs)))
    return found


def _flashes_s(pictures: Iterable[VideoFrame]) -> list[float]:
    times_s = []
    was_bright = True
    for frame in pictures:
        assert frame.time is not None
        bright = float(np.asarray(frame.to_ndarray(format="gray")).mean()) > _BRIGHT
        if bright and not was_bright:
            times_s.append(frame.time)
        was_bright = bright
    return times_s


def _tones_s(sound: Iterable[AudioFrame]) -> list[float]:
    times_s = []
    quiet_since_s = None
    for frame in sound:
        assert frame.time is not None
        loud = np.abs(frame.to_ndarray()).max(axis=0) > _LOUD
        start_s = frame.time
        if quiet_since_s is None:
            quiet_since_s = start_s
        for index in np.flatnonzero(loud):
            at_s = start_s + float(index) / frame.sample_rate
            if at_s - quiet_since_s > _APART_S:
                times_s.append(at_s)
            quiet_since_s = at_s
    return times_s

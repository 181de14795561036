"""Every kind of source plays: pushed by a real ffmpeg, fetched over HTTP, decoded again."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.clips import natural_clip, synthetic_clip
from tests.e2e.node import Node, pushing, wait_until
from tests.e2e.viewer import Watched, watch

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source and what must come of it."""

    name: str
    clip: dict[str, Any] = field(default_factory=dict)
    quality: str = "standard"
    sizes: dict[str, tuple[int, int]] = field(default_factory=lambda: {"360p": (640, 360)})
    frame_rate: float = 30
    silent: bool = False
    segments: int = 2


SMALL = {"size": "640x360"}
B_FRAMES = ("-bf", "2", "-x264-params", "b-adapt=0")

SOURCES = [
    Source(name="no audio", clip={**SMALL, "audio": None}, silent=True),
    Source(name="23.976 fps", clip={**SMALL, "fps": "24000/1001", "gop_frames": 24}, frame_rate=23.976),
    Source(name="25 fps", clip={**SMALL, "fps": "25", "gop_frames": 25}, frame_rate=25),
    Source(name="29.97 fps", clip={**SMALL, "fps": "30000/1001"}, frame_rate=29.97),
    Source(name="50 fps", clip={**SMALL, "fps": "50", "gop_frames": 50}, frame_rate=25),
    Source(name="60 fps", clip={**SMALL, "fps": "60", "gop_frames": 60}, frame_rate=30),
    Source(
        name="variable frame rate",
        clip={**SMALL, "filters": "select='not(between(mod(n,10),3,5))'", "video": ("-fps_mode", "vfr")},
    ),
    Source(
        name="portrait 720x1280",
        clip={"size": "720x1280"},
        sizes={"720p": (720, 1280), "480p": (480, 854), "360p": (360, 640)},
    ),
    Source(name="odd size 641x361", clip={"size": "641x361", "video": ("-pix_fmt", "yuv444p")}),
    Source(name="smaller than the ladder", clip={"size": "320x180"}, sizes={"180p": (320, 180)}),
    Source(
        name="interlaced",
        clip={**SMALL, "fps": "25", "gop_frames": 25, "video": ("-flags", "+ildct+ilme", "-x264-params", "tff=1")},
        frame_rate=25,
    ),
    Source(name="anamorphic", clip={"size": "480x360", "filters": "setsar=4/3"}),
    Source(name="B-frames", clip={**SMALL, "video": B_FRAMES}),
    Source(
        name="AAC 44.1 kHz mono",
        clip={**SMALL, "audio": ("-c:a", "aac", "-ar", "44100", "-ac", "1")},
    ),
    Source(name="MP3", clip={**SMALL, "audio": ("-c:a", "libmp3lame", "-ar", "44100")}),
    Source(name="late audio", clip={**SMALL, "seconds": 10, "audio_delay_s": 3}, segments=3),
    Source(name="no video yet", clip={**SMALL, "seconds": 8, "video_delay_s": 3}),
    Source(name="10 s GOP", clip={**SMALL, "gop_frames": 300, "seconds": 12}),
    Source(
        name="high 1080p",
        clip={"size": "1920x1080", "fps": "24", "gop_frames": 24},
        quality="high",
        sizes={"1080p": (1920, 1080), "720p": (1280, 720), "480p": (854, 480)},
        frame_rate=24,
    ),
    Source(name="passthrough", clip=SMALL, quality="passthrough", sizes={"source": (640, 360)}),
    Source(
        name="passthrough with B-frames, 44.1 kHz mono",
        clip={**SMALL, "video": B_FRAMES, "audio": ("-c:a", "aac", "-ar", "44100", "-ac", "1")},
        quality="passthrough",
        sizes={"source": (640, 360)},
    ),
    Source(
        name="passthrough with MP3",
        clip={**SMALL, "audio": ("-c:a", "libmp3lame", "-ar", "44100")},
        quality="passthrough",
        sizes={"source": (640, 360)},
    ),
    Source(
        name="passthrough with late audio",
        clip={**SMALL, "seconds": 10, "audio_delay_s": 3},
        quality="passthrough",
        sizes={"source": (640, 360)},
        segments=3,
    ),
    Source(
        name="passthrough without audio",
        clip={**SMALL, "audio": None},
        quality="passthrough",
        sizes={"source": (640, 360)},
        silent=True,
    ),
    Source(
        name="passthrough at 2 fps",
        clip={**SMALL, "fps": "2", "gop_frames": 4, "seconds": 8},
        quality="passthrough",
        sizes={"source": (640, 360)},
        frame_rate=2,
    ),
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
async def test_source_plays(node: Node, clips: Path, source: Source) -> None:
    path = clips / f"{source.name.replace(' ', '-')}.flv"
    synthetic_clip(path, **source.clip)
    stream = await node.create(name=source.name, quality=source.quality)
    async with pushing(path, stream["ingest"]["rtmpFullUrl"], loop=source.segments == 2):
        live = await node.wait_for_state(stream["streamId"], "live", "error")
        assert live["state"] == "live", node.log_text()
        watched = await watch(node, stream["playback"]["hlsUrl"], segments=source.segments)
    assert set(watched) == {*source.sizes, "audio"}
    for name, size in source.sizes.items():
        check_video(watched[name], size, source)
    check_audio(watched["audio"], source.silent)
    check_alignment(watched)
    for rendition in watched.values():
        check_parts(rendition)


async def test_passthrough_says_the_bitrate_that_its_source_has(node: Node, clips: Path) -> None:
    video = ("-b:v", "600k", "-maxrate", "600k", "-bufsize", "600k", "-nal-hrd", "cbr")
    path = synthetic_clip(clips / "cbr.flv", size="640x360", seconds=6, video=video)
    stream = await node.create(quality="passthrough")
    async with pushing(path, stream["ingest"]["rtmpFullUrl"]):
        await node.wait_for_state(stream["streamId"], "live")
        stated_bps: list[int] = []

        async def stated() -> bool:
            master = await node.playlist(stream["playback"]["hlsUrl"])
            stated_bps.append(master.playlists[0].stream_info.average_bandwidth - 160_000)
            return stated_bps[-1] != stated_bps[0]

        await wait_until(stated, "a measured bitrate", 20, lambda: str(stated_bps[-1]))
    assert stated_bps[-1] == pytest.approx(600_000, rel=0.15)


async def test_natural_clip_plays_in_every_rendition_of_standard(node: Node) -> None:
    stream = await node.create(quality="standard")
    encode = ("-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-c:a", "aac")
    async with pushing(natural_clip(), stream["ingest"]["rtmpFullUrl"], *encode):
        await node.wait_for_state(stream["streamId"], "live")
        watched = await watch(node, stream["playback"]["hlsUrl"], segments=3)
    sizes = {"720p": (1280, 720), "480p": (854, 480), "360p": (640, 360)}
    assert set(watched) == {*sizes, "audio"}
    for name, size in sizes.items():
        check_video(watched[name], size, Source(name="natural", frame_rate=25))
    check_audio(watched["audio"], silent=False)
    check_alignment(watched)
    for rendition in watched.values():
        check_parts(rendition)


def check_video(rendition: Watched, size: tuple[int, int], source: Source) -> None:
    frames = rendition.video()
    assert {(frame.width, frame.height) for frame in frames} == {size}
    assert rendition.independent()
    times_s = [float(frame.pts * frame.time_base) for frame in frames if frame.pts is not None and frame.time_base]
    assert len(times_s) == len(frames)
    rate = (len(times_s) - 1) / (times_s[-1] - times_s[0])
    if source.quality == "passthrough":
        assert rate == pytest.approx(source.frame_rate, rel=0.05)
        return
    assert rate == pytest.approx(source.frame_rate, rel=0.0005)
    steps_s = [later - earlier for earlier, later in itertools.pairwise(times_s)]
    assert max(steps_s) - min(steps_s) < 0.001, "the grid has a gap"


def check_audio(rendition: Watched, silent: bool) -> None:
    frames = rendition.audio()
    samples = sum(frame.samples for frame in frames)
    assert samples / frames[0].sample_rate > 2.0
    # The first frames may hold the encoder's priming or the wait for the first packet.
    loudest = max(float(np.abs(frame.to_ndarray()).max()) for frame in frames[len(frames) // 2 :])
    assert (loudest < 0.001) if silent else (loudest > 0.01)


def check_parts(rendition: Watched) -> None:
    """No part is longer than PART-TARGET (rfc8216bis 4.4.4.9): Apple's player refuses such a playlist."""
    text = rendition.playlist_text
    target_s = float(text.split("PART-TARGET=")[1].split("\n")[0])
    durations_s = [float(line.split("DURATION=")[1].split(",")[0]) for line in text.splitlines() if "-PART:" in line]
    assert durations_s and max(durations_s) <= target_s


def check_alignment(watched: dict[str, Watched]) -> None:
    """Segments of all renditions start at the same media times; audio within one AAC frame; no gap inside."""
    starts = {name: rendition.segment_starts_s() for name, rendition in watched.items()}
    video = [values for name, values in starts.items() if name != "audio"]
    for values in video[1:]:
        assert values == pytest.approx(video[0], abs=0.0005)
    for sound_s, picture_s in zip(starts["audio"][1:], video[0][1:], strict=True):
        assert abs(sound_s - picture_s) <= 0.05
    assert {rendition.first_msn for rendition in watched.values()} == {0}

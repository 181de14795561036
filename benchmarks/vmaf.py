"""VMAF of a rendition against its source, frame n against frame n, at the source's size."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from tests.clips import FFMPEG

# Coprime to the GOP, so that every place in a GOP is seen.
SUBSAMPLE = 7


def vmaf(rendition: Path, source: Path, frames: int) -> float:
    """The mean over the first `frames` frames. The rendition is scaled up (bicubic) to 1280x720."""
    with tempfile.NamedTemporaryFile(suffix=".json") as log:
        # Numbered, not timed: no rounding of either container can pair a frame with its neighbour.
        cut = f"trim=end_frame={frames},settb=1/30,setpts=N"
        graph = (
            f"[0:v]{cut},scale=1280:720:flags=bicubic,format=yuv420p[d];[1:v]{cut},format=yuv420p[r];"
            f"[d][r]libvmaf=n_threads=2:n_subsample={SUBSAMPLE}:log_fmt=json:log_path={log.name}:shortest=1"
        )
        command = [FFMPEG, "-v", "error", "-i", str(rendition), "-i", str(source), "-lavfi", graph, "-f", "null", "-"]
        subprocess.run(command, check=True)
        return float(json.loads(Path(log.name).read_text())["pooled_metrics"]["vmaf"]["mean"])

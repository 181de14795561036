"""The peer of the ladder: one ffmpeg command that makes the same three renditions."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from config.ladders import LADDERS
from tests.clips import FFMPEG

SIZES = {"720p": (1280, 720), "480p": (854, 480), "360p": (640, 360)}


def peer_command(source: Path, directory: Path) -> list[str]:
    """`-preset veryfast -tune zerolatency`, ffmpeg's default scaling, GOP 1 s, HLS of fragmented MP4, in real time."""
    graph = "[0:v]split=3[v0][b][c];[b]scale=854:480[v1];[c]scale=640:360[v2]"
    command = [FFMPEG, "-v", "error", "-nostdin", "-y", "-re", "-i", str(source), "-filter_complex", graph]
    command += ["-map", "[v0]", "-map", "[v1]", "-map", "[v2]", "-map", "0:a", "-fps_mode", "passthrough"]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"]
    command += ["-g", "30", "-keyint_min", "30", "-sc_threshold", "0"]
    for index, rung in enumerate(LADDERS["standard"].rungs):
        bitrate_bps = rung.bitrate_bps
        command += [f"-b:v:{index}", str(bitrate_bps), f"-maxrate:v:{index}", str(bitrate_bps * 11 // 10)]
        command += [f"-bufsize:v:{index}", str(bitrate_bps)]
    command += ["-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000"]
    command += ["-f", "hls", "-hls_time", "2", "-hls_list_size", "0", "-hls_segment_type", "fmp4"]
    command += ["-hls_flags", "single_file", "-master_pl_name", "master.m3u8"]
    command += ["-var_stream_map", "v:0,agroup:a v:1,agroup:a v:2,agroup:a a:0,agroup:a", str(directory / "%v.m3u8")]
    return command


def run_peer(source: Path, directory: Path) -> float:
    """Run the peer over the whole source. Returns its CPU seconds, user and system, all threads."""
    directory.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(peer_command(source, directory))
    _pid, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise RuntimeError(f"the peer ended with status {status}")
    return usage.ru_utime + usage.ru_stime


def peer_rendition(directory: Path, name: str) -> Path:
    """The file that holds a rendition of the peer."""
    return directory / f"{list(SIZES).index(name)}.m4s"

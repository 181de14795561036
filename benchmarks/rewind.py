"""A playlist of four hours beside one of a minute: what a longer window costs the worker, the origin, and its viewers.

A session of the standard ladder's shape (three renditions of video and the audio, segments of 2 s, parts of 0.333 s) is
written as a worker writes it, as fast as it goes, until its window is full and its journal was compacted; then an
origin's view of it is measured.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import psutil

from benchmarks.report import Figure
from packager.live_sessions import LiveSession
from packager.playlists import media_playlist
from packager.publication import Part, Publication
from packager.samples import AudioTrack, Track, VideoTrack

_SEGMENT_S = 2.0
_PARTS = 6
_NAMES = ("720p", "480p", "360p")


async def run(directory: Path, quick: bool) -> list[Figure]:
    """One minute, then four hours (a quarter of that when `quick`)."""
    hours = 1.0 if quick else 4.0
    small = await asyncio.to_thread(_measure, directory / "small", 60.0)
    long = await asyncio.to_thread(_measure, directory / "long", hours * 3600)
    share = long["part_us"] / small["part_us"]
    text = f"one minute: {small['full_bytes'] / 1000:.1f} kB, gzipped {small['gzip_bytes'] / 1000:.1f} kB"
    return [
        Figure(name=f"whole playlist of {hours:g} h", value=long["full_bytes"] / 1000, unit="kB", note=text),
        Figure(name="the same, gzipped", value=long["gzip_bytes"] / 1000, unit="kB"),
        Figure(name="rendering it", value=long["full_ms"], unit="ms", at_most=10),
        Figure(name="compressing it", value=long["gzip_ms"], unit="ms", at_most=20),
        Figure(
            name="delta update", value=long["delta_bytes"] / 1000, unit="kB", at_most=small["delta_bytes"] * 1.1 / 1000
        ),
        Figure(name="rendering it", value=long["delta_ms"], unit="ms", at_most=1),
        Figure(name="publishing a part, against a window of a minute", value=share, unit="x", at_most=1.5),
        Figure(name="longest pause of the writer (compaction)", value=long["pause_ms"], unit="ms", at_most=500),
        Figure(name="longest pause of the origin at a compaction", value=long["refresh_ms"], unit="ms", at_most=50),
        Figure(name="an origin that starts: reading the journal", value=long["load_ms"], unit="ms", at_most=2000),
        Figure(
            name="journal", value=long["journal_bytes"] / 1e6, unit="MB", note=f"{long['compactions']:.0f} compactions"
        ),
        Figure(name="memory of the origin's view", value=long["memory_bytes"] / 1e6, unit="MB", at_most=60),
    ]


def _measure(directory: Path, window_s: float) -> dict[str, float]:
    publication = Publication(
        directory, edge_id="lse_" + "0" * 26, session_id="se_" + "0" * 26, low_latency=True, window_s=window_s,
        part_target_s=0.342, target_duration_s=2, wall_time_s=lambda media_s: 1.7e9 + media_s,
    )  # fmt: skip
    tracks = _tracks()
    for track in tracks:
        publication.add_rendition(track)
    journal = next(directory.glob("*/*/journal.jsonl"))
    session = LiveSession(journal.parent)
    part = Part(b"x" * 100, 1 / 3, independent=True)
    pauses_s, refreshes_s, parts_s = [0.0], [0.0], []
    inode, compactions = journal.stat().st_ino, 0
    # Until the window is full and the journal has been compacted at its final size, and some more.
    full = int((window_s * 1.2 + 240) / _SEGMENT_S)
    msn, after_last = 0, 0
    while msn < full or (after_last < 20 and msn < 4 * full):
        begun_s = time.perf_counter()
        for track in tracks:
            publication.open_segment(track.name, msn, msn * _SEGMENT_S, False)
        for count in range(1, _PARTS + 1):
            for track in tracks:
                written_s = time.perf_counter()
                if count < _PARTS:
                    publication.write_part(track.name, part)
                else:
                    publication.finish_segment(track.name, [part] * _PARTS)
                pauses_s.append(time.perf_counter() - written_s)
        parts_s.append(time.perf_counter() - begun_s)
        refreshed_s = time.perf_counter()
        session.refresh()
        found = journal.stat().st_ino
        if found != inode:
            inode, compactions, after_last = found, compactions + 1, 0
            refreshes_s.append(time.perf_counter() - refreshed_s)
        else:
            after_last += 1
        msn += 1
    memory = psutil.Process(os.getpid())
    before_bytes = memory.memory_info().rss
    loaded_s = time.perf_counter()
    fresh = LiveSession(journal.parent)
    fresh.refresh()
    loaded_s = time.perf_counter() - loaded_s
    text, full_ms = _timed(lambda: media_playlist(fresh.presentation, "720p").encode())
    delta, delta_ms = _timed(lambda: media_playlist(fresh.presentation, "720p", skip=True).encode())
    packed, gzip_ms = _timed(lambda: gzip.compress(text, 1, mtime=0))
    for name in (*_NAMES, "audio"):
        media_playlist(fresh.presentation, name)
    out = {
        "full_bytes": len(text), "full_ms": full_ms, "delta_bytes": len(delta), "delta_ms": delta_ms,
        "gzip_bytes": len(packed), "gzip_ms": gzip_ms, "part_us": median(parts_s[-200:]) / _PARTS * 1e6,
        "pause_ms": max(pauses_s) * 1000, "refresh_ms": max(refreshes_s) * 1000, "load_ms": loaded_s * 1000,
        "journal_bytes": journal.stat().st_size, "compactions": compactions,
        "memory_bytes": max(0, memory.memory_info().rss - before_bytes),
    }  # fmt: skip
    publication.end()
    return out


def _timed(render: Callable[[], bytes]) -> tuple[bytes, float]:
    """What it makes, and how long in milliseconds: the second time and later, as there is one with every part."""
    took_s = []
    out = render()
    for _ in range(5):
        begun_s = time.perf_counter()
        out = render()
        took_s.append(time.perf_counter() - begun_s)
    return out, median(took_s) * 1000


def _tracks() -> list[Track]:
    avcc = bytes.fromhex("0164001fffe1000467640000010000")
    video = [
        VideoTrack(
            name=name, timescale_hz=90_000, codec="avc1", decoder_config=avcc, width_px=1280, height_px=720,
            frame_rate=30, bandwidth_bps=3_000_000, average_bandwidth_bps=2_800_000,
        )
        for name in _NAMES
    ]  # fmt: skip
    audio = AudioTrack(
        name="audio", timescale_hz=48_000, codec="mp4a", decoder_config=bytes.fromhex("1190"), sample_rate_hz=48_000,
        channels=2, bandwidth_bps=140_000, average_bandwidth_bps=128_000,
    )  # fmt: skip
    return [*video, audio]

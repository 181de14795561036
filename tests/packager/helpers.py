"""Tracks, and a writer that publishes small parts on request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from config.session import Checkpoint
from packager.presentation import Presentation
from packager.publication import Part, Publication
from packager.records import decode_record
from packager.samples import AudioTrack, Sample, Track, VideoTrack

EDGE_ID = "lse_" + "e" * 26
SESSION_ID = "se_" + "s" * 26
AVCC = bytes.fromhex("0164001fffe1000467640000010000")
AAC_LC_48K_STEREO = bytes.fromhex("1190")
UNIX_S = 1_700_000_000.0


def video_track(name: str = "720p", *, timescale_hz: int = 90_000, decoder_config: bytes = AVCC) -> VideoTrack:
    return VideoTrack(
        name=name,
        timescale_hz=timescale_hz,
        codec="avc1",
        decoder_config=decoder_config,
        width_px=1280,
        height_px=720,
        frame_rate=Fraction(30),
        bandwidth_bps=3_000_000,
        average_bandwidth_bps=2_800_000,
    )


def audio_track(name: str = "audio", *, sample_rate_hz: int = 48_000) -> AudioTrack:
    return AudioTrack(
        name=name,
        timescale_hz=sample_rate_hz,
        codec="mp4a",
        decoder_config=AAC_LC_48K_STEREO,
        sample_rate_hz=sample_rate_hz,
        channels=2,
        bandwidth_bps=140_000,
        average_bandwidth_bps=128_000,
    )


def sample(
    dts: int, duration: int = 3000, *, keyframe: bool = False, pts: int | None = None, data: bytes = b"data"
) -> Sample:
    return Sample(dts=dts, pts=dts if pts is None else pts, duration=duration, keyframe=keyframe, data=data)


def new_publication(
    media_dir: Path,
    *,
    low_latency: bool = True,
    window_s: float = 12,
    part_target_s: float = 0.5,
    target_duration_s: int = 2,
    chunk_s: float = 0,
    recording: bool = False,
    edge_id: str = EDGE_ID,
    session_id: str = SESSION_ID,
    after: Checkpoint | None = None,
    wall_time_s: Callable[[float], float] = lambda media_s: UNIX_S + media_s,
) -> Publication:
    return Publication(
        media_dir,
        edge_id=edge_id,
        session_id=session_id,
        low_latency=low_latency,
        window_s=window_s,
        part_target_s=part_target_s,
        target_duration_s=target_duration_s,
        chunk_s=chunk_s,
        recording=recording,
        after=after,
        wall_time_s=wall_time_s,
    )


class Writer:
    """Publishes every rendition in parts of 0.5 s, four to a segment."""

    def __init__(
        self, media_dir: Path, *tracks: Track, low_latency: bool = True, window_s: float = 12, live: bool = True
    ) -> None:
        self.publication = new_publication(media_dir, low_latency=low_latency, window_s=window_s)
        self.directory = media_dir / EDGE_ID / SESSION_ID
        self.tracks = tracks or (video_track(), audio_track())
        self._parts: list[Part] = []
        self.msn = 0
        for track in self.tracks:
            self.publication.add_rendition(track)
        if live:
            self.publication.make_current()

    def parts(self, count: int = 1, *, discontinuity: bool = False) -> None:
        """Publish the next parts of every rendition."""
        for _ in range(count):
            if not self._parts:
                for track in self.tracks:
                    self.publication.open_segment(track.name, self.msn, self.msn * 2.0, discontinuity)
            data = f"msn {self.msn} part {len(self._parts)};".encode()
            self._parts.append(Part(data, 0.5, independent=not self._parts))
            for track in self.tracks:
                if len(self._parts) < 4:
                    self.publication.write_part(track.name, self._parts[-1])
                else:
                    self.publication.finish_segment(track.name, self._parts)
            if len(self._parts) == 4:
                self._parts = []
                self.msn += 1

    def segments(self, count: int = 1) -> None:
        """Publish whole segments."""
        self.parts(4 * count)


def replay(journal: Path) -> Presentation:
    """What a reader knows that comes now."""
    presentation = Presentation()
    presentation.feed(decode_record(line) for line in journal.read_bytes().splitlines())
    return presentation


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop go on until the condition holds; fails after 10 s."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.001)

"""A viewer for tests: fetches a stream's playlists and segments as a player would, and decodes what it got."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from urllib.parse import urljoin

import av
import m3u8
from av.audio.frame import AudioFrame
from av.video.frame import PictureType, VideoFrame

from tests.e2e.node import Node, wait_until


@dataclass(slots=True)
class Watched:
    """What was fetched of one rendition: whole segments, in order."""

    name: str
    playlist_url: str
    playlist_text: str
    first_msn: int
    init: bytes
    segments: list[bytes]

    @property
    def data(self) -> bytes:
        return self.init + b"".join(self.segments)

    def video(self) -> list[VideoFrame]:
        """Every picture, decoded."""
        with av.open(io.BytesIO(self.data), "r") as container:
            return list(container.decode(video=0))

    def audio(self) -> list[AudioFrame]:
        """Every audio frame, decoded."""
        with av.open(io.BytesIO(self.data), "r") as container:
            return list(container.decode(audio=0))

    def decode_times_s(self) -> list[float]:
        """The tfdt of every fragment, in seconds."""
        scale_hz = timescale_hz(self.init)
        return [start / scale_hz for segment in self.segments for start, _duration in fragment_times(segment)]

    def segment_starts_s(self) -> list[float]:
        """The first tfdt of each segment, in seconds."""
        scale_hz = timescale_hz(self.init)
        return [fragment_times(segment)[0][0] / scale_hz for segment in self.segments]

    def independent(self) -> bool:
        """Whether every segment begins with a keyframe."""
        for segment in self.segments:
            with av.open(io.BytesIO(self.init + segment), "r") as container:
                first = next(iter(container.decode(video=0)))
                if first.pict_type != PictureType.I:
                    return False
        return True


async def watch(node: Node, hls_url: str, segments: int = 2, timeout_s: float = 20.0) -> dict[str, Watched]:
    """Fetch the first `segments` whole segments of every rendition, by rendition name (`audio` for the audio)."""
    master = await node.playlist(hls_url)
    urls = [urljoin(hls_url, playlist.uri) for playlist in master.playlists]
    urls += [urljoin(hls_url, media.uri) for media in master.media if media.uri]
    watched = {}
    for url in urls:
        rendition = await _watch_rendition(node, url, segments, timeout_s)
        watched[rendition.name] = rendition
    return watched


async def _watch_rendition(node: Node, url: str, segments: int, timeout_s: float) -> Watched:
    async def enough() -> bool:
        return len(_complete(await node.playlist(url))) >= segments

    await wait_until(enough, f"{segments} segments of {url}", timeout_s)
    text = await node.text(url)
    playlist = await node.playlist(url)
    complete = _complete(playlist)
    init_section = complete[0].init_section
    assert init_section is not None
    return Watched(
        name=url.rsplit("/", 2)[1],
        playlist_url=url,
        playlist_text=text,
        first_msn=playlist.media_sequence or 0,
        init=await node.bytes(urljoin(url, init_section.uri)),
        segments=[await node.bytes(urljoin(url, segment.uri)) for segment in complete[:segments]],
    )


def _complete(playlist: m3u8.M3U8) -> list[m3u8.Segment]:
    """The segments that are more than the parts of an open one."""
    return [segment for segment in playlist.segments if segment.uri]


def _boxes(data: bytes, start: int, end: int) -> list[tuple[bytes, int, int]]:
    found = []
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        found.append((kind, start + 8, start + size))
        start += size
    return found


def _child(data: bytes, start: int, end: int, *path: bytes) -> tuple[int, int]:
    for name in path:
        start, end = next((s, e) for kind, s, e in _boxes(data, start, end) if kind == name)
    return start, end


def timescale_hz(init: bytes) -> int:
    """The timescale of an init segment's track."""
    start, _end = _child(init, 0, len(init), b"moov", b"trak", b"mdia", b"mdhd")
    offset = 20 if init[start] == 1 else 12
    return int(struct.unpack_from(">I", init, start + offset)[0])


def fragment_times(data: bytes) -> list[tuple[int, int]]:
    """The tfdt and the duration of every fragment, in ticks. Each sample must have its own duration in trun."""
    times = []
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"moof":
            at, _end = _child(data, start, end, b"traf", b"tfdt")
            tfdt = int(struct.unpack_from(">Q" if data[at] == 1 else ">I", data, at + 4)[0])
            at, _end = _child(data, start, end, b"traf", b"trun")
            _flags, count, _offset = struct.unpack_from(">III", data, at)
            rows = [struct.unpack_from(">I", data, at + 12 + 16 * row)[0] for row in range(count)]
            times.append((tfdt, sum(rows)))
    return times

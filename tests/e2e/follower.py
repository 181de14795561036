"""A viewer at the live edge: follows one rendition by blocking reload, and notes when each part was announced."""

from __future__ import annotations

import asyncio
import io
import itertools
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urljoin

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from tests.e2e.node import Node
from tests.e2e.viewer import fragment_times, timescale_hz

_MAP = re.compile(r'#EXT-X-MAP:URI="([^"]+)"')
_PART = re.compile(r'#EXT-X-PART:.*URI="(\d+)\.(\d+)\.m4s"')


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedPart:
    """A part, and the moment (monotonic) at which the playlist named it."""

    msn: int
    part: int
    at_s: float
    init_uri: str
    data: bytes


@dataclass(slots=True)
class Followed:
    """What a follower has got of one rendition so far."""

    name: str
    url: str
    inits: dict[str, bytes] = field(default_factory=dict)
    parts: list[FollowedPart] = field(default_factory=list)
    playlist: str = ""

    @property
    def data(self) -> bytes:
        """The one init segment and every part."""
        (init,) = self.inits.values()
        return init + b"".join(part.data for part in self.parts)

    def video(self) -> Iterator[VideoFrame]:
        """Every picture, decoded."""
        with av.open(io.BytesIO(self.data), "r") as container:
            yield from container.decode(video=0)

    def audio(self) -> Iterator[AudioFrame]:
        """Every audio frame, decoded."""
        with av.open(io.BytesIO(self.data), "r") as container:
            yield from container.decode(audio=0)

    def times_s(self) -> list[tuple[float, float]]:
        """Where each part begins and ends in media time, by its tfdt and its trun."""
        return [
            (start / scale_hz, (start + duration) / scale_hz)
            for part in self.parts
            for scale_hz in (timescale_hz(self.inits[part.init_uri]),)
            for start, duration in fragment_times(part.data)
        ]

    def largest_step_s(self) -> float:
        """The largest gap or overlap between two parts in media time."""
        times_s = self.times_s()
        return max(abs(later[0] - earlier[1]) for earlier, later in itertools.pairwise(times_s))

    def longest_wait_s(self) -> float:
        """The longest time between two announcements."""
        return max(later.at_s - earlier.at_s for earlier, later in itertools.pairwise(self.parts))


@asynccontextmanager
async def following(node: Node, hls_url: str) -> AsyncIterator[dict[str, Followed]]:
    """Follow every rendition of a live stream, by name."""
    master = await node.playlist(hls_url)
    urls = [urljoin(hls_url, playlist.uri) for playlist in master.playlists]
    urls += [urljoin(hls_url, media.uri) for media in master.media if media.uri]
    followed = {url.rsplit("/", 2)[1]: Followed(url.rsplit("/", 2)[1], url) for url in urls}
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_follow(node, rendition)) for rendition in followed.values()]
        yield followed
        for task in tasks:
            task.cancel()


async def _follow(node: Node, rendition: Followed) -> None:
    text = await node.text(rendition.url)
    seen = (-1, -1)
    while True:
        at_s = time.monotonic()
        rendition.playlist = text
        init_uri = ""
        for line in text.splitlines():
            if found := _MAP.match(line):
                init_uri = found[1]
            elif (found := _PART.match(line)) and (int(found[1]), int(found[2])) > seen:
                seen = int(found[1]), int(found[2])
                if init_uri not in rendition.inits:
                    rendition.inits[init_uri] = await node.bytes(urljoin(rendition.url, init_uri))
                data = await node.bytes(urljoin(rendition.url, f"{found[1]}.{found[2]}.m4s"))
                part = FollowedPart(msn=seen[0], part=seen[1], at_s=at_s, init_uri=init_uri, data=data)
                rendition.parts.append(part)
        if "#EXT-X-ENDLIST" in text:
            return
        hint = text.split('#EXT-X-PRELOAD-HINT:TYPE=PART,URI="')[1].split('"')[0]
        msn, part_index = hint.split(".")[:2]
        text = await node.text(f"{rendition.url}?_HLS_msn={msn}&_HLS_part={part_index}")

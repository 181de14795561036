"""Interlaced pictures to progressive ones, each at its own time."""

from __future__ import annotations

from fractions import Fraction

import av
from av.filter import Graph
from av.video.frame import VideoFrame

_MICROSECONDS = Fraction(1, 1_000_000)


class Deinterlacer:
    """Hands pictures on as they are until one is interlaced; from then on all of them go through a filter.

    The filter looks at the picture after, so what it gives out is the picture before. Times are in microseconds, in
    `pts`, and stay with their pictures: that is why this comes before the frame grid.
    """

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._key: tuple[int, int, str] | None = None

    def frames(self, frame: VideoFrame) -> list[VideoFrame]:
        """The pictures that this one completes, in order. May raise `av.FFmpegError`."""
        if self._graph is None and not frame.interlaced_frame:
            return [frame]
        done: list[VideoFrame] = []
        key = (frame.width, frame.height, frame.format.name)
        if key != self._key:
            done = self.flush()
            self._graph, self._key = _build(*key), key
        assert self._graph is not None
        frame.time_base = _MICROSECONDS
        self._graph.vpush(frame)
        return done + self._pull()

    def flush(self) -> list[VideoFrame]:
        """The picture that is still held. May raise `av.FFmpegError`."""
        if self._graph is None:
            return []
        self._graph.vpush(None)
        done = self._pull()
        self._graph = self._key = None
        return done

    def _pull(self) -> list[VideoFrame]:
        assert self._graph is not None
        done: list[VideoFrame] = []
        while True:
            try:
                frame = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return done
            assert frame.pts is not None and frame.time_base is not None
            frame.pts, frame.time_base = round(frame.pts * frame.time_base / _MICROSECONDS), _MICROSECONDS
            done.append(frame)


def _build(width_px: int, height_px: int, pixel_format: str) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=width_px, height=height_px, format=av.VideoFormat(pixel_format), time_base=_MICROSECONDS
    )
    filtering = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(filtering)
    filtering.link_to(sink)
    graph.configure()
    return graph

"""Rotated pictures to upright ones."""

from __future__ import annotations

from fractions import Fraction

import av
from av.filter import Graph
from av.video.frame import VideoFrame

_MICROSECONDS = Fraction(1, 1_000_000)
_FILTERS = {90: (("transpose", "cclock"),), 180: (("hflip", ""), ("vflip", "")), 270: (("transpose", "clock"),)}


class Turner:
    """Turns pictures by what the last display matrix said: some encoders send one with the first picture only."""

    def __init__(self) -> None:
        self.rotation = 0
        """Degrees by which pictures are turned counterclockwise; angles between right angles count as none."""
        self._graph: Graph | None = None
        self._key: tuple[int, int, str, int] | None = None

    def turn(self, frame: VideoFrame) -> VideoFrame:
        """The picture upright; the same frame when it is. `pts`, in microseconds, stays. May raise `av.FFmpegError`."""
        if rotation := frame.rotation % 360:
            self.rotation = rotation
        elif self.rotation and frame.key_frame and "DISPLAYMATRIX" in frame.side_data:
            # Not asked of every picture: `side_data` ties it into a reference cycle, which only the collector frees.
            self.rotation = 0
        filters = _FILTERS.get(self.rotation)
        if filters is None:
            return frame
        key = (frame.width, frame.height, frame.format.name, self.rotation)
        if self._graph is None or key != self._key:
            self._graph, self._key = _build(frame, filters), key
        pts, frame.time_base = frame.pts, _MICROSECONDS
        self._graph.vpush(frame)
        turned = self._graph.vpull()
        turned.pts, turned.time_base = pts, _MICROSECONDS
        return turned

    @property
    def swaps_sides(self) -> bool:
        """Whether width and height change places."""
        return self.rotation in (90, 270)


def _build(frame: VideoFrame, filters: tuple[tuple[str, str], ...]) -> Graph:
    graph = Graph()
    node = graph.add_buffer(
        width=frame.width, height=frame.height, format=av.VideoFormat(frame.format.name), time_base=_MICROSECONDS
    )
    for name, arguments in (*filters, ("buffersink", "")):
        following = graph.add(name, arguments) if arguments else graph.add(name)
        node.link_to(following)
        node = following
    graph.configure()
    return graph

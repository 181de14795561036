"""Decoded pictures made fit for the ladder: square pixels, 8-bit 4:2:0, the session's shape.

An ordinary source needs none of this and passes through untouched; the rest goes through an FFmpeg filter graph.
"""

from __future__ import annotations

from fractions import Fraction

import av
from av.filter import Graph
from av.video.frame import VideoFrame

_SHAPE_TOLERANCE = 0.02


def displayed_size(frame: VideoFrame, sample_aspect: Fraction) -> tuple[int, int]:
    """Width and height in square pixels at which the picture is meant to be seen.

    `sample_aspect` is the width of a pixel divided by its height.
    """
    return max(2, round(frame.width * sample_aspect)), frame.height


def plausible_aspect(sample_aspect: Fraction | None) -> Fraction:
    """The aspect of the stream's pixels; 1 when the stream does not say, or says nonsense."""
    return sample_aspect if sample_aspect and Fraction(1, 8) <= sample_aspect <= 8 else Fraction(1)


class PictureFitter:
    """Gives every frame the displayed shape that the session was planned for.

    `width_px` and `height_px` are that shape's displayed size; a source of another shape is letterboxed into it.
    """

    def __init__(self, width_px: int, height_px: int) -> None:
        self._shape = width_px / height_px
        self._graph: Graph | None = None
        self._graph_key: tuple[object, ...] | None = None

    def fit(self, frame: VideoFrame, sample_aspect: Fraction) -> VideoFrame:
        """The frame itself, or a filtered one of the right shape. May raise `av.FFmpegError`."""
        chain = self._chain(frame, sample_aspect)
        if not chain:
            return frame
        key = (frame.width, frame.height, frame.format.name, tuple(chain))
        if key != self._graph_key:
            self._graph = self._build(frame, chain)
            self._graph_key = key
        assert self._graph is not None
        frame.time_base = Fraction(1, 1000)
        self._graph.vpush(frame)
        return self._graph.vpull()

    def _chain(self, frame: VideoFrame, sample_aspect: Fraction) -> list[tuple[str, str]]:
        chain: list[tuple[str, str]] = []
        width_px, height_px = displayed_size(frame, sample_aspect)
        if abs(width_px / height_px / self._shape - 1) > _SHAPE_TOLERANCE:
            inner = (width_px, round(width_px / self._shape)) if width_px / height_px > self._shape else (
                round(height_px * self._shape), height_px)  # fmt: skip
            outer_w, outer_h = (max(2, value // 2 * 2) for value in inner)
            chain.append(("scale", f"{min(width_px, outer_w) // 2 * 2}:{min(height_px, outer_h) // 2 * 2}"))
            chain.append(("pad", f"{outer_w}:{outer_h}:-1:-1"))
            chain.append(("setsar", "1"))
        if chain:
            chain.append(("format", "yuv420p"))
        return chain

    @staticmethod
    def _build(frame: VideoFrame, chain: list[tuple[str, str]]) -> Graph:
        graph = Graph()
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=av.VideoFormat(frame.format.name),
            time_base=Fraction(1, 1000),
        )
        node = source
        for name, arguments in chain:
            following = graph.add(name, arguments) if arguments else graph.add(name)
            node.link_to(following)
            node = following
        sink = graph.add("buffersink")
        node.link_to(sink)
        graph.configure()
        return graph

"""The renditions of a ladder session: a frame and its ticks in, every rung scaled and encoded."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from av.video.frame import VideoFrame

from transcode.picture import PictureFitter
from transcode.plan import PlannedRendition
from transcode.rung_thread import RungThread
from transcode.video import Scaler

_UNEVEN_TICKS = 600
"""A source that has left a tick without a picture is uneven for this long: it may leave any picture standing."""


class Ladder:
    """Scales each frame down the rungs, each from the one above, and hands the results to the rungs' encoders."""

    def __init__(
        self, renditions: Sequence[PlannedRendition], rungs: Sequence[RungThread], shape_px: tuple[int, int]
    ) -> None:
        self._fitter = PictureFitter(*shape_px)
        self._scalers = [Scaler(rendition.width_px, rendition.height_px) for rendition in renditions]
        self._rungs = rungs
        self._frames: list[VideoFrame | None] = [None] * len(rungs)
        self._is_new = False
        self._uneven_until_tick = -1

    def show(self, frame: VideoFrame, sample_aspect: Fraction, tick: int) -> None:
        """Make this the current picture, seen first at `tick`. May raise `av.FFmpegError`."""
        scaled = self._fitter.fit(frame, sample_aspect)
        for index, (scaler, rung) in enumerate(zip(self._scalers, self._rungs, strict=True)):
            # Where only every other tick is encoded, the frames between need no scaling unless they may be repeated
            # on the next tick; the rungs below are as slow.
            even = tick > self._uneven_until_tick
            if even and tick % rung.ticks_per_frame and self._frames[index] is not None:
                break
            scaled = self._frames[index] = scaler.scale(scaled)
        self._is_new = True

    def encode(self, tick: int, arrived_s: float | None = None) -> None:
        """Encode the current picture at this tick in every rendition that has a frame there.

        `arrived_s` is when the picture came, in monotonic seconds, if it is shown for the first time.
        """
        if not self._is_new:
            self._uneven_until_tick = tick + _UNEVEN_TICKS
        self._is_new = False
        for frame, rung in zip(self._frames, self._rungs, strict=True):
            if frame is not None and tick % rung.ticks_per_frame == 0 and tick >= rung.first_tick:
                rung.put(frame, tick, arrived_s)

    def close(self) -> None:
        """Flush every rendition. Returns when the last sample is published."""
        for rung in self._rungs:
            rung.close()

"""Which picture each rung encodes at which tick."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import numpy as np
from av.video.frame import VideoFrame

from transcode.ladder import Ladder
from transcode.plan import PlannedRendition
from transcode.rung_thread import RungThread


class Rung:
    """Keeps what it is given, as (tick, luma)."""

    def __init__(self, ticks_per_frame: int, first_tick: int = 0) -> None:
        self.ticks_per_frame = ticks_per_frame
        self.first_tick = first_tick
        self.got: list[tuple[int, int]] = []

    def put(self, frame: VideoFrame, tick: int, arrived_s: float | None) -> None:
        self.got.append((tick, int(frame.to_ndarray()[0, 0])))


def grey(luma: int) -> VideoFrame:
    return VideoFrame.from_ndarray(np.full((96, 64), luma, np.uint8), format="yuv420p")


def encoded(pictures: dict[int, int], ticks: int) -> tuple[Rung, Rung]:
    """A rung at the grid's rate and one at half of it, after `ticks` ticks; `pictures` are {tick: luma}."""
    rungs = Rung(1), Rung(2)
    renditions = [
        PlannedRendition(name=f"{side}p", width_px=side, height_px=side, bitrate_bps=100_000, ticks_per_frame=step)
        for side, step in ((64, 1), (32, 2))
    ]
    ladder = Ladder(renditions, cast(list[RungThread], list(rungs)), (64, 64))
    for tick in range(ticks):
        if tick in pictures:
            ladder.show(grey(pictures[tick]), Fraction(1), tick)
        ladder.encode(tick)
    return rungs


def test_a_rung_at_half_the_rate_encodes_every_other_picture() -> None:
    full, half = encoded({tick: 50 + tick for tick in range(6)}, 6)
    assert full.got == [(tick, 50 + tick) for tick in range(6)]
    assert half.got == [(0, 50), (2, 52), (4, 54)]


def test_an_uneven_source_leaves_its_last_picture_standing_in_every_rung() -> None:
    full, half = encoded({0: 50, 1: 60, 5: 70, 9: 80}, 12)
    assert full.got[-1] == (11, 80)
    # The picture of tick 1 is lost here: that ticks go without a picture was not known yet.
    assert half.got == [(0, 50), (2, 50), (4, 50), (6, 70), (8, 70), (10, 80)]

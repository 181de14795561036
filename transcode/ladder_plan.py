"""What a ladder session fixes on its first frame, for good: every worker of the session goes by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from av.video.frame import VideoFrame

from config.ladders import LADDERS, Ladder
from transcode.plan import CutPlan, PlannedRendition, plan_cuts, plan_renditions


@dataclass(frozen=True, slots=True, kw_only=True)
class Colours:
    """What the numbers of a picture mean (ISO/IEC 23091-2), as the first frame of the session says."""

    primaries: int
    transfer: int
    matrix: int
    range: int

    @classmethod
    def of(cls, frame: VideoFrame) -> Colours:
        """Those of a frame."""
        return cls(
            primaries=int(frame.color_primaries),
            transfer=int(frame.color_trc),
            matrix=int(frame.colorspace),
            range=int(frame.color_range),
        )


@dataclass(frozen=True, kw_only=True)
class LadderPlan:
    """Session times are in seconds from `start_wall_s`; tick 0 of the grid lies at `origin_s`."""

    ladder: Ladder
    segment_s: float
    part_s: float
    shape_px: tuple[int, int]
    rate: Fraction
    origin_s: float
    start_wall_s: float
    lag_s: float
    """How late media arrived on the session's clock at its beginning."""
    colours: Colours

    @cached_property
    def renditions(self) -> list[PlannedRendition]:
        """What is encoded."""
        return plan_renditions(self.ladder.rungs, *self.shape_px, self.rate)

    @cached_property
    def cuts(self) -> CutPlan:
        """Where all of it is cut."""
        step_ticks = max(rendition.ticks_per_frame for rendition in self.renditions)
        return plan_cuts(self.rate, self.segment_s, self.part_s, step_ticks)

    @property
    def lead_s(self) -> Fraction:
        """Published time of tick 0."""
        return self.cuts.lead_ticks / self.rate

    @property
    def zero_wall_s(self) -> float:
        """Unix time of published time 0, in whole milliseconds, as segments are: their date times are then exact."""
        return round(self.start_wall_s + self.origin_s - float(self.lead_s) + self.lag_s, 3)

    def as_dict(self) -> dict[str, Any]:
        """For the session's record."""
        return {**asdict(self), "rate": str(self.rate)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> LadderPlan:
        """The plan of a session's record. Raises `TypeError` or `ValueError` when it is none."""
        width_px, height_px = fields["shape_px"]
        fields = dict(fields)
        if "quality" in fields:  # begun by an earlier version
            fields["ladder"] = asdict(LADDERS[fields.pop("quality")])
        return cls(
            **{
                **fields,
                "ladder": Ladder.from_dict(fields["ladder"]),
                "rate": Fraction(fields["rate"]),
                "shape_px": (width_px, height_px),
                "colours": Colours(**fields["colours"]),
            }
        )

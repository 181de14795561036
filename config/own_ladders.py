"""Ladders of one's own: how they are written in the settings, and what they may be.

[ladders.sport]
audio_bitrate_bps = 192_000
renditions = [
    { height = 1080, bitrate_bps = 7_000_000, max_fps = 60 },
    { height = 540, bitrate_bps = 2_000_000 },
]
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from config.ladders import AUDIO_BITRATE_BPS, QUALITIES, Ladder, Rung

LADDERS_MAX: Final = 16
"""Each is a value of the label `tier` of many metrics."""
RENDITIONS_MAX: Final = 6
NAME_PATTERN: Final = "^[a-z][a-z0-9-]{0,31}$"
_USUAL_MAX_FPS_FROM_PX: Final = 481


class OwnRendition(BaseModel):
    """One rendition. A source of more than `max_fps` has every other picture left out."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    height: int = Field(ge=144, le=2160, multiple_of=2)
    bitrate_bps: int = Field(ge=100_000, le=40_000_000)
    max_fps: Literal[30, 60] | None = None

    @property
    def rung(self) -> Rung:
        """As session workers want it; without `max_fps` 60 above 480 lines, else 30, as the fixed ladders have it."""
        usual = 60 if self.height >= _USUAL_MAX_FPS_FROM_PX else 30
        return Rung(self.height, self.bitrate_bps, self.max_fps or usual)


class OwnLadder(BaseModel):
    """One ladder. Heights and bitrates fall from one rendition to the next, and no frame rate rises."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    audio_bitrate_bps: int = Field(AUDIO_BITRATE_BPS, ge=32_000, le=320_000)
    renditions: tuple[OwnRendition, ...] = Field(min_length=1, max_length=RENDITIONS_MAX)

    @model_validator(mode="after")
    def _falls(self) -> Self:
        for above, below in pairwise(rendition.rung for rendition in self.renditions):
            for name, high, low, may_be_equal in (
                ("height", above.short_side_px, below.short_side_px, False),
                ("bitrate_bps", above.bitrate_bps, below.bitrate_bps, False),
                ("max_fps", above.max_frame_rate, below.max_frame_rate, True),
            ):
                if low > high or (low == high and not may_be_equal):
                    text = "{name} {low} must be below {high}, that of the rendition before it"
                    text = text.replace("below", "at most") if may_be_equal else text
                    raise PydanticCustomError("descending", text, {"name": name, "low": low, "high": high})
        return self

    @property
    def ladder(self) -> Ladder:
        """As everything else wants it."""
        return Ladder(tuple(rendition.rung for rendition in self.renditions), self.audio_bitrate_bps)


OwnLadders = Annotated[dict[Annotated[str, Field(pattern=NAME_PATTERN)], OwnLadder], Field(max_length=LADDERS_MAX)]


def check_names(ladders: dict[str, OwnLadder]) -> dict[str, OwnLadder]:
    """Raises for a name that is taken."""
    for name in ladders:
        if name in QUALITIES:
            raise PydanticCustomError("taken", "{name} is a fixed quality: choose another name", {"name": name})
    return ladders

"""The ladder of each quality: which renditions a source is encoded to. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AUDIO_BITRATE_BPS = 128_000


@dataclass(frozen=True, slots=True)
class Rung:
    """One rendition of a ladder. `short_side_px` is the "p" of 720p, so portrait sources work too."""

    short_side_px: int
    bitrate_bps: int
    max_frame_rate: int

    @property
    def name(self) -> str:
        return f"{self.short_side_px}p"


@dataclass(frozen=True, slots=True)
class Ladder:
    """What a quality makes of a source: video renditions, tallest first, and one audio rendition."""

    rungs: tuple[Rung, ...]
    audio_bitrate_bps: int = AUDIO_BITRATE_BPS

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Ladder:
        """What `dataclasses.asdict` has made of one. Raises `TypeError` or `KeyError` when it is none."""
        return cls(tuple(Rung(**rung) for rung in fields["rungs"]), fields["audio_bitrate_bps"])


PASSTHROUGH = "passthrough"

LADDERS: dict[str, Ladder] = {
    "standard": Ladder((Rung(720, 2_800_000, 60), Rung(480, 1_400_000, 30), Rung(360, 800_000, 30))),
    "high": Ladder((Rung(1080, 5_000_000, 60), Rung(720, 2_800_000, 60), Rung(480, 1_400_000, 30))),
}
"""The qualities that always exist, beside passthrough; `config.own_ladders` adds others."""

QUALITIES = (*LADDERS, PASSTHROUGH)

AUDIO_SAMPLE_RATE_HZ = 48_000
AUDIO_CHANNELS = 2
VIDEO_PEAK_SHARE = 1.25
"""Peak over average bitrate of an encoded rendition: what the encoder's VBV allows, and the container."""
GOP_S = 1.0
"""Seconds from one IDR frame to the next in every encoded rendition."""

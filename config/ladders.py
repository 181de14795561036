"""The ladder of each quality: which renditions a source is encoded to. Data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rung:
    """One rendition of a ladder. `short_side_px` is the "p" of 720p, so portrait sources work too."""

    short_side_px: int
    bitrate_bps: int
    max_frame_rate: int

    @property
    def name(self) -> str:
        return f"{self.short_side_px}p"


QUALITIES = ("standard", "high", "passthrough")

LADDERS: dict[str, tuple[Rung, ...]] = {
    "standard": (Rung(720, 2_800_000, 60), Rung(480, 1_400_000, 30), Rung(360, 800_000, 30)),
    "high": (Rung(1080, 5_000_000, 60), Rung(720, 2_800_000, 60), Rung(480, 1_400_000, 30)),
}

AUDIO_BITRATE_BPS = 128_000
AUDIO_SAMPLE_RATE_HZ = 48_000
AUDIO_CHANNELS = 2
VIDEO_PEAK_SHARE = 1.25
"""Peak over average bitrate of an encoded rendition: what the encoder's VBV allows, and the container."""
GOP_S = 1.0
"""Seconds from one IDR frame to the next in every encoded rendition."""

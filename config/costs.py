"""What a session costs a node, in units: one unit is a million pixels encoded in a second.

Pixels are what the work grows with, and they are known before a session begins. What is not encoding (decoding,
scaling, sound, packaging, ingest) is counted as so many pixels as take as long.
"""

from __future__ import annotations

from typing import Final

from config.ladders import Ladder

PASSTHROUGH_UNITS: Final = 1.0
LADDER_UNITS: Final = 3.0
"""Sound, packaging, ingest and playlists of a ladder session."""
DECODING_SHARE: Final = 0.5
"""A pixel of the source, decoded and scaled, as a share of an encoded one."""
EXPECTED_FRAME_RATE_HZ: Final = 30.0
"""Of a source that nobody has seen yet."""
_ASPECT: Final = 16 / 9


def session_units(ladder: Ladder | None, short_side_px: int | None = None, frame_rate_hz: float | None = None) -> float:
    """The units of a session with this ladder (None: passthrough), of this source, or of one that fits the top rung."""
    if ladder is None:
        return PASSTHROUGH_UNITS
    rungs = ladder.rungs
    source_px = short_side_px or rungs[0].short_side_px
    rate_hz = min(frame_rate_hz or EXPECTED_FRAME_RATE_HZ, rungs[0].max_frame_rate)
    sizes = [(rung.short_side_px, rung.max_frame_rate) for rung in rungs if rung.short_side_px <= source_px]
    if len(sizes) < len(rungs):  # a source between two rungs is a rung of its own, at most
        sizes.insert(0, (source_px, rungs[0].max_frame_rate))
    encoded = sum(_megapixels(px) * min(rate_hz, most_hz) for px, most_hz in sizes)
    return LADDER_UNITS + encoded + DECODING_SHARE * _megapixels(source_px) * rate_hz


def _megapixels(short_side_px: int) -> float:
    return short_side_px**2 * _ASPECT / 1e6

"""The clock strip (`antlive.test_pattern`) of one row of pixels."""

from __future__ import annotations

import numpy as np

from antlive.test_pattern import CLOCK_BITS, STRIP_CELLS


def row_clock_s(row: bytes) -> float | None:
    """The clock in a row of luma, in Unix seconds; None when it holds none, as on a slate."""
    pixels = np.frombuffer(row, np.uint8)
    centres = ((np.arange(STRIP_CELLS) + 0.5) * len(pixels) / STRIP_CELLS).astype(int)
    bits = pixels[centres] > 127
    value = int("".join("1" if bit else "0" for bit in bits[:CLOCK_BITS]), 2)
    if value == 0 or value.bit_count() % 2 != bits[CLOCK_BITS]:
        return None
    return value / 1000

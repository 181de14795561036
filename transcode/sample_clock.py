"""The audio clock: one unbroken run of samples whatever the source does.

Gaps are filled with silence, overlaps are cut, and a small steady drift is taken up by stretching a block by a
sample or two, which nobody hears. No clock of its own: positions come in as arguments, in samples.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.float32]
"""Samples of shape (channels, samples), in [-1, 1]."""

_DRIFT_WEIGHT: Final = 0.05
_MAX_STRETCH_SAMPLES: Final = 2


class SampleClock:
    """Puts blocks of samples at their place on a continuous clock that starts at sample 0."""

    def __init__(self, sample_rate_hz: int, channels: int) -> None:
        self._channels = channels
        # What a player can't hear as an offset, and an encoder's jittery timestamps stay below.
        self._jump_samples = int(0.035 * sample_rate_hz)
        self._settled_samples = int(0.003 * sample_rate_hz)
        self._sample_rate_hz = sample_rate_hz
        self._drift_samples = 0.0
        self._flowing = False
        self.position = 0
        """The number of samples that the clock has given out."""
        self.silence_samples = 0
        self.cut_samples = 0

    @property
    def drift_s(self) -> float:
        """How far the source's blocks are from their place, on average of the last ones."""
        return self._drift_samples / self._sample_rate_hz

    def place(self, block: Block, at: int) -> list[Block]:
        """What to append for a block that should start at sample `at`: silence before it, and what is left of it."""
        offset = at - self.position
        tolerance = self._jump_samples if self._flowing else 0
        out: list[Block] = []
        if offset > tolerance:
            out.append(self._silence(offset))
            self._drift_samples = 0.0
        elif offset < -tolerance:
            cut = min(-offset, block.shape[1])
            self.cut_samples += cut
            block = block[:, cut:]
            self._drift_samples = 0.0
        else:
            self._drift_samples += (offset - self._drift_samples) * _DRIFT_WEIGHT
            block = self._stretch(block)
        if block.shape[1]:
            out.append(block)
            self.position += block.shape[1]
            self._flowing = True
        return out

    def fill(self, until: int) -> list[Block]:
        """Silence up to sample `until`; nothing if the clock is there already."""
        return [self._silence(until - self.position)] if until > self.position else []

    def resync(self) -> None:
        """The next block has its place by its own right, however near it is to the one before."""
        self._flowing = False
        self._drift_samples = 0.0

    def _silence(self, samples: int) -> Block:
        self._flowing = False
        self.position += samples
        self.silence_samples += samples
        return np.zeros((self._channels, samples), dtype=np.float32)

    def _stretch(self, block: Block) -> Block:
        if abs(self._drift_samples) <= self._settled_samples or block.shape[1] < 64:
            return block
        change = _MAX_STRETCH_SAMPLES if self._drift_samples > 0 else -_MAX_STRETCH_SAMPLES
        self._drift_samples -= change
        before = np.arange(block.shape[1])
        after = np.linspace(0, block.shape[1] - 1, block.shape[1] + change)
        return np.stack([np.interp(after, before, channel) for channel in block]).astype(np.float32)

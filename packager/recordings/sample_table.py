"""The samples of a recorded track, put together from the headers of its fragments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from packager.recordings.fragment_headers import FragmentHeader
from packager.recordings.fragments import BadFile

Ticks = NDArray[np.int64]

_REORDERED_MAX: Final = 32
"""The first picture shown is among so many decoded."""
_NOT_SYNC: Final = 0x00010000


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTable:
    """All samples of a track, in ticks of `timescale_hz`; a chunk is the data of one fragment."""

    timescale_hz: int
    first_decode_time: int
    durations: Ticks
    sizes: Ticks
    composition_offsets: Ticks
    is_sync: NDArray[np.bool_]
    chunk_offsets: Ticks
    chunk_samples: Ticks
    chunk_descriptions: Ticks

    @property
    def first_shown(self) -> int:
        """When the first picture is shown, after the first is decoded."""
        decoded = np.cumsum(self.durations[:_REORDERED_MAX]) - self.durations[:_REORDERED_MAX]
        return int((decoded + self.composition_offsets[:_REORDERED_MAX]).min())

    @property
    def first_s(self) -> float:
        """When the first picture is shown, in seconds of media time."""
        return (self.first_decode_time + self.first_shown) / self.timescale_hz

    @property
    def duration(self) -> int:
        """How long the track is."""
        return int(self.durations.sum())


class TableBuilder:
    """Takes the segments of a track in order."""

    def __init__(self, timescale_hz: int) -> None:
        self._timescale_hz = timescale_hz
        self._rows = bytearray()
        self._decode_times: list[int] = []
        self._scales: list[int] = []
        self._counts: list[int] = []
        self._offsets: list[int] = []
        self._descriptions: list[int] = []

    def add(self, headers: Iterable[FragmentHeader], file_at: int, timescale_hz: int, description: int) -> None:
        """The next segment, whose file begins `file_at` bytes after the start of all files."""
        for header in headers:
            self._rows += header.rows
            self._decode_times.append(header.decode_time)
            self._scales.append(timescale_hz)
            self._counts.append(header.count)
            self._offsets.append(file_at + header.data_at)
            self._descriptions.append(description)

    def table(self, before_s: float = 0.0, after_s: float = 0.0) -> SampleTable:
        """The samples of all segments; the first begins so much earlier and the last ends so much later.

        Raises `BadFile` when there are none.
        """
        if not self._counts:
            raise BadFile("a track without samples")
        rows = np.frombuffer(bytes(self._rows), dtype=">u4").reshape(-1, 4)
        counts = np.array(self._counts, dtype=np.int64)
        scales = np.array(self._scales, dtype=np.int64)
        durations = rows[:, 0].astype(np.int64)
        offsets = rows[:, 3].astype(">u4").view(">i4").astype(np.int64)
        times = np.array(self._decode_times, dtype=np.int64)
        if (scales != self._timescale_hz).any():
            times = times * self._timescale_hz // scales
            per_sample = np.repeat(scales, counts)
            durations = np.rint(durations * self._timescale_hz / per_sample).astype(np.int64)
            offsets = np.rint(offsets * self._timescale_hz / per_sample).astype(np.int64)
        self._close_holes(durations, times, counts)
        before = round(before_s * self._timescale_hz)
        durations[0] += before
        durations[-1] += round(after_s * self._timescale_hz)
        return SampleTable(
            timescale_hz=self._timescale_hz,
            first_decode_time=int(times[0]) - before,
            durations=durations,
            sizes=rows[:, 1].astype(np.int64),
            composition_offsets=offsets,
            is_sync=(rows[:, 2].astype(np.int64) & _NOT_SYNC) == 0,
            chunk_offsets=np.array(self._offsets, dtype=np.int64),
            chunk_samples=counts,
            chunk_descriptions=np.array(self._descriptions, dtype=np.int64),
        )

    @staticmethod
    def _close_holes(durations: Ticks, times: Ticks, counts: Ticks) -> None:
        """The sample before a hole lasts until its end: what comes after is where it belongs, in every track."""
        ends = np.cumsum(counts)
        totals = np.add.reduceat(durations, ends - counts)
        holes = times[1:] - times[:-1] - totals[:-1]
        durations[ends[:-1] - 1] += np.maximum(holes, 1 - durations[ends[:-1] - 1])

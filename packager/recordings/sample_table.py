"""The samples of a recorded track, read from the headers of its fragments; media data are not looked at.

The files are those that `packager.cmaf` has written, so their boxes are where it puts them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from packager.recordings.fragments import BadFile

Ticks = NDArray[np.int64]

_REORDERED_MAX: Final = 32
"""The first picture shown is among so many decoded."""
_READ_BYTES: Final = 2048
_ROWS_AT: Final = 88
_ROW_BYTES: Final = 16
_HEADERS = struct.Struct(">I4s20x4s20x4s4xQ4x4sIIi")
"""moof's size and kind, the kinds of traf and tfdt, decode time, kind of trun, its flags, rows, data offset."""
_TRUN_FLAGS: Final = 0x01000F01
_NOT_SYNC: Final = 0x00010000


@dataclass(frozen=True, slots=True)
class FragmentHeader:
    """A fragment within its file. `rows` are duration, size, flags and composition offset of each sample."""

    decode_time: int
    data_at: int
    count: int
    rows: bytes


def fragment_headers(read: Callable[[int, int], bytes], size_bytes: int, name: str) -> Iterator[FragmentHeader]:
    """The fragments of a segment of so many bytes; `read` gives some of them, from there. Raises `BadFile`."""
    at = 0
    while at < size_bytes:
        data = read(at, _READ_BYTES)
        if len(data) < _ROWS_AT + 8:
            raise BadFile(f"{name}: no fragment at {at}")
        moof_bytes, moof, traf, tfdt, decode_time, trun, flags, count, data_offset = _HEADERS.unpack_from(data)
        if (moof, traf, tfdt, trun, flags) != (b"moof", b"traf", b"tfdt", b"trun", _TRUN_FLAGS):
            raise BadFile(f"{name}: the boxes at {at} are not those of a fragment")
        end = _ROWS_AT + count * _ROW_BYTES
        if moof_bytes != end or data_offset != end + 8:
            raise BadFile(f"{name}: the fragment at {at} is not of one run")
        if end + 8 > len(data):
            data = read(at, end + 8)
        mdat_bytes = int.from_bytes(data[end : end + 4])
        yield FragmentHeader(decode_time, at + data_offset, count, data[_ROWS_AT:end])
        at += moof_bytes + mdat_bytes
    if at != size_bytes:
        raise BadFile(f"{name}: {size_bytes} bytes; its fragments end at {at}")


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

"""A recording as one progressive MP4 (ISO/IEC 14496-12), without copying media: a header, then the files as they are.

All media files follow each other in one `mdat`. Their own boxes stay in there as bytes that no chunk refers to, so
every byte of the result has its place in a file of the recording, and the whole has a size before it is read.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from packager.recordings.fragments import BadFile, boxes, find
from packager.recordings.media import RecordedMedia
from packager.recordings.recording import RecordedRendition, Recording
from packager.recordings.records import InitRecord, StoredSegment
from packager.recordings.sample_table import SampleTable, TableBuilder, Ticks
from packager.recordings.timeline import missing_ends_s

_MDAT_HEADER_BYTES = 16
_MATRIX = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


@dataclass(frozen=True, slots=True)
class _Track:
    table: SampleTable
    inits: list[bytes]


class Mp4:
    """What a download is made of. `read` blocks on the disk or the store."""

    def __init__(self, header: bytes, media: RecordedMedia, segments: list[StoredSegment]) -> None:
        self._header = header
        self._media = media
        self._segments = segments
        self._starts = list(accumulate((each.size_bytes for each in segments), initial=len(header)))
        self.size_bytes = self._starts[-1]

    def read(self, start: int, size_bytes: int) -> bytes:
        """So many bytes from there. Raises `MEDIA_ERRORS` when a file is not what it was, or not to be had."""
        end = min(start + size_bytes, self.size_bytes)
        pieces: list[bytes] = []
        if start < len(self._header):
            pieces.append(self._header[start:end])
            start += len(pieces[0])
        while start < end:
            index = bisect_right(self._starts, start) - 1
            segment, at = self._segments[index], self._starts[index]
            wanted = min(end, self._starts[index + 1]) - start
            pieces.append(self._media.read(segment.rendition, segment.file, start - at, wanted))
            start += len(pieces[-1])
        return b"".join(pieces)


def progressive_mp4(recording: Recording, media: RecordedMedia) -> Mp4:
    """The best video rendition and the audio. Needs all fragments' headers. Raises `MEDIA_ERRORS`."""
    renditions = [each for each in (recording.best_video(), recording.audio()) if each is not None]
    builders: dict[str, TableBuilder] = {}
    inits: dict[str, list[InitRecord]] = {}
    segments, at = [], 0
    for rendition, segment in _interleaved(renditions):
        name = rendition.info.name
        init = rendition.inits[segment.init]
        builder = builders.setdefault(name, TableBuilder(init.timescale_hz))
        known = inits.setdefault(name, [])
        if init not in known:
            known.append(init)
        builder.add(media.headers(segment), at, init.timescale_hz, known.index(init) + 1)
        segments.append(segment)
        at += segment.size_bytes
    media.forget_headers()
    tracks = []
    for rendition in renditions:
        if (name := rendition.info.name) in inits:
            files = [media.read(name, init.file, 0, init.size_bytes) for init in inits[name]]
            tracks.append(_Track(builders[name].table(*missing_ends_s(rendition.segments)), files))
    if not tracks:
        raise BadFile("nothing is recorded")
    return Mp4(_header(tracks, at), media, segments)


def _interleaved(renditions: list[RecordedRendition]) -> list[tuple[RecordedRendition, StoredSegment]]:
    found = [
        (rendition, segment)
        for rendition in renditions
        for segment in rendition.segments
        if not segment.is_missing and segment.init in rendition.inits
    ]
    return sorted(found, key=lambda each: (each[1].msn, each[0].info.kind != "video"))


def _header(tracks: list[_Track], media_bytes: int) -> bytes:
    """Everything before the media. Its size does not depend on where the media begin, which is known only then."""
    ftyp = _box(b"ftyp", b"isom" + struct.pack(">I", 0x200) + b"isomiso2mp41")
    start = len(ftyp) + len(_moov(tracks, 0)) + _MDAT_HEADER_BYTES
    mdat = struct.pack(">I4sQ", 1, b"mdat", media_bytes + _MDAT_HEADER_BYTES)
    return ftyp + _moov(tracks, start) + mdat


def _moov(tracks: list[_Track], media_at: int) -> bytes:
    scale_hz = tracks[0].table.timescale_hz
    first_s = min(track.table.first_s for track in tracks)
    delays = [round((track.table.first_s - first_s) * scale_hz) for track in tracks]
    lengths = [track.table.duration * scale_hz // track.table.timescale_hz for track in tracks]
    duration = max(delay + length for delay, length in zip(delays, lengths, strict=True))
    mvhd = struct.pack(">QQIQIH10x", 0, 0, scale_hz, duration, 0x10000, 0x100)
    mvhd += _MATRIX + bytes(24) + struct.pack(">I", len(tracks) + 1)
    traks = [
        _trak(number, track, delay, length, media_at)
        for number, (track, delay, length) in enumerate(zip(tracks, delays, lengths, strict=True), 1)
    ]
    return _box(b"moov", _full(b"mvhd", 1, 0, mvhd), *traks)


def _trak(number: int, track: _Track, delay: int, length: int, media_at: int) -> bytes:
    init, table = track.inits[0], track.table
    old = _body(init, b"moov", b"trak", b"tkhd")
    tkhd = struct.pack(">QQIIQ", 0, 0, number, 0, delay + length) + old[24:]
    edits = [struct.pack(">QqHH", delay, -1, 1, 0)] if delay else []
    edits.append(struct.pack(">QqHH", length, table.first_shown, 1, 0))
    elst = _full(b"elst", 1, 0, struct.pack(">I", len(edits)), *edits)
    mdhd = struct.pack(">QQIQHH", 0, 0, table.timescale_hz, table.duration, 0x55C4, 0)
    media = (b"moov", b"trak", b"mdia")
    minf = [
        _box(kind, init[start:end])
        for kind, start, end in boxes(init, *find(init, *media, b"minf"))
        if kind in (b"vmhd", b"smhd", b"dinf")
    ]
    hdlr = _box(b"hdlr", _body(init, *media, b"hdlr"))
    mdia = _box(b"mdia", _full(b"mdhd", 1, 0, mdhd), hdlr, _box(b"minf", *minf, _box(b"stbl", *_stbl(track, media_at))))
    return _box(b"trak", _full(b"tkhd", 1, 3, tkhd), _box(b"edts", elst), mdia)


def _stbl(track: _Track, media_at: int) -> Iterator[bytes]:
    table = track.table
    entries = [_body(init, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")[8:] for init in track.inits]
    yield _full(b"stsd", 0, 0, struct.pack(">I", len(entries)), *entries)
    yield _runs(b"stts", 0, table.durations)
    if table.composition_offsets.any():
        yield _runs(b"ctts", 1, table.composition_offsets)
    if not table.is_sync.all():
        numbers = np.flatnonzero(table.is_sync) + 1
        yield _full(b"stss", 0, 0, struct.pack(">I", len(numbers)), numbers.astype(">u4").tobytes())
    first = _run_starts(np.stack((table.chunk_samples, table.chunk_descriptions)))
    rows = np.stack((first + 1, table.chunk_samples[first], table.chunk_descriptions[first]), axis=1)
    yield _full(b"stsc", 0, 0, struct.pack(">I", len(rows)), rows.astype(">u4").tobytes())
    yield _full(b"stsz", 0, 0, struct.pack(">II", 0, len(table.sizes)), table.sizes.astype(">u4").tobytes())
    offsets = (table.chunk_offsets + media_at).astype(">u8").tobytes()
    yield _full(b"co64", 0, 0, struct.pack(">I", len(table.chunk_offsets)), offsets)


def _run_starts(values: Ticks) -> Ticks:
    """Where, along the last axis, a run of equal values begins."""
    changes = (np.diff(values) != 0).reshape(-1, values.shape[-1] - 1).any(axis=0)
    return np.concatenate((np.zeros(1, np.int64), np.flatnonzero(changes) + 1))


def _runs(kind: bytes, version: int, values: Ticks) -> bytes:
    """Count and value of each run of equal values."""
    starts = _run_starts(values)
    counts = np.diff(np.append(starts, len(values)))
    rows = np.stack((counts, values[starts]), axis=1)
    return _full(kind, version, 0, struct.pack(">I", len(rows)), rows.astype(">i4").tobytes())


def _body(data: bytes, *path: bytes) -> bytes:
    start, end = find(data, *path)
    return data[start:end]


def _box(kind: bytes, *bodies: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, bodies)), kind) + b"".join(bodies)


def _full(kind: bytes, version: int, flags: int, *bodies: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *bodies)

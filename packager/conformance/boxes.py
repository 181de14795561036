"""Init segments and fragments (ISO/IEC 14496-12), as far as the rules need them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from packager.codecs import CodecError, video_codec_string

_VIDEO_RECORDS = {"avc1": "avcC", "avc3": "avcC", "hvc1": "hvcC", "hev1": "hvcC", "av01": "av1C", "vp09": "vpcC"}
_VIDEO_ENTRY_BYTES, _AUDIO_ENTRY_BYTES = 78, 28


class BadBoxes(ValueError):
    """Bytes that are no boxes, or lack one that is needed. The message names it."""


@dataclass(frozen=True, slots=True)
class InitTrack:
    """A track of an init segment; `codec` is its RFC 6381 string. The defaults are those of its trex."""

    track_id: int
    kind: str
    timescale_hz: int
    codec: str
    default_duration: int
    default_flags: int


@dataclass(slots=True)
class TrackRun:
    """The samples of one track in one fragment. Times in ticks."""

    track_id: int
    tfdt: int
    durations: list[int] = field(default_factory=list)
    first_is_sync: bool = False
    first_size: int = 0
    offset: int | None = None

    @property
    def end(self) -> int:
        """Where the next fragment of the track must begin."""
        return self.tfdt + sum(self.durations)


@dataclass(frozen=True, slots=True)
class Fragment:
    """A moof with its mdat."""

    runs: list[TrackRun]
    payload: bytes
    first_samples: dict[int, bytes]
    """The bytes of the first sample, by track."""


def boxes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Kind and body of each box. Raises `BadBoxes` where one does not fit."""
    for kind, start, end in _spans(data):
        yield kind, data[start:end]


def _spans(data: bytes) -> Iterator[tuple[str, int, int]]:
    position = 0
    while position < len(data):
        if position + 8 > len(data):
            raise BadBoxes(f"{len(data) - position} bytes follow the last box")
        size, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if size == 1 and position + 16 <= len(data):
            (size,), header = struct.unpack_from(">Q", data, position + 8), 16
        if size < header or position + size > len(data):
            raise BadBoxes(f"box {kind!r} of {size} bytes at {position} does not fit into {len(data)} bytes")
        yield kind.decode("latin-1"), position + header, position + size
        position += size


def _child(data: bytes, *path: str) -> bytes:
    for name in path:
        data = next((body for kind, body in boxes(data) if kind == name), b"")
        if not data:
            raise BadBoxes(f"no box {name!r}")
    return data


def read_init(data: bytes) -> list[InitTrack]:
    """The tracks of an init segment. Raises `BadBoxes`."""
    try:
        moov = _child(data, "moov")
        defaults = {}
        for kind, body in boxes(_child(moov, "mvex")):
            if kind == "trex":
                track_id, _index, duration, _size, flags = struct.unpack_from(">5I", body, 4)
                defaults[track_id] = duration, flags
        tracks = []
        for kind, trak in boxes(moov):
            if kind == "trak":
                tkhd, mdhd = _child(trak, "tkhd"), _child(trak, "mdia", "mdhd")
                (track_id,) = struct.unpack_from(">I", tkhd, 20 if tkhd[0] else 12)
                (timescale_hz,) = struct.unpack_from(">I", mdhd, 20 if mdhd[0] else 12)
                handler = _child(trak, "mdia", "hdlr")[8:12].decode("latin-1")
                entry, entry_body = next(boxes(_child(trak, "mdia", "minf", "stbl", "stsd")[8:]))
                codec = _codec(entry, entry_body)
                tracks.append(InitTrack(track_id, handler, timescale_hz, codec, *defaults.get(track_id, (0, 0))))
        return tracks
    except (struct.error, IndexError, StopIteration, CodecError) as error:
        raise BadBoxes(f"the init segment is not readable: {error}") from error


def _codec(entry: str, body: bytes) -> str:
    if entry in _VIDEO_RECORDS:
        record = _child(body[_VIDEO_ENTRY_BYTES:], _VIDEO_RECORDS[entry])
        if entry.startswith("avc"):
            return f"{entry}.{record[1:4].hex()}"
        if entry == "vp09":
            record = record[4:]  # a full box
        return entry + video_codec_string("hvc1" if entry == "hev1" else entry, record)[4:]
    if entry == "mp4a":
        return f"mp4a.40.{_audio_object_type(_child(body[_AUDIO_ENTRY_BYTES:], 'esds')[4:])}"
    return entry


def _audio_object_type(descriptors: bytes) -> int:
    """The object type of the AudioSpecificConfig in an ES descriptor (ISO/IEC 14496-1, 7.2.6.5)."""
    position = 0
    skip = {3: 3, 4: 13}  # what of these descriptors comes before those inside them
    while position < len(descriptors):
        tag = descriptors[position]
        position += 1
        while descriptors[position] & 0x80:
            position += 1
        position += 1
        if tag == 5:
            kind = descriptors[position] >> 3
            if kind < 31:
                return kind
            return 32 + ((descriptors[position] & 7) << 3 | descriptors[position + 1] >> 5)
        position += skip.get(tag, 0)
    raise BadBoxes("no AudioSpecificConfig in 'esds'")


def read_fragments(data: bytes, init: list[InitTrack]) -> list[Fragment]:
    """The fragments of a part or segment. Raises `BadBoxes`."""
    tracks = {track.track_id: track for track in init}
    fragments: list[Fragment] = []
    moof_at, runs = 0, None
    try:
        for kind, start, end in _spans(data):
            if kind == "moof":
                moof_at = start - 8
                runs = [_run(body, tracks) for name, body in boxes(data[start:end]) if name == "traf"]
            elif kind == "mdat":
                if runs is None:
                    raise BadBoxes("an mdat follows no moof")
                firsts = {
                    run.track_id: data[moof_at + run.offset :][: run.first_size]
                    for run in runs
                    if run.offset is not None
                }
                fragments.append(Fragment(runs, data[start:end], firsts))
                runs = None
    except (struct.error, IndexError) as error:
        raise BadBoxes(f"a fragment is not readable: {error}") from error
    if runs is not None or not fragments:
        raise BadBoxes("a moof without its mdat" if runs is not None else "no moof")
    return fragments


def _run(traf: bytes, tracks: dict[int, InitTrack]) -> TrackRun:
    tfhd, tfdt = _child(traf, "tfhd"), _child(traf, "tfdt")
    flags, track_id = struct.unpack_from(">II", tfhd)
    known = tracks.get(track_id)
    default_duration, default_flags = (known.default_duration, known.default_flags) if known else (0, 0)
    position, default_size = 8, 0
    for bit, size_bytes in ((1, 8), (2, 4), (8, 4), (0x10, 4), (0x20, 4)):
        if flags & bit:
            value = int.from_bytes(tfhd[position : position + size_bytes], "big")
            position += size_bytes
            default_duration = value if bit == 8 else default_duration
            default_size = value if bit == 0x10 else default_size
            default_flags = value if bit == 0x20 else default_flags
    (decode_time,) = struct.unpack_from(">Q" if tfdt[0] else ">I", tfdt, 4)
    out = TrackRun(track_id, decode_time)
    for kind, trun in boxes(traf):
        if kind == "trun":
            _read_trun(trun, out, default_duration, default_size, default_flags)
    return out


def _read_trun(trun: bytes, out: TrackRun, duration: int, size: int, sample_flags: int) -> None:
    flags, count = struct.unpack_from(">II", trun)
    position, first_flags = 8, sample_flags
    if flags & 1:
        (offset,) = struct.unpack_from(">i", trun, position)
        position += 4
        out.offset = offset if out.offset is None else out.offset
    if flags & 4:
        (first_flags,) = struct.unpack_from(">I", trun, position)
        position += 4
    fields = [bit for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit]
    for index in range(count):
        row = dict(zip(fields, struct.unpack_from(f">{len(fields)}I", trun, position), strict=True))
        position += 4 * len(fields)
        if not out.durations:
            out.first_is_sync = not row.get(0x400, first_flags if index == 0 else sample_flags) & 0x10000
            out.first_size = row.get(0x200, size)
        out.durations.append(row.get(0x100, duration))

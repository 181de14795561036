"""CMAF init segments and fragments (ISO/IEC 23000-19 on ISO/IEC 14496-12): one track each, written with `struct`."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from packager.samples import AudioTrack, Sample, Track, VideoTrack

_TRACK_ID = 1
_IDENTITY_MATRIX = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_SYNC_SAMPLE_FLAGS = 0x02000000
_NON_SYNC_SAMPLE_FLAGS = 0x01010000
_TFHD_DEFAULT_BASE_IS_MOOF = 0x020000
_TRUN_FLAGS = 0x000001 | 0x000100 | 0x000200 | 0x000400 | 0x000800  # offset; duration, size, flags, composition offset
_TRUN_ROW = struct.Struct(">IIIi")
_UND = 0x55C4  # ISO 639-2 "und", packed


def init_segment(track: Track) -> bytes:
    """ftyp and moov of a track."""
    brands = b"cmfc" + (b"cmf2" if isinstance(track, VideoTrack) else b"") + b"iso6mp41"
    mvhd = struct.pack(">IIIIIH10x", 0, 0, 1000, 0, 0x10000, 0x100)
    mvhd += _IDENTITY_MATRIX + bytes(24) + struct.pack(">I", _TRACK_ID + 1)
    trex = struct.pack(">5I", _TRACK_ID, 1, 0, 0, 0)
    moov = _full_box(b"mvhd", 0, 0, mvhd) + _trak(track) + _box(b"mvex", _full_box(b"trex", 0, 0, trex))
    return _box(b"ftyp", b"iso6" + struct.pack(">I", 0) + brands) + _box(b"moov", moov)


def fragment(track: Track, sequence_number: int, samples: Sequence[Sample]) -> bytes:
    """moof and mdat of these samples, which follow each other without a gap. `samples` must not be empty.

    Composition offsets are signed (trun version 1): an encoder with B-frames may place PTS before DTS.
    """
    rows = b"".join(
        _TRUN_ROW.pack(
            sample.duration,
            len(sample.data),
            _SYNC_SAMPLE_FLAGS if sample.keyframe else _NON_SYNC_SAMPLE_FLAGS,
            sample.pts - sample.dts,
        )
        for sample in samples
    )
    mfhd = _full_box(b"mfhd", 0, 0, struct.pack(">I", sequence_number))
    tfhd = _full_box(b"tfhd", 0, _TFHD_DEFAULT_BASE_IS_MOOF, struct.pack(">I", _TRACK_ID))
    tfdt = _full_box(b"tfdt", 1, 0, struct.pack(">Q", samples[0].dts))
    # The data offset counts from the first byte of moof: its own boxes, then the header of mdat.
    trun_bytes = 12 + 8 + len(rows)
    traf_bytes = 8 + len(tfhd) + len(tfdt) + trun_bytes
    data_offset = 8 + len(mfhd) + traf_bytes + 8
    trun = _full_box(b"trun", 1, _TRUN_FLAGS, struct.pack(">Ii", len(samples), data_offset) + rows)
    moof = _box(b"moof", mfhd + _box(b"traf", tfhd + tfdt + trun))
    data_bytes = sum(len(sample.data) for sample in samples)
    return b"".join((moof, struct.pack(">I4s", 8 + data_bytes, b"mdat"), *(sample.data for sample in samples)))


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full_box(kind: bytes, version: int, flags: int, body: bytes) -> bytes:
    return struct.pack(">I4sI", 12 + len(body), kind, version << 24 | flags) + body


def _trak(track: Track) -> bytes:
    video = isinstance(track, VideoTrack)
    width_px, height_px = (track.display_width_px, track.height_px) if isinstance(track, VideoTrack) else (0, 0)
    volume = 0 if video else 0x100
    tkhd = struct.pack(">IIIII8xhhHH", 0, 0, _TRACK_ID, 0, 0, 0, 0, volume, 0)
    tkhd += _IDENTITY_MATRIX + struct.pack(">II", width_px << 16, height_px << 16)
    mdhd = struct.pack(">IIIIHH", 0, 0, track.timescale_hz, 0, _UND, 0)
    hdlr = bytes(4) + (b"vide" if video else b"soun") + bytes(12) + b"antlive\0"
    media_header = _full_box(b"vmhd", 0, 1, bytes(8)) if video else _full_box(b"smhd", 0, 0, bytes(4))
    dref = _full_box(b"dref", 0, 0, struct.pack(">I", 1) + _full_box(b"url ", 0, 1, b""))
    stbl = _full_box(b"stsd", 0, 0, struct.pack(">I", 1) + _sample_entry(track))
    stbl += _full_box(b"stts", 0, 0, bytes(4)) + _full_box(b"stsc", 0, 0, bytes(4))
    stbl += _full_box(b"stsz", 0, 0, bytes(8)) + _full_box(b"stco", 0, 0, bytes(4))
    minf = media_header + _box(b"dinf", dref) + _box(b"stbl", stbl)
    mdia = _full_box(b"mdhd", 0, 0, mdhd) + _full_box(b"hdlr", 0, 0, hdlr) + _box(b"minf", minf)
    return _box(b"trak", _full_box(b"tkhd", 0, 3, tkhd) + _box(b"mdia", mdia))


def _sample_entry(track: Track) -> bytes:
    if isinstance(track, VideoTrack):
        entry = struct.pack(">6xH16xHHIIIH32xHh", 1, track.width_px, track.height_px, 0x480000, 0x480000, 0, 1, 24, -1)
        entry += _decoder_configuration(track)
        if track.sample_aspect_ratio != 1:
            entry += _box(b"pasp", struct.pack(">II", *track.sample_aspect_ratio.as_integer_ratio()))
        return _box(track.codec.encode(), entry)
    # 16.16 holds no rate from 65536 Hz on; the decoder configuration tells it.
    sample_rate_hz = track.sample_rate_hz if track.sample_rate_hz <= 0xFFFF else 0
    entry = struct.pack(">6xH8xHHHHI", 1, track.channels, 16, 0, 0, sample_rate_hz << 16)
    if track.codec == "Opus":
        return _box(b"Opus", entry + _box(b"dOps", track.decoder_config))
    return _box(b"mp4a", entry + _full_box(b"esds", 0, 0, _es_descriptor(track)))


def _decoder_configuration(track: VideoTrack) -> bytes:
    if track.codec == "vp09":
        return _full_box(b"vpcC", 1, 0, track.decoder_config)
    return _box({"avc1": b"avcC", "hvc1": b"hvcC", "av01": b"av1C"}[track.codec], track.decoder_config)


def _es_descriptor(track: AudioTrack) -> bytes:
    """ISO/IEC 14496-1, 7.2.6.5: object type 0x40 is MPEG-4 audio, stream type 5 is audio."""
    decoder = struct.pack(">BB3xII", 0x40, 5 << 2 | 1, track.bandwidth_bps, track.average_bandwidth_bps)
    decoder += _descriptor(0x05, track.decoder_config)
    return _descriptor(0x03, struct.pack(">HB", 0, 0) + _descriptor(0x04, decoder) + _descriptor(0x06, b"\x02"))


def _descriptor(tag: int, body: bytes) -> bytes:
    if len(body) > 127:
        raise ValueError(f"a descriptor of {len(body)} bytes exceeds 127")
    return bytes((tag, len(body))) + body

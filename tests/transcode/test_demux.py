from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcode.demux import FlvDemuxer
from transcode.flv import TAG_AUDIO, TAG_SCRIPT, TAG_VIDEO, FlvError
from transcode.units import AudioConfig, AudioPacket, Hints, Unit, UnsupportedCodec, VideoConfig, VideoPacket

HEADER = b"FLV\x01\x05" + struct.pack(">II", 9, 0)
AVCC = bytes.fromhex("0164001fffe1000467640000010004")
ASC = bytes.fromhex("1190")


def tag(kind: int, timestamp_ms: int, body: bytes) -> bytes:
    size = len(body).to_bytes(3, "big")
    time = (timestamp_ms & 0xFFFFFF).to_bytes(3, "big") + bytes([timestamp_ms >> 24])
    return bytes([kind]) + size + time + bytes(3) + body + struct.pack(">I", 11 + len(body))


def video_config(record: bytes = AVCC) -> bytes:
    return tag(TAG_VIDEO, 0, b"\x17\x00\x00\x00\x00" + record)


def picture(timestamp_ms: int, composition_ms: int = 0, keyframe: bool = False, data: bytes = b"nal") -> bytes:
    first = b"\x17" if keyframe else b"\x27"
    return tag(TAG_VIDEO, timestamp_ms, first + b"\x01" + composition_ms.to_bytes(3, "big", signed=True) + data)


def amf_string(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def metadata(*pairs: tuple[str, float | str]) -> bytes:
    body = b"\x02" + amf_string("onMetaData") + b"\x08" + struct.pack(">I", len(pairs))
    for name, value in pairs:
        packed = b"\x02" + amf_string(value) if isinstance(value, str) else b"\x00" + struct.pack(">d", value)
        body += amf_string(name) + packed
    return tag(TAG_SCRIPT, 0, body + b"\x00\x00\x09")


def demux(data: bytes) -> list[Unit]:
    return list(FlvDemuxer().feed(HEADER + data))


H264 = VideoConfig(codec="h264", extradata=AVCC)
AAC = AudioConfig(codec="aac", extradata=ASC, sample_rate_hz=0, channels=0)
MP3 = AudioConfig(codec="mp3", extradata=b"", sample_rate_hz=44100, channels=2)
EX_AAC = b"\x90mp4a" + ASC

HVCC = b"\1" + bytes(22)
AV1C = b"\x81\x05\x0c\x00"
VPCC = bytes.fromhex("00158200020202")[:7] + b"\0"
HEVC = VideoConfig(codec="hevc", extradata=HVCC)

CASES: list[tuple[str, bytes, list[Unit]]] = [
    ("nothing", b"", []),
    (
        "H.264 with a B-frame",
        video_config() + picture(33, 66, keyframe=True) + picture(66, -33),
        [
            H264,
            VideoPacket(dts_ms=33, composition_ms=66, keyframe=True, data=b"nal"),
            VideoPacket(dts_ms=66, composition_ms=-33, keyframe=False, data=b"nal"),
        ],
    ),
    ("a repeated configuration is told once", video_config() * 3, [H264]),
    ("an empty configuration is passed over", video_config(b"") + video_config(), [H264]),
    ("a picture before its configuration is left out", picture(0, keyframe=True), []),
    (
        "a timestamp above 24 bits",
        video_config() + picture(0xFEDCBA98, keyframe=True),
        [H264, VideoPacket(dts_ms=0xFEDCBA98, composition_ms=0, keyframe=True, data=b"nal")],
    ),
    (
        "a command frame and an end of sequence are no pictures",
        video_config() + tag(9, 0, b"\x57\x00") + tag(9, 0, b"\x17\x02\0\0\0"),
        [H264],
    ),
    ("a 4-byte data message (ffmpeg's timecode)", tag(TAG_SCRIPT, 0, b"\x00\x00\x00\x01"), []),
    ("AAC", tag(8, 0, b"\xaf\x00" + ASC) + tag(8, 21, b"\xaf\x01raw"), [AAC, AudioPacket(pts_ms=21, data=b"raw")]),
    ("AAC before its configuration is left out", tag(8, 21, b"\xaf\x01raw"), []),
    ("an empty AAC configuration is passed over", tag(8, 0, b"\xaf\x00"), []),
    ("MP3", tag(8, 5, b"\x2fraw"), [MP3, AudioPacket(pts_ms=5, data=b"raw")]),
    (
        "AAC as 5.1 encoders send it (Enhanced RTMP)",
        tag(8, 0, EX_AAC) + tag(8, 9, b"\x91mp4araw"),
        [AAC, AudioPacket(pts_ms=9, data=b"raw")],
    ),
    (
        "H.264 by its FourCC (Enhanced RTMP)",
        tag(9, 0, b"\x90avc1" + AVCC) + tag(9, 7, b"\x91avc1\x00\x00\x05nal") + tag(9, 8, b"\xa3avc1nal"),
        [
            H264,
            VideoPacket(dts_ms=7, composition_ms=5, keyframe=True, data=b"nal"),
            VideoPacket(dts_ms=8, composition_ms=0, keyframe=False, data=b"nal"),
        ],
    ),
    (
        "HEVC by codec id 12, from before there was Enhanced RTMP",
        tag(9, 0, b"\x1c\x00\0\0\0" + HVCC) + tag(9, 7, b"\x1c\x01\x00\x00\x05nal"),
        [HEVC, VideoPacket(dts_ms=7, composition_ms=5, keyframe=True, data=b"nal")],
    ),
    (
        "HEVC by its FourCC; its metadata and its end are passed over",
        tag(9, 0, b"\x90hvc1" + HVCC)
        + tag(9, 0, b"\x94hvc1meta")
        + tag(9, 7, b"\x91hvc1\xff\xff\xfbnal")
        + tag(9, 9, b"\x92hvc1"),
        [HEVC, VideoPacket(dts_ms=7, composition_ms=-5, keyframe=True, data=b"nal")],
    ),
    (
        "AV1 and VP9 have no composition time",
        tag(9, 0, b"\x90av01" + AV1C)
        + tag(9, 7, b"\x91av01obu")
        + tag(9, 8, b"\x90vp09\1\0\0\0" + VPCC)
        + tag(9, 9, b"\xa1vp09frame"),
        [
            VideoConfig(codec="av1", extradata=AV1C),
            VideoPacket(dts_ms=7, composition_ms=0, keyframe=True, data=b"obu"),
            VideoConfig(codec="vp9", extradata=VPCC),
            VideoPacket(dts_ms=9, composition_ms=0, keyframe=False, data=b"frame"),
        ],
    ),
    (
        "a packet with a nanosecond offset (ModEx), and one with a long extension",
        tag(9, 0, b"\x90hvc1" + HVCC)
        + tag(9, 7, b"\x97\x02\x00\x01\x02\x03hvc1nal")
        + tag(9, 8, b"\x97\xff\x00\xff" + bytes(256) + b"\x03hvc1nal"),
        [
            HEVC,
            VideoPacket(dts_ms=7, composition_ms=0, keyframe=True, data=b"nal"),
            VideoPacket(dts_ms=8, composition_ms=0, keyframe=True, data=b"nal"),
        ],
    ),
    (
        "one track of several in bodies of their own: the first that comes",
        tag(9, 0, b"\x96\x00hvc1\x01" + HVCC) + tag(9, 0, b"\x96\x00hvc1\x02" + HVCC) + tag(9, 7, b"\x96\x03hvc1\x02no")
        + tag(9, 7, b"\x96\x03hvc1\x01nal"),
        [HEVC, Hints(has_extra_tracks=True), VideoPacket(dts_ms=7, composition_ms=0, keyframe=True, data=b"nal")],
    ),
    (
        "several tracks in one body: the first",
        tag(9, 0, b"\x96\x20hvc1\x00" + len(HVCC).to_bytes(3, "big") + HVCC + b"av01\x01\0\0\4" + AV1C)
        + tag(9, 7, b"\x96\x13hvc1\x00\0\0\3nal\x01\0\0\3law"),
        [Hints(has_extra_tracks=True), HEVC, VideoPacket(dts_ms=7, composition_ms=0, keyframe=True, data=b"nal")],
    ),
    (
        "a second track beside one in plain bodies, as ffmpeg sends it",
        video_config() + tag(9, 0, b"\x96\x00avc1\x01" + AVCC) + tag(8, 0, b"\xaf\x00" + ASC)
        + tag(8, 0, b"\x95\x00mp4a\x01" + ASC) + picture(7, keyframe=True) + tag(9, 7, b"\x96\x03avc1\x01no")
        + tag(8, 8, b"\xaf\x01aac") + tag(8, 8, b"\x95\x01mp4a\x01no"),
        [
            VideoConfig(codec="h264", extradata=AVCC),
            Hints(has_extra_tracks=True),
            AudioConfig(codec="aac", extradata=ASC, sample_rate_hz=0, channels=0),
            VideoPacket(dts_ms=7, composition_ms=0, keyframe=True, data=b"nal"),
            AudioPacket(pts_ms=8, data=b"aac"),
        ],
    ),
    (
        "a plain track beside a numbered one that came first",
        tag(9, 0, b"\x96\x00avc1\x01" + AVCC) + video_config() + picture(7, keyframe=True, data=b"no")
        + tag(9, 7, b"\x96\x03avc1\x01nal"),
        [
            VideoConfig(codec="h264", extradata=AVCC),
            Hints(has_extra_tracks=True),
            VideoPacket(dts_ms=7, composition_ms=0, keyframe=True, data=b"nal"),
        ],
    ),
    ("bodies that end within their FourCC", tag(9, 0, b"\x90av0") + tag(9, 7, b"\xa1") + tag(8, 0, b"\x90Op"), []),
    ("enhanced bodies that are cut short", tag(9, 0, b"\x97") + tag(9, 0, b"\x96") + tag(8, 0, b"\x95\x00mp4"), []),
    (
        "metadata",
        metadata(("framerate", 25.0), ("videodatarate", 2500.0), ("encoder", "obs")),
        [Hints(frame_rate=25.0, video_bitrate_bps=2_500_000.0, encoder="obs")],
    ),
    ("nonsense in metadata is no hint", metadata(("framerate", float("nan")), ("videodatarate", -1.0)), [Hints()]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "expected"), CASES, ids=[case[0] for case in CASES])
def test_units(name: str, data: bytes, expected: list[Unit]) -> None:
    assert demux(data) == expected


@pytest.mark.parametrize(("name", "data", "expected"), CASES, ids=[case[0] for case in CASES])
def test_units_byte_by_byte(name: str, data: bytes, expected: list[Unit]) -> None:
    demuxer = FlvDemuxer()
    stream = HEADER + data
    assert [unit for index in range(len(stream)) for unit in demuxer.feed(stream[index : index + 1])] == expected


@pytest.mark.parametrize(
    ("name", "data", "named"),
    [
        ("Sorenson", tag(9, 0, b"\x22data"), "Sorenson"),
        ("VP6", tag(9, 0, b"\x24data"), "VP6"),
        ("VVC by FourCC", tag(9, 0, b"\x90vvc1"), "vvc1"),
        ("an audio FourCC that nobody knows", tag(8, 0, b"\x90wxyzdata"), "wxyz"),
        ("Speex", tag(8, 0, b"\xb2data"), "11"),
    ],
)
def test_a_codec_that_is_not_taken_is_named(name: str, data: bytes, named: str) -> None:
    with pytest.raises(UnsupportedCodec, match=named):
        demux(data)


def test_a_packet_whose_four_cc_is_damaged_is_left_out_and_a_new_codec_is_not() -> None:
    head = tag(9, 0, b"\x90av01" + AV1C)
    units = demux(head + tag(9, 7, b"\x91av21obu") + tag(9, 40, b"\x91av01obu"))
    assert [unit.dts_ms for unit in units if isinstance(unit, VideoPacket)] == [40]
    with pytest.raises(UnsupportedCodec, match="vvc1"):
        demux(head + tag(9, 7, b"\x90vvc1"))


def test_bytes_that_are_no_flv_are_refused() -> None:
    with pytest.raises(FlvError, match="header"):
        list(FlvDemuxer().feed(b"GET / HTTP/1.1\r\n\r\n"))


@given(st.binary(max_size=400))
def test_whatever_follows_a_header_raises_only_our_errors(data: bytes) -> None:
    try:
        demux(data)
    except (FlvError, UnsupportedCodec):
        return


@given(st.sampled_from([TAG_AUDIO, TAG_VIDEO, TAG_SCRIPT]), st.binary(max_size=80))
def test_whatever_a_tag_holds_raises_only_our_errors(kind: int, body: bytes) -> None:
    try:
        demux(video_config() + tag(kind, 0, body))
    except UnsupportedCodec:
        return

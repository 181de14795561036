"""HEVC parameter sets and the sizes of AV1 and VP9: of real encoders, and garbage."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st

from packager.codecs import CodecError, video_codec_string
from packager.frame_size import av1_size, vp9_size
from packager.hevc import HevcConfig, parse_hevc_config, parse_hevc_sps
from tests.clips import FFMPEG
from transcode.annexb import nal_units
from transcode.annexb_hevc import HevcParameterSets

X265 = {"preset": "ultrafast", "x265-params": "log-level=none:bframes=3"}


def encoded(
    codec: str,
    width_px: int,
    height_px: int,
    options: dict[str, str],
    pix_fmt: str = "yuv420p",
    aspect: Fraction = Fraction(1),
) -> tuple[bytes, bytes]:
    """The extradata of an encoder, and its first packet."""
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width_px, height_px, pix_fmt
    encoder.time_base, encoder.framerate = Fraction(1001, 30000), Fraction(30000, 1001)
    encoder.sample_aspect_ratio = aspect
    encoder.flags |= 1 << 22  # global header
    encoder.options = options
    packets = []
    for pts in range(4):
        grey = VideoFrame.from_ndarray(np.full((height_px, width_px), 40 * pts, np.uint8), format="gray")
        frame = grey.reformat(format=pix_fmt)
        frame.pts = pts
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return encoder.extradata or b"", bytes(packets[0])


def x265(
    width_px: int, height_px: int, pix_fmt: str = "yuv420p", aspect: Fraction = Fraction(1), more: str = ""
) -> bytes:
    options = {**X265, "x265-params": X265["x265-params"] + more}
    extradata, _ = encoded("libx265", width_px, height_px, options, pix_fmt, aspect)
    sets = HevcParameterSets()
    assert sets.update(nal_units(extradata))
    assert sets.record is not None
    return sets.record


@pytest.mark.parametrize(
    ("size", "pix_fmt", "aspect", "more", "chroma", "depth"),
    [
        ((640, 360), "yuv420p", Fraction(1), "", 1, 8),
        ((642, 366), "yuv420p10le", Fraction(4, 3), "", 1, 10),
        ((640, 360), "yuv444p", Fraction(1), ":scaling-list=default", 3, 8),
        ((640, 362), "yuv422p", Fraction(16, 11), ":scaling-list=default:temporal-layers=1", 2, 8),
        ((1920, 1080), "yuv420p", Fraction(1), ":ref=4:limit-refs=0", 1, 8),
    ],
)
def test_what_x265_writes(
    size: tuple[int, int], pix_fmt: str, aspect: Fraction, more: str, chroma: int, depth: int
) -> None:
    record = x265(*size, pix_fmt, aspect, more)
    config = parse_hevc_config(record)
    assert (config.width_px, config.height_px) == size
    assert (config.chroma_format, config.luma_depth_bits, config.chroma_depth_bits) == (chroma, depth, depth)
    assert config.sample_aspect_ratio == aspect
    assert config.frame_rate == pytest.approx(30000 / 1001)
    assert record[16] & 3 == chroma and record[17] & 7 == depth - 8


def test_the_record_is_the_one_that_ffmpeg_writes(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    command = [FFMPEG, "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30", "-frames:v", "3"]
    command += ["-c:v", "libx265", *(word for name, value in X265.items() for word in (f"-{name}", value))]
    subprocess.run([*command, "-tag:v", "hvc1", str(path)], check=True, timeout=60)
    with av.open(str(path)) as container:
        theirs = container.streams.video[0].codec_context.extradata
    command = [FFMPEG, "-v", "error", "-i", str(path), "-c", "copy", "-f", "hevc", "-"]
    sets = HevcParameterSets()
    sets.update(nal_units(subprocess.run(command, check=True, timeout=60, stdout=subprocess.PIPE).stdout))
    assert theirs is not None and sets.record is not None
    # All but the hints at parallel decoding, and the array of SEI messages that ffmpeg adds.
    assert sets.record[:13] == theirs[:13] and sets.record[16:22] == theirs[16:22]
    assert video_codec_string("hvc1", sets.record) == video_codec_string("hvc1", theirs)
    assert parse_hevc_config(theirs) == parse_hevc_config(sets.record)


def test_reference_picture_sets_told_by_their_difference_are_passed_over() -> None:
    bits = "0000" + "000" + "1" + "0" * 96  # ids, layers, nesting, profile_tier_level
    bits += ue(0, 1, 320, 184) + "1" + ue(0, 0, 0, 2) + ue(0, 0, 4) + "1" + ue(0, 0, 0) + ue(0, 3, 0, 3, 0, 0)
    bits += "0" + "00" + "0"  # scaling lists, AMP and SAO, PCM
    bits += ue(3) + ue(1, 1) + ue(0) + "1" + ue(0) + "1"  # two pictures
    bits += "1" + "0" + ue(0) + "1" + "01" + "00"  # of three flags: used, kept, neither
    bits += "1" + "1" + ue(1) + "1" + "1" + "1"
    bits += "0" + "00" + "1"  # long-term pictures, two flags, VUI
    bits += "0" + "0" + "0" + "0" + "000" + "0" + "1" + f"{1:032b}" + f"{50:032b}"
    sps = b"\x42\x01" + int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    escaped = bytearray()
    for byte in sps:
        if byte <= 3 and escaped.endswith(b"\0\0"):
            escaped.append(3)
        escaped.append(byte)
    config = parse_hevc_sps(bytes(escaped))
    assert (config.width_px, config.height_px, config.frame_rate) == (320, 180, 50)


def ue(*values: int) -> str:
    codes = [f"{value + 1:b}" for value in values]
    return "".join("0" * (len(code) - 1) + code for code in codes)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (b"", "not an hvcC record"),
        (b"\x02" + bytes(30), "not an hvcC record"),
        (b"\x01" + bytes(22), "holds no SPS"),
        (b"\x01" + bytes(21) + b"\x01\x21\x00\x01\x00\x09abc", "ends within a NAL unit"),
        (b"\x01" + bytes(21) + b"\x01\x21\x00\x01\x00\x03\x42\x01\x01", "cut short"),
    ],
)
def test_wrong_records(record: bytes, text: str) -> None:
    with pytest.raises(CodecError, match=text):
        parse_hevc_config(record)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_configuration_or_our_error(data: bytes) -> None:
    for parse in (parse_hevc_sps, parse_hevc_config, lambda body: parse_hevc_config(b"\x01" + bytes(21) + body)):
        try:
            assert isinstance(parse(data), HevcConfig)
        except CodecError as error:
            assert str(error)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_size_or_none(data: bytes) -> None:
    for size in (av1_size(data), vp9_size(data), av1_size(b"\x81\x00\x00\x00\x0a\x0b" + data)):
        assert size is None or min(size) > 0


@pytest.mark.parametrize(("width_px", "height_px"), [(640, 360), (322, 182)])
def test_sizes_of_av1_and_vp9(width_px: int, height_px: int) -> None:
    sequence_header, _ = encoded("libsvtav1", width_px, height_px, {"preset": "12"})
    assert av1_size(b"\x81\0\0\0" + sequence_header) == (width_px, height_px)
    _, keyframe = encoded("libvpx-vp9", width_px, height_px, {"deadline": "realtime"})
    assert vp9_size(keyframe) == (width_px, height_px)
    assert vp9_size(b"\x86" + keyframe[1:]) is None  # no keyframe

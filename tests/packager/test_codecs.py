"""avcC records and AudioSpecificConfigs: real ones, made ones, and garbage."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import pytest
from av.video.codeccontext import VideoCodecContext
from hypothesis import given
from hypothesis import strategies as st

from packager.codecs import (
    AacConfig,
    CodecError,
    codec_string,
    parse_aac_config,
    parse_avc_config,
    video_codec_string,
)
from tests.packager.helpers import audio_track, video_track


def x264_record(
    width_px: int, height_px: int, pix_fmt: str = "yuv420p", params: str = "", fps: Fraction = Fraction(30)
) -> bytes:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width_px, height_px, pix_fmt
    encoder.time_base, encoder.framerate = 1 / fps, fps
    encoder.flags |= 1 << 22  # global header
    encoder.options = {"preset": "ultrafast", "x264-params": f"annexb=0{params}"}
    encoder.open()
    assert encoder.extradata is not None
    return encoder.extradata


class Bits:
    """Writes what a `BitReader` reads."""

    def __init__(self) -> None:
        self.text = ""

    def u(self, count: int, value: int) -> Bits:
        self.text += f"{value:0{count}b}"
        return self

    def ue(self, *values: int) -> Bits:
        for value in values:
            code = f"{value + 1:b}"
            self.text += "0" * (len(code) - 1) + code
        return self

    def record(self) -> bytes:
        """An avcC record with this as its only SPS, emulation prevention included."""
        text = self.text + "1"
        sps = int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
        escaped = bytearray(b"\x67")
        for byte in sps:
            if byte <= 3 and escaped.endswith(b"\0\0"):
                escaped.append(3)
            escaped.append(byte)
        return b"\x01" + sps[:3] + b"\xff\xe1" + len(escaped).to_bytes(2, "big") + bytes(escaped)


def high_sps(chroma: int, *, separate_planes: bool = False, scaling: bool = False) -> Bits:
    """A High SPS of 40x23 macroblocks, cropped by 1 unit right and 7 units at the bottom, without VUI."""
    bits = Bits().u(24, 0x64001F).ue(0, chroma)
    if chroma == 3:
        bits.u(1, separate_planes)
    bits.ue(0, 0).u(1, 0).u(1, scaling)
    if scaling:
        lists = 12 if chroma == 3 else 8
        # One list written out in full (all deltas 0), one that ends at its first entry (delta -8), the rest absent.
        bits.u(1, 1).ue(*[0] * 16).u(1, 1).ue(16).u(lists - 2, 0)
    bits.ue(0, 0, 0, 4).u(1, 0).ue(39, 22).u(1, 1).u(1, 1).u(1, 1).ue(0, 1, 0, 7)
    return bits.u(1, 0)


@pytest.mark.parametrize(
    ("record", "size_px"),
    [
        (x264_record(1280, 720), (1280, 720)),
        (x264_record(1920, 1080), (1920, 1080)),
        (x264_record(640, 362), (640, 362)),
        (x264_record(2, 2), (2, 2)),
        (x264_record(641, 361, "yuv444p"), (641, 361)),
        (x264_record(640, 361, "yuv422p"), (640, 361)),
        (x264_record(720, 576, params=":interlaced=1"), (720, 576)),
        (x264_record(1920, 1080, params=":interlaced=1"), (1920, 1080)),
        (x264_record(640, 360, "yuv420p10le"), (640, 360)),
        (x264_record(640, 360, "gray"), (640, 360)),
        (x264_record(640, 360, params=":cqm=jvt"), (640, 360)),
        (x264_record(720, 576, params=":sar=16/11:overscan=show:videoformat=pal:colorprim=bt470bg"), (720, 576)),
        (high_sps(1).record(), (638, 354)),
        (high_sps(2).record(), (638, 361)),
        (high_sps(3).record(), (639, 361)),
        (high_sps(0).record(), (639, 361)),
        (high_sps(3, separate_planes=True).record(), (639, 361)),
        (high_sps(1, scaling=True).record(), (638, 354)),
        (high_sps(3, scaling=True).record(), (639, 361)),
    ],
    ids=["720p", "1080p cropped", "bottom cropped", "smallest", "4:4:4 odd", "High 4:2:2 odd height", "interlaced",
         "interlaced cropped", "10 bit", "monochrome", "scaling lists", "aspect and colour", "made 4:2:0", "made 4:2:2",
         "made 4:4:4", "made monochrome", "made separate planes", "made scaling lists", "made 12 scaling lists"],
)  # fmt: skip
def test_the_size_is_the_cropped_size(record: bytes, size_px: tuple[int, int]) -> None:
    config = parse_avc_config(record)
    assert (config.width_px, config.height_px) == size_px


@pytest.mark.parametrize(
    "fps", [Fraction(25), Fraction(30_000, 1001), Fraction(24_000, 1001), Fraction(60)], ids=str
)  # fmt: skip
def test_the_frame_rate_is_that_of_the_vui(fps: Fraction) -> None:
    assert parse_avc_config(x264_record(640, 360, fps=fps)).frame_rate == pytest.approx(float(fps))


def test_without_vui_timing_there_is_no_frame_rate() -> None:
    assert parse_avc_config(high_sps(1).record()).frame_rate is None


def test_a_baseline_sps_with_order_type_1_is_read() -> None:
    bits = Bits().u(24, 0x42C01E).ue(0, 0, 1).u(1, 0).ue(2, 3, 2, 5, 6, 1).u(1, 0).ue(39, 29).u(1, 1).u(1, 1).u(1, 0)
    config = parse_avc_config(bits.u(1, 0).record())
    assert (config.width_px, config.height_px, config.profile, config.level) == (640, 480, 0x42, 0x1E)


@pytest.mark.parametrize(
    ("config", "codecs"),
    [
        ("01640028ffe1", "avc1.640028"),
        ("014d401fffe1", "avc1.4d401f"),
        ("0142c01effe1", "avc1.42c01e"),
        ("017a1029ffe1", "avc1.7a1029"),
    ],
)
def test_the_codec_string_of_video_is_profile_constraints_and_level(config: str, codecs: str) -> None:
    assert codec_string(video_track(decoder_config=bytes.fromhex(config))) == codecs


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("1190", AacConfig(object_type=2, sample_rate_hz=48_000, channels=2)),
        ("1210", AacConfig(object_type=2, sample_rate_hz=44_100, channels=2)),
        ("1188", AacConfig(object_type=2, sample_rate_hz=48_000, channels=1)),
        ("11b0", AacConfig(object_type=2, sample_rate_hz=48_000, channels=6)),
        ("11b8", AacConfig(object_type=2, sample_rate_hz=48_000, channels=8)),
        ("2b920800", AacConfig(object_type=5, sample_rate_hz=22_050, channels=2)),
        ("eb8a0800", AacConfig(object_type=29, sample_rate_hz=22_050, channels=1)),
        ("17805dc010", AacConfig(object_type=2, sample_rate_hz=48_000, channels=2)),
        ("f94640", AacConfig(object_type=42, sample_rate_hz=48_000, channels=2)),
    ],
)
def test_an_audio_specific_config_says_type_rate_and_channels(config: str, expected: AacConfig) -> None:
    assert parse_aac_config(bytes.fromhex(config)) == expected
    assert codec_string(replace(audio_track(), decoder_config=bytes.fromhex(config))) == (
        f"mp4a.40.{expected.object_type}"
    )


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"", "not an avcC record"),
        (b"\x02" + bytes(20), "not an avcC record of version 1"),
        (bytes.fromhex("0164001fffe00004676400"), "no SPS"),
        (bytes.fromhex("0164001fffe1000467"), "1 bytes; the record announces 4"),
        (bytes.fromhex("0164001fffe1ffff") + bytes(0xFFFF), "65535 bytes exceeds 4096"),
        (bytes.fromhex("0164001fffe1000467640000"), "cut short"),
        (Bits().u(24, 0x42C01E).ue(0, 0, 2, 1).u(1, 0).ue(2000, 9).u(3, 0b110).u(1, 0).record(), "outside 1 to 16384"),
    ],
)
def test_an_unusable_avc_configuration_gets_a_clear_error(record: bytes, message: str) -> None:
    with pytest.raises(CodecError, match=message):
        parse_avc_config(record)


@pytest.mark.parametrize(
    ("config", "message"),
    [("", "cut short"), ("11", "cut short"), ("1690", "index 13 exceeds 12"), ("11f8", "channel configuration 15"),
     ("1780000010", "sample rate of 0 Hz")],
)  # fmt: skip
def test_an_unusable_audio_configuration_gets_a_clear_error(config: str, message: str) -> None:
    with pytest.raises(CodecError, match=message):
        parse_aac_config(bytes.fromhex(config))


@pytest.mark.parametrize("record", [x264_record(1280, 720), high_sps(3, scaling=True).record()], ids=["real", "made"])
def test_a_record_cut_anywhere_raises_codec_error_or_reads_the_same(record: bytes) -> None:
    whole = parse_avc_config(record)
    outcomes = set()
    for length in range(len(record)):
        try:
            outcomes.add(parse_avc_config(record[:length]) == whole)
        except CodecError:
            outcomes.add(False)
    assert False in outcomes


@given(st.binary(max_size=80), st.booleans())
def test_garbage_raises_nothing_but_codec_error(data: bytes, framed: bool) -> None:
    record = bytes.fromhex("0164001fffe1") + len(data).to_bytes(2, "big") + data if framed else data
    for parse in (parse_avc_config, parse_aac_config):
        try:
            parse(record)
        except CodecError as error:
            assert str(error)


@given(st.integers(0, 79), st.integers(0, 255))
def test_one_wrong_byte_raises_nothing_but_codec_error(at: int, value: int) -> None:
    record = bytearray(REAL)
    record[at % len(record)] = value
    try:
        config = parse_avc_config(bytes(record))
    except CodecError:
        return
    assert 0 < config.width_px <= 16384 and 0 < config.height_px <= 16384


REAL = x264_record(1280, 720)


@pytest.mark.parametrize(
    ("sample_entry", "record", "expected"),
    [
        # The examples of ISO/IEC 14496-15 E.3, and of the AV1 and VP bindings.
        ("hvc1", "01" + "01" + "60000000" + "b00000000000" + "5d", "hvc1.1.6.L93.B0"),
        ("hvc1", "01" + "41" + "20000000" + "b02000000000" + "96", "hvc1.A1.4.L150.B0.20"),
        ("hvc1", "01" + "22" + "20000000" + "900000000000" + "99", "hvc1.2.4.H153.90"),
        ("av01", "81040c00", "av01.0.04M.08"),
        ("av01", "81a8cc00", "av01.5.08H.10"),
        ("vp09", "00158200", "vp09.00.21.08"),
        ("vp09", "020aa200", "vp09.02.10.10"),
    ],
)
def test_the_codec_string_of_other_video(sample_entry: str, record: str, expected: str) -> None:
    assert video_codec_string(sample_entry, bytes.fromhex(record)) == expected


@pytest.mark.parametrize("sample_entry", ["avc1", "hvc1", "av01", "vp09"])
def test_a_video_configuration_that_is_cut_short_is_refused(sample_entry: str) -> None:
    with pytest.raises(CodecError, match="2 bytes is shorter"):
        video_codec_string(sample_entry, b"\1\2")

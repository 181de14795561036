"""Pixels that are not square: from the SPS into the init segment and the playlist."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from packager.cmaf import init_segment
from packager.codecs import parse_avc_config
from packager.multivariant import multivariant_playlist
from tests.packager.helpers import Writer, replay, video_track
from tests.packager.test_codecs import Bits, high_sps, x264_record

WIDE = replace(video_track(), width_px=720, height_px=576, sample_aspect_ratio=Fraction(16, 11))


@pytest.mark.parametrize("ratio", [Fraction(1), Fraction(12, 11), Fraction(16, 11), Fraction(4, 3), Fraction(7, 5)])
def test_the_aspect_ratio_is_that_of_the_vui(ratio: Fraction) -> None:
    record = x264_record(720, 576, params=f":sar={ratio.numerator}/{ratio.denominator}")
    config = parse_avc_config(record)
    assert config.sample_aspect_ratio == ratio
    assert config.frame_rate == 30, "what follows the aspect ratio is still read"


def with_aspect_ratio(aspect: Bits) -> bytes:
    """An SPS whose VUI holds this and nothing else."""
    bits = high_sps(1)
    bits.text = bits.text[:-1] + "1" + aspect.text + "0" * 8
    return bits.record()


@pytest.mark.parametrize(
    "aspect",
    [Bits().u(1, 0), Bits().u(9, 0x100), Bits().u(9, 0x100 | 17), Bits().u(9, 0x1FF).u(32, 0x00050000),
     Bits().u(9, 0x1FF).u(32, 0x00000005)],
    ids=["absent", "unspecified", "reserved", "a height of 0", "a width of 0"],
)  # fmt: skip
def test_without_a_meaningful_aspect_ratio_pixels_are_square(aspect: Bits) -> None:
    assert parse_avc_config(with_aspect_ratio(aspect)).sample_aspect_ratio == 1
    assert parse_avc_config(high_sps(1).record()).sample_aspect_ratio == 1


def test_an_init_segment_names_the_aspect_ratio_and_the_presentation_size() -> None:
    data = init_segment(WIDE)
    at = data.index(b"pasp")
    assert struct.unpack(">II", data[at + 4 : at + 12]) == (16, 11)
    at = data.index(b"avc1", data.index(b"stsd"))
    assert struct.unpack(">HH", data[at + 28 : at + 32]) == (720, 576)
    at = data.index(b"tkhd")
    assert struct.unpack(">II", data[at + 80 : at + 88]) == (1047 << 16, 576 << 16)
    assert b"pasp" not in init_segment(video_track())


def test_resolution_is_what_a_viewer_sees(tmp_path: Path) -> None:
    writer = Writer(tmp_path, WIDE)
    writer.segments(1)
    assert "RESOLUTION=1047x576" in multivariant_playlist(replay(writer.directory / "journal.jsonl"))

"""What an HEVC sequence parameter set says (ITU-T H.265, 7.3.2.2), and the hvcC record around it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from packager.bits import BitReader, OutOfBits
from packager.codecs import CodecError, aspect_ratio

VPS, SPS, PPS = 32, 33, 34
_MAX_SIZE_PX = 16384
_MAX_SPS_BYTES = 4096
_RECORD_HEADER_BYTES = 23
_PROFILE_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class HevcConfig:
    """`profile` is the general part of profile_tier_level: 12 bytes that an hvcC record has word for word.

    `frame_rate` is None when the SPS carries no timing.
    """

    profile: bytes
    sub_layers: int
    temporal_nesting: bool
    chroma_format: int
    luma_depth_bits: int
    chroma_depth_bits: int
    width_px: int
    height_px: int
    sample_aspect_ratio: Fraction
    frame_rate: float | None


def parse_hevc_config(record: bytes) -> HevcConfig:
    """Read the first SPS of an hvcC record (ISO/IEC 14496-15, 8.3.3.1). Raises `CodecError`."""
    if len(record) < _RECORD_HEADER_BYTES or record[0] != 1:
        raise CodecError(f"not an hvcC record of version 1: {record[:8].hex()}")
    at = _RECORD_HEADER_BYTES
    for _ in range(record[22]):
        kind, count = record[at] & 0x3F if at < len(record) else 0, int.from_bytes(record[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            size_bytes = int.from_bytes(record[at : at + 2], "big")
            unit = record[at + 2 : at + 2 + size_bytes]
            if len(unit) < size_bytes or not size_bytes:
                raise CodecError(f"the hvcC record of {len(record)} bytes ends within a NAL unit")
            if kind == SPS:
                return parse_hevc_sps(unit)
            at += 2 + size_bytes
    raise CodecError("the hvcC record holds no SPS")


def parse_hevc_sps(sps: bytes) -> HevcConfig:
    """Read an SPS with its NAL unit header of two bytes. Raises `CodecError`."""
    if len(sps) > _MAX_SPS_BYTES:
        raise CodecError(f"an SPS of {len(sps)} bytes exceeds {_MAX_SPS_BYTES}")
    # Emulation prevention (7.4.2): 00 00 03 stands for 00 00.
    reader = BitReader(sps[2:].replace(b"\x00\x00\x03", b"\x00\x00"))
    try:
        config = _parse(reader)
    except OutOfBits as error:
        raise CodecError(f"the SPS is cut short: {error}") from error
    if not (0 < config.width_px <= _MAX_SIZE_PX and 0 < config.height_px <= _MAX_SIZE_PX):
        raise CodecError(f"a picture of {config.width_px}x{config.height_px} is outside 1 to {_MAX_SIZE_PX} pixels")
    return config


def _parse(reader: BitReader) -> HevcConfig:
    reader.bits(4)
    more_layers = reader.bits(3)
    temporal_nesting = reader.flag()
    profile = reader.bits(_PROFILE_BYTES * 8).to_bytes(_PROFILE_BYTES, "big")
    _skip_sub_layer_profiles(reader, more_layers)
    reader.ue()
    chroma = reader.ue()
    separate_planes = chroma == 3 and reader.flag()
    width_px, height_px = reader.ue(), reader.ue()
    crop = [reader.ue() for _ in range(4)] if reader.flag() else [0, 0, 0, 0]
    luma_depth, chroma_depth = reader.ue(), reader.ue()
    if chroma > 3 or luma_depth > 7 or chroma_depth > 7:
        raise CodecError(f"chroma format {chroma} with depths 8+{luma_depth} and 8+{chroma_depth} does not exist")
    crop_x = 2 if chroma in (1, 2) and not separate_planes else 1
    crop_y = 2 if chroma == 1 and not separate_planes else 1
    try:
        aspect, frame_rate = _rest(reader, more_layers)
    except OutOfBits:
        aspect, frame_rate = Fraction(1), None  # hints only: size and format are known
    return HevcConfig(
        profile=profile,
        sub_layers=more_layers + 1,
        temporal_nesting=temporal_nesting,
        chroma_format=chroma,
        luma_depth_bits=8 + luma_depth,
        chroma_depth_bits=8 + chroma_depth,
        width_px=width_px - (crop[0] + crop[1]) * crop_x,
        height_px=height_px - (crop[2] + crop[3]) * crop_y,
        sample_aspect_ratio=aspect,
        frame_rate=frame_rate,
    )


def _skip_sub_layer_profiles(reader: BitReader, more_layers: int) -> None:
    present = [(reader.flag(), reader.flag()) for _ in range(more_layers)]
    if more_layers:
        reader.bits(2 * (8 - more_layers))
    for has_profile, has_level in present:
        reader.bits((88 if has_profile else 0) + (8 if has_level else 0))


def _rest(reader: BitReader, more_layers: int) -> tuple[Fraction, float | None]:
    """What lies between the sizes and the VUI, and of that aspect ratio and frame rate (E.2.1)."""
    poc_bits = reader.ue() + 4
    for _ in range(more_layers + 1 if reader.flag() else 1):
        reader.ue(), reader.ue(), reader.ue()
    for _ in range(6):
        reader.ue()
    if reader.flag() and reader.flag():
        _skip_scaling_lists(reader)
    reader.bits(2)
    if reader.flag():
        reader.bits(8)
        reader.ue(), reader.ue()
        reader.flag()
    _skip_reference_sets(reader)
    if reader.flag():
        for _ in range(min(reader.ue(), 32)):
            reader.bits(min(poc_bits, 16) + 1)
    reader.bits(2)
    return _vui(reader) if reader.flag() else (Fraction(1), None)


def _skip_scaling_lists(reader: BitReader) -> None:
    for size in range(4):
        for _ in range(0, 6, 3 if size == 3 else 1):
            if not reader.flag():
                reader.ue()
                continue
            if size > 1:
                reader.se()
            for _ in range(min(64, 1 << (4 + 2 * size))):
                reader.se()


def _skip_reference_sets(reader: BitReader) -> None:
    """st_ref_pic_set (7.3.7) of each set; one may be told by its difference from the one before."""
    pictures = 0
    for index in range(min(reader.ue(), 64)):
        if index and reader.flag():
            reader.flag()
            reader.ue()
            # A picture that is not used now may still be kept: a second flag says so.
            pictures = sum(reader.flag() or reader.flag() for _ in range(pictures + 1))
            continue
        pictures = reader.ue() + reader.ue()
        if pictures > 16:
            raise OutOfBits(f"a reference picture set of {pictures} pictures, 16 are possible")
        for _ in range(pictures):
            reader.ue()
            reader.flag()


def _vui(reader: BitReader) -> tuple[Fraction, float | None]:
    aspect = aspect_ratio(reader)
    if reader.flag():
        reader.flag()
    if reader.flag():
        reader.bits(4)
        if reader.flag():
            reader.bits(24)
    if reader.flag():
        reader.ue(), reader.ue()
    reader.bits(3)
    if reader.flag():
        for _ in range(4):
            reader.ue()
    if not reader.flag():
        return aspect, None
    units_in_tick, time_scale = reader.bits(32), reader.bits(32)
    rate = time_scale / units_in_tick if units_in_tick else 0
    return aspect, rate if 1 <= rate <= 300 else None

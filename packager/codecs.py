"""Decoder configurations: what they say of size, rate and channels, and their RFC 6381 codec strings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from packager.bits import BitReader, OutOfBits
from packager.samples import AudioTrack, VideoTrack

AAC_SAMPLE_RATES_HZ = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_AAC_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8)
_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
_ASPECT_RATIOS = {
    2: (12, 11), 3: (10, 11), 4: (16, 11), 5: (40, 33), 6: (24, 11), 7: (20, 11), 8: (32, 11), 9: (80, 33),
    10: (18, 11), 11: (15, 11), 12: (64, 33), 13: (160, 99), 14: (4, 3), 15: (3, 2), 16: (2, 1),
}  # fmt: skip
_MAX_SIZE_PX = 16384
_MAX_SPS_BYTES = 4096


class CodecError(ValueError):
    """A decoder configuration is not usable. The message says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AvcConfig:
    """What an avcC record says. `frame_rate` is None when the SPS carries no timing."""

    profile: int
    compatibility: int
    level: int
    width_px: int
    height_px: int
    sample_aspect_ratio: Fraction
    frame_rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AacConfig:
    """What an AudioSpecificConfig says: the object type, and the rate and channels of the coded core."""

    object_type: int
    sample_rate_hz: int
    channels: int


def codec_string(track: VideoTrack | AudioTrack) -> str:
    """The CODECS value of a track (RFC 6381, 3.3). Raises `CodecError`."""
    if isinstance(track, VideoTrack):
        return video_codec_string(track.codec, track.decoder_config)
    if track.codec == "Opus":
        return "Opus"
    return f"mp4a.40.{parse_aac_config(track.decoder_config).object_type}"


def video_codec_string(sample_entry: str, record: bytes) -> str:
    """The CODECS value of `avc1`, `hvc1`, `av01` or `vp09` with this decoder configuration. Raises `CodecError`."""
    make, least_bytes = _VIDEO_CODEC_STRINGS[sample_entry]
    if len(record) < least_bytes:
        raise CodecError(
            f"a configuration record of {sample_entry} with {len(record)} bytes is shorter than {least_bytes}"
        )
    return make(record)


def _avc1(record: bytes) -> str:
    return f"avc1.{record[1]:02x}{record[2]:02x}{record[3]:02x}"


def _hvc1(record: bytes) -> str:
    """ISO/IEC 14496-15, E.3."""
    space = ("", "A", "B", "C")[record[1] >> 6]
    compatibility = int(f"{int.from_bytes(record[2:6], 'big'):032b}"[::-1], 2)
    tier = "H" if record[1] & 0x20 else "L"
    constraints = "".join(f".{byte:X}" for byte in record[6:12].rstrip(b"\0"))
    return f"hvc1.{space}{record[1] & 0x1F}.{compatibility:X}.{tier}{record[12]}{constraints}"


def _av01(record: bytes) -> str:
    """AV1 Codec ISO Media File Format Binding, 5."""
    depth_bits = (12 if record[2] & 0x20 else 10) if record[2] & 0x40 else 8
    tier = "H" if record[2] & 0x80 else "M"
    return f"av01.{record[1] >> 5}.{record[1] & 0x1F:02d}{tier}.{depth_bits:02d}"


def _vp09(record: bytes) -> str:
    """VP Codec ISO Media File Format Binding, codecs parameter string."""
    return f"vp09.{record[0]:02d}.{record[1]:02d}.{record[2] >> 4:02d}"


_VIDEO_CODEC_STRINGS: dict[str, tuple[Callable[[bytes], str], int]] = {
    "avc1": (_avc1, 4),
    "hvc1": (_hvc1, 13),
    "av01": (_av01, 4),
    "vp09": (_vp09, 3),
}


def parse_avc_config(record: bytes) -> AvcConfig:
    """Read an avcC record (ISO/IEC 14496-15, 5.3.3.1) and its first SPS. Raises `CodecError`."""
    if len(record) < 8 or record[0] != 1:
        raise CodecError(f"not an avcC record of version 1: {record[:8].hex()}")
    if record[5] & 0x1F == 0:
        raise CodecError("the avcC record holds no SPS")
    size_bytes = int.from_bytes(record[6:8], "big")
    sps = record[8 : 8 + size_bytes]
    if len(sps) < size_bytes or len(sps) < 4:
        raise CodecError(f"the SPS has {len(sps)} bytes; the record announces {size_bytes}")
    if size_bytes > _MAX_SPS_BYTES:
        raise CodecError(f"an SPS of {size_bytes} bytes exceeds {_MAX_SPS_BYTES}")
    try:
        width_px, height_px, sample_aspect_ratio, frame_rate = _parse_sps(sps)
    except OutOfBits as error:
        raise CodecError(f"the SPS is cut short: {error}") from error
    if not (0 < width_px <= _MAX_SIZE_PX and 0 < height_px <= _MAX_SIZE_PX):
        raise CodecError(f"a picture of {width_px}x{height_px} is outside 1 to {_MAX_SIZE_PX} pixels")
    return AvcConfig(
        profile=record[1],
        compatibility=record[2],
        level=record[3],
        width_px=width_px,
        height_px=height_px,
        sample_aspect_ratio=sample_aspect_ratio,
        frame_rate=frame_rate,
    )


def parse_aac_config(config: bytes) -> AacConfig:
    """Read an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1). Raises `CodecError`."""
    reader = BitReader(config)
    try:
        object_type = reader.bits(5)
        if object_type == 31:
            object_type = 32 + reader.bits(6)
        index = reader.bits(4)
        sample_rate_hz = reader.bits(24) if index == 15 else _at(AAC_SAMPLE_RATES_HZ, index, "sampling frequency index")
        channels = _at(_AAC_CHANNELS, reader.bits(4), "channel configuration")
    except OutOfBits as error:
        raise CodecError(f"the AudioSpecificConfig {config[:8].hex()} is cut short: {error}") from error
    if sample_rate_hz == 0:
        raise CodecError("the AudioSpecificConfig has a sample rate of 0 Hz")
    return AacConfig(object_type=object_type, sample_rate_hz=sample_rate_hz, channels=channels)


def _at(table: tuple[int, ...], index: int, what: str) -> int:
    if index >= len(table):
        raise CodecError(f"{what} {index} exceeds {len(table) - 1}")
    return table[index]


def _parse_sps(sps: bytes) -> tuple[int, int, Fraction, float | None]:
    """Cropped width and height, the sample aspect ratio, and the frame rate if there is VUI timing (ITU-T H.264,
    7.3.2.1.1 and E.1.1).
    """
    # Emulation prevention (7.4.1): 00 00 03 stands for 00 00.
    reader = BitReader(sps[1:].replace(b"\x00\x00\x03", b"\x00\x00"))
    profile = reader.bits(8)
    reader.bits(16)
    reader.ue()
    chroma, separate_planes = 1, False
    if profile in _HIGH_PROFILES:
        chroma = reader.ue()
        separate_planes = chroma == 3 and reader.flag()
        reader.ue()
        reader.ue()
        reader.flag()
        if reader.flag():
            for index in range(12 if chroma == 3 else 8):
                if reader.flag():
                    _skip_scaling_list(reader, 16 if index < 6 else 64)
    reader.ue()
    order_type = reader.ue()
    if order_type == 0:
        reader.ue()
    elif order_type == 1:
        reader.flag()
        reader.se()
        reader.se()
        for _ in range(min(reader.ue(), 255)):
            reader.se()
    reader.ue()
    reader.flag()
    width_mbs = reader.ue() + 1
    height_units = reader.ue() + 1
    frame_mbs_only = reader.flag()
    if not frame_mbs_only:
        reader.flag()
    reader.flag()
    crop = [reader.ue() for _ in range(4)] if reader.flag() else [0, 0, 0, 0]
    field_factor = 1 if frame_mbs_only else 2
    monochrome = chroma == 0 or separate_planes
    crop_x = 1 if monochrome or chroma == 3 else 2
    crop_y = (2 if chroma == 1 and not separate_planes else 1) * field_factor
    width_px = width_mbs * 16 - (crop[0] + crop[1]) * crop_x
    height_px = height_units * 16 * field_factor - (crop[2] + crop[3]) * crop_y
    if not reader.flag():
        return width_px, height_px, Fraction(1), None
    return width_px, height_px, aspect_ratio(reader), _vui_frame_rate(reader)


def _skip_scaling_list(reader: BitReader, size: int) -> None:
    last, following = 8, 8
    for _ in range(size):
        if following:
            following = (last + reader.se()) % 256
        last = following or last


def aspect_ratio(reader: BitReader) -> Fraction:
    """The sample aspect ratio at the start of a VUI, the same in H.264 and HEVC (E.2.1 of both); 1 where it is absent,
    reserved or without meaning.
    """
    if not reader.flag():
        return Fraction(1)
    index = reader.bits(8)
    width, height = (reader.bits(16), reader.bits(16)) if index == 255 else _ASPECT_RATIOS.get(index, (1, 1))
    return Fraction(width, height) if width and height else Fraction(1)


def _vui_frame_rate(reader: BitReader) -> float | None:
    if reader.flag():
        reader.flag()
    if reader.flag():
        reader.bits(4)
        if reader.flag():
            reader.bits(24)
    if reader.flag():
        reader.ue()
        reader.ue()
    if not reader.flag():
        return None
    units_in_tick, time_scale = reader.bits(32), reader.bits(32)
    if not units_in_tick or not time_scale:
        return None
    rate = time_scale / units_in_tick / 2
    return rate if 1 <= rate <= 300 else None

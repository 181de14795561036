"""Audio whose frames say by themselves what they are: MPEG audio, AC-3 and E-AC-3. Their headers, read. No I/O.

Sources: ISO/IEC 11172-3, 2.4.1.3 and ISO/IEC 13818-3, 2.4.2.3 (MPEG audio); ETSI TS 102 366, 4.3.1 and E.1.2.2 (AC-3).
"""

from __future__ import annotations

from typing import Final, NamedTuple


class FrameHeader(NamedTuple):
    """One frame. `is_extra`: it belongs to the one before and says nothing without it."""

    codec: str
    size_bytes: int
    samples: int
    rate_hz: int
    channels: int
    is_extra: bool = False

    @property
    def duration_ms(self) -> float:
        """How long it is heard."""
        return self.samples * 1000 / self.rate_hz


_BITRATES_KBPS = {  # by (is MPEG-1, layer)
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MPEG_RATES_HZ = (44100, 48000, 32000)
MPEG_HEADER_BYTES: Final = 4
MPEG_SYNC: Final = b"\xff"

_AC3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_AC3_RATES_HZ = (48000, 44100, 32000)
_AC3_SAMPLES = 1536
_AC3_CHANNELS = (2, 1, 2, 3, 3, 4, 4, 5)
_EAC3_BLOCKS = (1, 2, 3, 6)
_BLOCK_SAMPLES = 256
_EAC3_FIRST_VERSION, _LAST_VERSION = 11, 16
AC3_HEADER_BYTES: Final = 8
AC3_SYNC: Final = b"\x0b\x77"


def mpeg_audio_header(data: bytes, at: int) -> FrameHeader | None:
    """The MPEG audio frame, layer I to III, that begins here; None when none does. Needs `MPEG_HEADER_BYTES`."""
    version, layer = data[at + 1] >> 3 & 3, 4 - (data[at + 1] >> 1 & 3)
    bitrate_index, rate_index = data[at + 2] >> 4, data[at + 2] >> 2 & 3
    if data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0 or version == 1 or layer == 4:
        return None
    if not 0 < bitrate_index < 15 or rate_index == 3:
        return None
    is_mpeg1 = version == 3
    bitrate_bps = _BITRATES_KBPS[is_mpeg1, layer][bitrate_index - 1] * 1000
    rate_hz = _MPEG_RATES_HZ[rate_index] // (1 if is_mpeg1 else 2 if version == 2 else 4)
    samples = 384 if layer == 1 else 1152 if layer == 2 or is_mpeg1 else 576
    slot_bytes = 4 if layer == 1 else 1
    size_bytes = (samples // 8 // slot_bytes * bitrate_bps // rate_hz + (data[at + 2] >> 1 & 1)) * slot_bytes
    return FrameHeader(f"mp{layer}", size_bytes, samples, rate_hz, 1 if data[at + 3] >> 6 == 3 else 2)


def ac3_header(data: bytes, at: int) -> FrameHeader | None:
    """The AC-3 or E-AC-3 frame that begins here; None when none does. Needs `AC3_HEADER_BYTES`."""
    if data[at] != 0x0B or data[at + 1] != 0x77:
        return None
    version = data[at + 5] >> 3
    if version > _LAST_VERSION:
        return None
    return _eac3(data, at) if version >= _EAC3_FIRST_VERSION else _ac3(data, at)


def _ac3(data: bytes, at: int) -> FrameHeader | None:
    rate_code, size_code, mode = data[at + 4] >> 6, data[at + 4] & 0x3F, data[at + 6] >> 5
    if rate_code == 3 or size_code // 2 >= len(_AC3_KBPS):
        return None
    rate_hz = _AC3_RATES_HZ[rate_code]
    words = _AC3_KBPS[size_code // 2] * 1000 * _AC3_SAMPLES // rate_hz // 16
    if rate_hz == 44100:  # does not divide evenly: every other frame is a word longer
        words += size_code & 1
    # Whether there is a low-frequency channel comes after fields that depend on the mode (4.3.2).
    bit = 3 + (2 if mode & 1 and mode != 1 else 0) + (2 if mode & 4 else 0) + (2 if mode == 2 else 0)
    has_lfe = int.from_bytes(data[at + 6 : at + 8], "big") >> (15 - bit) & 1
    return FrameHeader("ac3", words * 2, _AC3_SAMPLES, rate_hz, _AC3_CHANNELS[mode] + has_lfe)


def _eac3(data: bytes, at: int) -> FrameHeader | None:
    stream_type, substream = data[at + 2] >> 6, data[at + 2] >> 3 & 7
    size_bytes = (int.from_bytes(data[at + 2 : at + 4], "big") & 0x7FF) * 2 + 2
    rate_code, half_code = data[at + 4] >> 6, data[at + 4] >> 4 & 3
    if stream_type == 3 or (rate_code == 3 and half_code == 3) or size_bytes < AC3_HEADER_BYTES:
        return None
    blocks, rate_hz = (6, _AC3_RATES_HZ[half_code] // 2) if rate_code == 3 else (
        _EAC3_BLOCKS[half_code], _AC3_RATES_HZ[rate_code])  # fmt: skip
    channels = _AC3_CHANNELS[data[at + 4] >> 1 & 7] + (data[at + 4] & 1)
    is_extra = stream_type == 1 or substream > 0
    return FrameHeader("eac3", size_bytes, blocks * _BLOCK_SAMPLES, rate_hz, channels, is_extra)

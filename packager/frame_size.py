"""How large the pictures of AV1 and VP9 are, without a decoder.

Sources: AV1 Bitstream and Decoding Process, 5.5 (sequence header) and 5.3.2 (OBU header); AV1 in ISOBMFF, 2.3.3 (av1C);
VP9 Bitstream and Decoding Process, 6.2 (uncompressed header).
"""

from __future__ import annotations

from packager.bits import BitReader, OutOfBits

_SEQUENCE_HEADER = 1
_AV1C_BYTES = 4
_VP9_SYNC = 0x498342
_SRGB = 7

Size = tuple[int, int]


def av1_size(record: bytes) -> Size | None:
    """The largest width and height that the sequence header in an av1C record allows; None when it has none."""
    reader = BitReader(record[_AV1C_BYTES : _AV1C_BYTES + 64])
    try:
        header = reader.bits(8)
        if header >> 3 & 15 != _SEQUENCE_HEADER:
            return None
        if header & 4:
            reader.bits(8)
        while header & 2 and reader.flag():  # the size of the OBU, seven bits to a byte
            reader.bits(7)
        if header & 2:
            reader.bits(7)
        return _sequence_size(reader)
    except OutOfBits:
        return None


def _sequence_size(reader: BitReader) -> Size:
    reader.bits(4)
    if reader.flag():  # reduced_still_picture_header
        reader.bits(5)
    else:
        delay_bits, has_decoder_model = 0, False
        if reader.flag():
            reader.bits(64)
            if reader.flag():
                reader.ue()
            has_decoder_model = reader.flag()
            if has_decoder_model:
                delay_bits = reader.bits(5) + 1
                reader.bits(42)
        has_display_delay = reader.flag()
        for _ in range(reader.bits(5) + 1):
            reader.bits(12)
            if reader.bits(5) > 7:
                reader.flag()
            if has_decoder_model and reader.flag():
                reader.bits(2 * delay_bits + 1)
            if has_display_delay and reader.flag():
                reader.bits(4)
    width_bits, height_bits = reader.bits(4) + 1, reader.bits(4) + 1
    return reader.bits(width_bits) + 1, reader.bits(height_bits) + 1


def vp9_size(keyframe: bytes) -> Size | None:
    """Width and height of a VP9 keyframe; None when this is none."""
    reader = BitReader(keyframe[:16])
    try:
        if reader.bits(2) != 2:
            return None
        profile = reader.bits(1) | reader.bits(1) << 1
        if profile == 3:
            reader.bits(1)
        if reader.flag() or reader.flag():  # shows a frame there is already, or is no keyframe
            return None
        reader.bits(2)
        if reader.bits(24) != _VP9_SYNC:
            return None
        if profile >= 2:
            reader.bits(1)
        odd_profile = profile & 1
        if reader.bits(3) != _SRGB:
            reader.bits(4 if odd_profile else 1)
        else:
            reader.bits(odd_profile)
        return reader.bits(16) + 1, reader.bits(16) + 1
    except OutOfBits:
        return None

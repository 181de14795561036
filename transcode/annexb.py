"""H.264 as a byte stream: to avcC records and length-prefixed pictures, as CMAF and the decoder want them.

Sources: ITU-T H.264, annex B (byte stream), 7.3.1 (NAL units), D.1 (SEI); ISO/IEC 14496-15, 5.3.3 (avcC).
"""

from __future__ import annotations

from packager.bits import BitReader, OutOfBits
from packager.codecs import AvcConfig, CodecError, parse_avc_config

NAL_IDR, NAL_SEI, NAL_SPS, NAL_PPS = 5, 6, 7, 8
_SEI_RECOVERY_POINT = 6
_START_CODE = b"\x00\x00\x01"
_PROFILES_WITH_CHROMA = frozenset({100, 110, 122, 144})
_MAX_PARAMETER_SETS = 31


def nal_units(data: bytes) -> list[bytes]:
    """The NAL units between the start codes, without the zeros around them and without empty ones."""
    units = []
    start = data.find(_START_CODE)
    while start >= 0:
        start += 3
        end = data.find(_START_CODE, start)
        unit = data[start : end if end >= 0 else None].rstrip(b"\x00")
        if unit:
            units.append(unit)
        start = end
    return units


def nal_type(unit: bytes) -> int:
    """The nal_unit_type of a NAL unit."""
    return unit[0] & 0x1F


def length_prefixed(units: list[bytes]) -> bytes:
    """NAL units, each behind its length in four bytes."""
    return b"".join(part for unit in units for part in (len(unit).to_bytes(4, "big"), unit))


def is_random_access(units: list[bytes]) -> bool:
    """Whether decoding can start with this picture: an IDR, or a recovery point that takes no further picture."""
    for unit in units:
        kind = nal_type(unit)
        if kind == NAL_IDR or (kind == NAL_SEI and _recovers_at_once(unit)):
            return True
    return False


class ParameterSets:
    """The SPS and PPS of a stream as they come in-band, and the avcC record made of them."""

    def __init__(self) -> None:
        self._sps: bytes | None = None
        self._pps: dict[int, bytes] = {}
        self._config: AvcConfig | None = None
        self.record: bytes | None = None

    @property
    def frame_rate(self) -> float | None:
        """What the SPS says of it."""
        return None if self._config is None else self._config.frame_rate

    def update(self, units: list[bytes]) -> bool:
        """Take the parameter sets among these units, but no unreadable ones; whether the record has changed."""
        before = self.record
        for unit in units:
            kind = nal_type(unit)
            if kind == NAL_SPS and unit != self._sps:
                if _readable(unit):
                    self._sps, self._pps, self.record = unit, {}, None
            elif kind == NAL_PPS:
                identifier = _pps_id(unit)
                full = len(self._pps) >= _MAX_PARAMETER_SETS and identifier not in self._pps
                if identifier is not None and not full and self._pps.get(identifier) != unit:
                    self._pps[identifier] = unit
                    self.record = None
        if self.record is None and self._sps is not None and self._pps:
            self.record = avc_record(self._sps, list(self._pps.values()))
            self._config = parse_avc_config(self.record)
        return self.record is not None and self.record != before


def avc_record(sps: bytes, pps: list[bytes]) -> bytes:
    """The avcC record of one SPS and its PPS. Raises `CodecError` for an SPS that cannot be one."""
    if not 4 <= len(sps) <= 0xFFFF:
        raise CodecError(f"an SPS of {len(sps)} bytes is not between 4 and {0xFFFF}")
    record = bytes([1, sps[1], sps[2], sps[3], 0xFF, 0xE1]) + len(sps).to_bytes(2, "big") + sps + bytes([len(pps)])
    record += b"".join(len(unit).to_bytes(2, "big") + unit for unit in pps)
    if sps[1] in _PROFILES_WITH_CHROMA:
        record += _chroma_fields(sps)
    return record


def _chroma_fields(sps: bytes) -> bytes:
    reader = BitReader(sps[4:32].replace(b"\x00\x00\x03", b"\x00\x00"))
    try:
        reader.ue()
        chroma = reader.ue()
        if chroma == 3:
            reader.flag()
        luma_depth, chroma_depth = reader.ue(), reader.ue()
    except OutOfBits as error:
        raise CodecError(f"the SPS is cut short: {error}") from error
    if chroma > 3 or luma_depth > 6 or chroma_depth > 6:
        raise CodecError(f"chroma format {chroma} with depths 8+{luma_depth} and 8+{chroma_depth} does not exist")
    return bytes([0xFC | chroma, 0xF8 | luma_depth, 0xF8 | chroma_depth, 0])


def _readable(sps: bytes) -> bool:
    try:
        parse_avc_config(avc_record(sps, []))
    except CodecError:
        return False
    return True


def _pps_id(pps: bytes) -> int | None:
    if not 2 <= len(pps) <= 0xFFFF:
        return None
    try:
        identifier = BitReader(pps[1:5]).ue()
    except OutOfBits:
        return None
    return identifier if identifier <= 255 else None


def _recovers_at_once(sei: bytes) -> bool:
    at = 1
    while at + 2 < len(sei):
        kind = 0
        while at < len(sei) and sei[at] == 0xFF:
            kind, at = kind + 255, at + 1
        size_bytes = 0
        kind, at = kind + (sei[at] if at < len(sei) else 0), at + 1
        while at < len(sei) and sei[at] == 0xFF:
            size_bytes, at = size_bytes + 255, at + 1
        size_bytes, at = size_bytes + (sei[at] if at < len(sei) else 0), at + 1
        if kind == _SEI_RECOVERY_POINT:
            return at < len(sei) and sei[at] & 0x80 != 0  # recovery_frame_cnt is 0
        at += size_bytes
    return False

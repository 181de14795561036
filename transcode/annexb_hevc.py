"""HEVC as a byte stream: to hvcC records, and which pictures decoding can start with.

Sources: ITU-T H.265, 7.3.1.2 and table 7-1 (NAL units); ISO/IEC 14496-15, 8.3.3.1 (hvcC).
"""

from __future__ import annotations

from packager.bits import BitReader, OutOfBits
from packager.codecs import CodecError
from packager.hevc import PPS, SPS, VPS, HevcConfig, parse_hevc_sps

_RANDOM_ACCESS = range(16, 24)
_MAX_PPS = 64
_COMPLETE = 0x80


def nal_type(unit: bytes) -> int:
    """The nal_unit_type of a NAL unit."""
    return unit[0] >> 1 & 0x3F


def is_random_access(units: list[bytes]) -> bool:
    """Whether decoding can start with this picture: IDR, BLA or CRA."""
    return any(nal_type(unit) in _RANDOM_ACCESS for unit in units)


class HevcParameterSets:
    """The VPS, SPS and PPS of a stream as they come in-band, and the hvcC record made of them."""

    def __init__(self) -> None:
        self._vps: bytes | None = None
        self._sps: bytes | None = None
        self._pps: dict[int, bytes] = {}
        self._config: HevcConfig | None = None
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
            if kind == VPS and unit != self._vps and 4 <= len(unit) <= 0xFFFF:
                self._vps, self.record = unit, None
            elif kind == SPS and unit != self._sps:
                try:
                    self._config = parse_hevc_sps(unit)
                except CodecError:
                    continue
                self._sps, self._pps, self.record = unit, {}, None
            elif kind == PPS:
                self._take_pps(unit)
        if self.record is None and self._vps and self._sps and self._pps and self._config is not None:
            self.record = hevc_record(self._config, self._vps, self._sps, list(self._pps.values()))
        return self.record is not None and self.record != before

    def _take_pps(self, unit: bytes) -> None:
        identifier = _pps_id(unit)
        full = len(self._pps) >= _MAX_PPS and identifier not in self._pps
        if identifier is not None and not full and self._pps.get(identifier) != unit:
            self._pps[identifier] = unit
            self.record = None


def hevc_record(config: HevcConfig, vps: bytes, sps: bytes, pps: list[bytes]) -> bytes:
    """The hvcC record of these parameter sets; pictures then hold none, and lengths of four bytes."""
    record = bytes([1]) + config.profile + b"\xf0\x00\xfc"
    record += bytes([0xFC | config.chroma_format, 0xF8 | config.luma_depth_bits - 8])
    record += bytes([0xF8 | config.chroma_depth_bits - 8, 0, 0])
    record += bytes([config.sub_layers << 3 | config.temporal_nesting << 2 | 3, 3])
    for kind, units in ((VPS, [vps]), (SPS, [sps]), (PPS, pps)):
        record += bytes([_COMPLETE | kind]) + len(units).to_bytes(2, "big")
        record += b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)
    return record


def _pps_id(pps: bytes) -> int | None:
    if not 3 <= len(pps) <= 0xFFFF:
        return None
    try:
        identifier = BitReader(pps[2:6]).ue()
    except OutOfBits:
        return None
    return identifier if identifier < _MAX_PPS else None

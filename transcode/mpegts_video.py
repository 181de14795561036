"""H.264 of an MPEG transport stream: PES packets, each one picture, to configurations and pictures. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

from transcode.annexb import ParameterSets, is_random_access, length_prefixed, nal_units
from transcode.units import Hints, VideoConfig, VideoPacket

# By nal_unit_type (ITU-T H.264, 7.4.1): parameter sets are in the configuration; delimiters, end marks and filler
# have no use in CMAF.
_LEFT_OUT = frozenset({7, 8, 9, 10, 11, 12, 13, 15})
_SLICES = frozenset({1, 2, 5})


class H264Stream:
    """One H.264 stream. Pictures before the first parameter sets are left out."""

    def __init__(self) -> None:
        self._parameters = ParameterSets()

    def push(
        self, dts_ms: float | None, composition_ms: float, data: bytes
    ) -> Iterator[VideoConfig | Hints | VideoPacket]:
        """The units of one PES payload."""
        units = nal_units(data)
        if self._parameters.update(units):
            assert self._parameters.record is not None
            yield VideoConfig(codec="h264", extradata=self._parameters.record)
            if self._parameters.config is not None and self._parameters.config.frame_rate:
                yield Hints(frame_rate=self._parameters.config.frame_rate)
        if dts_ms is None or self._parameters.record is None:
            return
        kept = [unit for unit in units if unit[0] & 0x1F not in _LEFT_OUT]
        if any(unit[0] & 0x1F in _SLICES for unit in kept):
            yield VideoPacket(
                dts_ms=dts_ms,
                composition_ms=composition_ms,
                keyframe=is_random_access(kept),
                data=length_prefixed(kept),
            )

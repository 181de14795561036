"""Video of an MPEG transport stream: PES packets, each one picture, to configurations and pictures. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from transcode import annexb, annexb_hevc
from transcode.annexb import length_prefixed, nal_units
from transcode.units import Hints, VideoConfig, VideoPacket


class ParameterSets(Protocol):
    """Parameter sets as they come in-band, and the decoder configuration record made of them."""

    record: bytes | None

    @property
    def frame_rate(self) -> float | None:
        """What they say of it."""

    def update(self, units: list[bytes]) -> bool:
        """Take those among these units; whether the record has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoCodec:
    """How pictures of a codec are taken apart. `left_out` are NAL units of no use in CMAF: parameter sets, which are
    in the configuration, delimiters, end marks and filler. `slices` are those that make a picture.
    """

    name: str
    parameter_sets: Callable[[], ParameterSets]
    nal_type: Callable[[bytes], int]
    left_out: frozenset[int]
    slices: frozenset[int]
    is_random_access: Callable[[list[bytes]], bool]


H264 = VideoCodec(
    name="h264",
    parameter_sets=annexb.ParameterSets,
    nal_type=annexb.nal_type,
    left_out=frozenset({7, 8, 9, 10, 11, 12, 13, 15}),
    slices=frozenset({1, 2, 5}),
    is_random_access=annexb.is_random_access,
)
HEVC = VideoCodec(
    name="hevc",
    parameter_sets=annexb_hevc.HevcParameterSets,
    nal_type=annexb_hevc.nal_type,
    left_out=frozenset({32, 33, 34, 35, 36, 37, 38}),
    slices=frozenset(range(32)),
    is_random_access=annexb_hevc.is_random_access,
)


class VideoStream:
    """One video stream. Pictures before the first parameter sets are left out."""

    def __init__(self, codec: VideoCodec) -> None:
        self._codec = codec
        self._parameters = codec.parameter_sets()

    def push(
        self, dts_ms: float | None, composition_ms: float, data: bytes
    ) -> Iterator[VideoConfig | Hints | VideoPacket]:
        """The units of one PES payload."""
        codec = self._codec
        units = nal_units(data)
        if self._parameters.update(units):
            assert self._parameters.record is not None
            yield VideoConfig(codec=codec.name, extradata=self._parameters.record)
            if self._parameters.frame_rate:
                yield Hints(frame_rate=self._parameters.frame_rate)
        if dts_ms is None or self._parameters.record is None:
            return
        kinds = [codec.nal_type(unit) for unit in units]
        kept = [unit for unit, kind in zip(units, kinds, strict=True) if kind not in codec.left_out]
        if not codec.slices.isdisjoint(kinds):
            yield VideoPacket(
                dts_ms=dts_ms,
                composition_ms=composition_ms,
                keyframe=codec.is_random_access(kept),
                data=length_prefixed(kept),
            )

"""Audio of an MPEG transport stream: PES packets to configurations and coded packets.

Sources: ISO/IEC 14496-3, 1.A.3.2 (ADTS) and 1.6.2.1 (AudioSpecificConfig); Opus in MPEG-TS (the mapping published on
opus-codec.org): control header. No I/O.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Protocol

from packager.codecs import AAC_SAMPLE_RATES_HZ
from transcode import opus
from transcode.audio_frames import (
    AC3_HEADER_BYTES,
    AC3_SYNC,
    MPEG_HEADER_BYTES,
    MPEG_SYNC,
    FrameHeader,
    ac3_header,
    mpeg_audio_header,
)
from transcode.units import AudioConfig, AudioPacket

_AAC_FRAME_SAMPLES = 1024
_ADTS_HEADER_BYTES = 7

AudioUnit = AudioConfig | AudioPacket


class AudioStream(Protocol):
    """One audio stream. `pts_ms` is None where the PES packet carries no time."""

    def push(self, pts_ms: float | None, data: bytes) -> Iterator[AudioUnit]:
        """The units that this PES payload completes."""


class AdtsStream:
    """AAC with ADTS headers, which may lie across PES packets. A frame begins where the one before it ends."""

    def __init__(self) -> None:
        self._rest = b""
        self._next_pts_ms: float | None = None
        self._config: bytes | None = None
        self._candidate: bytes | None = None

    def push(self, pts_ms: float | None, data: bytes) -> Iterator[AudioUnit]:
        """See `AudioStream.push`."""
        carried = len(self._rest)
        data = self._rest + data
        at = 0
        while at + _ADTS_HEADER_BYTES <= len(data):
            size_bytes = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
            if data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0 or size_bytes < _ADTS_HEADER_BYTES:
                at = _next_sync(data, at + 1)
                continue
            end = at + size_bytes
            if end > len(data):
                break
            if end < len(data) and data[end] != 0xFF:
                at = _next_sync(data, at + 1)
                continue
            if at >= carried and pts_ms is not None:  # the time belongs to the first frame that begins here
                self._next_pts_ms, pts_ms = pts_ms, None
            yield from self._frame(data[at:end])
            at = end
        self._rest = data[at:]

    def _frame(self, frame: bytes) -> Iterator[AudioUnit]:
        rate_index = frame[2] >> 2 & 0xF
        channels = (frame[2] & 1) << 2 | frame[3] >> 6
        if rate_index >= len(AAC_SAMPLE_RATES_HZ) or not channels or frame[6] & 3:  # one AAC frame in each, no more
            return
        pts_ms = self._next_pts_ms
        rate_hz = AAC_SAMPLE_RATES_HZ[rate_index]
        if pts_ms is not None:
            self._next_pts_ms = pts_ms + _AAC_FRAME_SAMPLES * 1000 / rate_hz
        config = struct.pack(">H", ((frame[2] >> 6) + 1) << 11 | rate_index << 7 | channels << 3)
        if config != self._config:
            # A damaged header looks like a new configuration: a change counts when the next frame says the same.
            if self._config is not None and config != self._candidate:
                self._candidate = config
                return
            self._config = config
            yield AudioConfig(codec="aac", extradata=config, sample_rate_hz=0, channels=0)
        self._candidate = None
        header_bytes = _ADTS_HEADER_BYTES + (0 if frame[1] & 1 else 2)
        if pts_ms is not None and len(frame) > header_bytes:
            yield AudioPacket(pts_ms=pts_ms, data=frame[header_bytes:])


class FramedStream:
    """Audio whose frames have headers of their own, and may lie across PES packets. `header` reads one."""

    def __init__(self, header: Callable[[bytes, int], FrameHeader | None], header_bytes: int, sync: bytes) -> None:
        self._header = header
        self._header_bytes = header_bytes
        self._sync = sync
        self._rest = b""
        self._next_pts_ms: float | None = None
        self._config: AudioConfig | None = None

    def push(self, pts_ms: float | None, data: bytes) -> Iterator[AudioUnit]:
        """See `AudioStream.push`."""
        carried = len(self._rest)
        data = self._rest + data
        at = 0
        while at + self._header_bytes <= len(data):
            header = self._header(data, at)
            if header is None:
                at = _next_sync(data, at + 1, self._sync)
                continue
            end = at + header.size_bytes
            if end > len(data):
                break
            if end + self._header_bytes <= len(data) and self._header(data, end) is None:
                at = _next_sync(data, at + 1, self._sync)
                continue
            if at >= carried and pts_ms is not None:  # the time belongs to the first frame that begins here
                self._next_pts_ms, pts_ms = pts_ms, None
            if not header.is_extra:
                yield from self._frame(header, data[at:end])
            at = end
        self._rest = data[at:]

    def _frame(self, header: FrameHeader, frame: bytes) -> Iterator[AudioUnit]:
        config = AudioConfig(codec=header.codec, extradata=b"", sample_rate_hz=header.rate_hz, channels=header.channels)
        if config != self._config:
            self._config = config
            yield config
        if self._next_pts_ms is not None:
            yield AudioPacket(pts_ms=self._next_pts_ms, data=frame)
            self._next_pts_ms += header.duration_ms


def mpeg_audio_stream() -> FramedStream:
    """MPEG audio, layers I to III."""
    return FramedStream(mpeg_audio_header, MPEG_HEADER_BYTES, MPEG_SYNC)


def ac3_stream() -> FramedStream:
    """AC-3 and E-AC-3; of the latter the first substream."""
    return FramedStream(ac3_header, AC3_HEADER_BYTES, AC3_SYNC)


class OpusStream:
    """Opus: each packet behind a control header that tells its size."""

    def __init__(self, channels: int) -> None:
        self._config: AudioConfig | None = AudioConfig(
            codec="opus", extradata=opus.opus_head(channels), sample_rate_hz=opus.RATE_HZ, channels=channels
        )

    def push(self, pts_ms: float | None, data: bytes) -> Iterator[AudioUnit]:
        """See `AudioStream.push`."""
        at = 0
        while at + 3 <= len(data) and data[at] == 0x7F and data[at + 1] & 0xE0 == 0xE0:
            flags = data[at + 1]
            at += 2
            size_bytes = 0
            while at < len(data) and data[at] == 0xFF:
                size_bytes, at = size_bytes + 0xFF, at + 1
            size_bytes += data[at] if at < len(data) else 0
            at += 1 + (2 if flags & 0x10 else 0) + (2 if flags & 0x08 else 0)
            if flags & 0x04:
                at += 1 + (data[at] if at < len(data) else 0)
            packet = data[at : at + size_bytes]
            at += size_bytes
            if len(packet) < size_bytes or not packet:
                return
            if self._config is not None:
                config, self._config = self._config, None
                yield config
            if pts_ms is not None:
                yield AudioPacket(pts_ms=pts_ms, data=packet)
                pts_ms += opus.packet_samples(packet) * 1000 / opus.RATE_HZ


def _next_sync(data: bytes, at: int, sync: bytes = MPEG_SYNC) -> int:
    found = data.find(sync, at)
    # The first byte of a longer sync word may be the last one here.
    return found if found >= 0 else max(at, len(data) - len(sync) + 1)

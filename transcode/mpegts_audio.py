"""Audio of an MPEG transport stream: PES packets to configurations and coded packets.

Sources: ISO/IEC 14496-3, 1.A.3.2 (ADTS) and 1.6.2.1 (AudioSpecificConfig); ISO/IEC 11172-3, 2.4.1.3 (MPEG audio
header); Opus in MPEG-TS (the mapping published on opus-codec.org): control header; RFC 7845, 5.1 (OpusHead).
No I/O.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Protocol

from packager.codecs import AAC_SAMPLE_RATES_HZ
from transcode.units import AudioConfig, AudioPacket

_AAC_FRAME_SAMPLES = 1024
_ADTS_HEADER_BYTES = 7
_OPUS_RATE_HZ = 48_000
_OPUS_PRE_SKIP_SAMPLES = 312
# Samples per frame at 48 kHz of each Opus configuration (RFC 6716, table 2), in steps of 2.5 ms.
_OPUS_STEPS = (4, 8, 16, 24) * 3 + (4, 8) * 2 + (1, 2, 4, 8) * 4

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
            yield AudioConfig(codec="aac", extradata=config, sample_rate_hz=rate_hz, channels=channels)
        self._candidate = None
        header_bytes = _ADTS_HEADER_BYTES + (0 if frame[1] & 1 else 2)
        if pts_ms is not None and len(frame) > header_bytes:
            yield AudioPacket(pts_ms=pts_ms, data=frame[header_bytes:])


class MpegAudioStream:
    """MPEG audio, layers I to III. The decoder finds the frames, and knows the rate, by itself."""

    def __init__(self) -> None:
        self._codec: str | None = None

    def push(self, pts_ms: float | None, data: bytes) -> Iterator[AudioUnit]:
        """See `AudioStream.push`. One unit for each PES payload, cut into its frames."""
        at = 0
        while at + 4 <= len(data):
            header = _mpeg_audio_header(data, at)
            if header is None:
                at = _next_sync(data, at + 1)
                continue
            codec, size_bytes, duration_ms = header
            if codec != self._codec:
                self._codec = codec
                yield AudioConfig(codec=codec, extradata=b"", sample_rate_hz=0, channels=0)
            if at + size_bytes > len(data):
                return
            if pts_ms is not None:
                yield AudioPacket(pts_ms=pts_ms, data=data[at : at + size_bytes])
                pts_ms += duration_ms
            at += size_bytes


class OpusStream:
    """Opus: each packet behind a control header that tells its size."""

    def __init__(self, channels: int) -> None:
        head = struct.pack("<8sBBHIhB", b"OpusHead", 1, channels, _OPUS_PRE_SKIP_SAMPLES, _OPUS_RATE_HZ, 0, 0)
        config = AudioConfig(codec="opus", extradata=head, sample_rate_hz=_OPUS_RATE_HZ, channels=channels)
        self._config: AudioConfig | None = config

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
                pts_ms += _opus_duration_ms(packet)


def _next_sync(data: bytes, at: int) -> int:
    found = data.find(0xFF, at)
    return found if found >= 0 else len(data)


_BITRATES_KBPS = {  # by (is MPEG-1, layer): ISO/IEC 11172-3, 2.4.2.3 and ISO/IEC 13818-3, 2.4.2.3
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = (44100, 48000, 32000)


def _mpeg_audio_header(data: bytes, at: int) -> tuple[str, int, float] | None:
    """Decoder, size in bytes and duration in ms of the frame that begins here; None when none does."""
    version, layer = data[at + 1] >> 3 & 3, 4 - (data[at + 1] >> 1 & 3)
    bitrate_index, rate_index = data[at + 2] >> 4, data[at + 2] >> 2 & 3
    if data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0 or version == 1 or layer == 4:
        return None
    if not 0 < bitrate_index < 15 or rate_index == 3:
        return None
    is_mpeg1 = version == 3
    bitrate_bps = _BITRATES_KBPS[is_mpeg1, layer][bitrate_index - 1] * 1000
    rate_hz = _RATES_HZ[rate_index] // (1 if is_mpeg1 else 2 if version == 2 else 4)
    samples = 384 if layer == 1 else 1152 if layer == 2 or is_mpeg1 else 576
    slot_bytes = 4 if layer == 1 else 1
    size_bytes = (samples // 8 // slot_bytes * bitrate_bps // rate_hz + (data[at + 2] >> 1 & 1)) * slot_bytes
    return f"mp{layer}", size_bytes, samples * 1000 / rate_hz


def _opus_duration_ms(packet: bytes) -> float:
    """Duration of a packet by its TOC byte (RFC 6716, 3.1)."""
    code = packet[0] & 3
    frames = 1 if code == 0 else 2 if code < 3 else packet[1] & 0x3F if len(packet) > 1 else 0
    return frames * _OPUS_STEPS[packet[0] >> 3] * 2.5

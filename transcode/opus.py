"""Opus: how long a packet lasts, its configuration in files and in MP4, and a packet of silence. No I/O.

Sources: RFC 6716, 3.1 (TOC byte); RFC 7845, 5.1 (OpusHead); Encapsulation of Opus in ISOBMFF, 4.3.2 (dOps).
"""

from __future__ import annotations

import struct
from typing import Final

from packager.codecs import CodecError

RATE_HZ: Final = 48_000
SILENT_PACKETS: Final = {1: b"\xf8\xff\xfe", 2: b"\xfc\xff\xfe"}
"""By channels: 20 ms of silence."""
SILENT_SAMPLES: Final = 960

_HEAD: Final = struct.Struct("<8sBBHIhB")
_DEFAULT_PRE_SKIP_SAMPLES: Final = 312
# Samples per frame of each configuration (RFC 6716, table 2), in steps of 2.5 ms.
_STEPS = (4, 8, 16, 24) * 3 + (4, 8) * 2 + (1, 2, 4, 8) * 4
_STEP_SAMPLES: Final = 120


def packet_samples(packet: bytes) -> int:
    """Samples at 48 kHz that a packet lasts, by its TOC byte. `packet` must not be empty."""
    code = packet[0] & 3
    frames = 1 if code == 0 else 2 if code < 3 else packet[1] & 0x3F if len(packet) > 1 else 0
    return frames * _STEPS[packet[0] >> 3] * _STEP_SAMPLES


def opus_head(channels: int) -> bytes:
    """The OpusHead of a stream of which no more than the channels is known."""
    return _HEAD.pack(b"OpusHead", 1, channels, _DEFAULT_PRE_SKIP_SAMPLES, RATE_HZ, 0, 0)


def head_channels(head: bytes) -> int:
    """How many channels an OpusHead of mapping family 0 has: 1 or 2. Raises `CodecError` for any other."""
    if len(head) < _HEAD.size or head[:8] != b"OpusHead":
        raise CodecError(f"not an OpusHead: {head[:8]!r}")
    channels, family = head[9], head[18]
    if family or channels not in (1, 2):
        raise CodecError(f"Opus of mapping family {family} with {channels} channels is not mono or stereo")
    return channels


def dops(head: bytes) -> bytes:
    """The body of the dOps box that says what this OpusHead says. Raises `CodecError`."""
    channels = head_channels(head)
    _, _, _, pre_skip, rate_hz, gain, _ = _HEAD.unpack_from(head)
    return struct.pack(">BBHIhB", 0, channels, pre_skip, rate_hz, gain, 0)

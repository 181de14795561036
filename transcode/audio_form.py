"""Audio that passthrough keeps as it is: AAC-LC and Opus, in mono or stereo. Anything else becomes AAC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from packager.codecs import AAC_SAMPLE_RATES_HZ, CodecError, parse_aac_config
from packager.samples import AudioTrack
from transcode import opus
from transcode.units import AudioConfig

AAC_FRAME_SAMPLES: Final = 1024
_AAC_LC: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioForm:
    """A configuration that is kept, and what is needed to keep it on a clock.

    No packet is longer than `longest_samples`, and the silent one is as long as that.
    """

    config: AudioConfig
    track: AudioTrack
    longest_samples: int
    packet_samples: Callable[[bytes], int]
    silent_packet: Callable[[], bytes]


def kept_form(config: AudioConfig | None, first_packet: bytes | None) -> AudioForm | None:
    """The form of audio that is kept; None for anything else.

    Opus is kept if its packets last 20 ms or less: parts are as exact as their longest packet.
    """
    if config is None:
        return None
    try:
        if config.codec == "aac":
            return _aac(config)
        if config.codec == "opus" and first_packet and opus.packet_samples(first_packet) <= opus.SILENT_SAMPLES:
            return _opus(config)
    except CodecError:
        pass  # the decoder may know better
    return None


def _aac(config: AudioConfig) -> AudioForm | None:
    parsed = parse_aac_config(config.extradata)
    usual_rate = parsed.sample_rate_hz in AAC_SAMPLE_RATES_HZ
    if parsed.object_type != _AAC_LC or parsed.channels not in (1, 2) or not usual_rate:
        return None
    return AudioForm(
        config=config,
        track=_track("mp4a", config.extradata, parsed.sample_rate_hz, parsed.channels),
        longest_samples=AAC_FRAME_SAMPLES,
        packet_samples=lambda _: AAC_FRAME_SAMPLES,
        silent_packet=lambda: _silent_aac(parsed.sample_rate_hz, parsed.channels),
    )


def _opus(config: AudioConfig) -> AudioForm:
    channels = opus.head_channels(config.extradata)
    return AudioForm(
        config=config,
        track=_track("Opus", opus.dops(config.extradata), opus.RATE_HZ, channels),
        longest_samples=opus.SILENT_SAMPLES,
        packet_samples=opus.packet_samples,
        silent_packet=lambda: opus.SILENT_PACKETS[channels],
    )


def _track(codec: str, decoder_config: bytes, rate_hz: int, channels: int) -> AudioTrack:
    return AudioTrack(
        name="audio",
        timescale_hz=rate_hz,
        codec=codec,
        decoder_config=decoder_config,
        sample_rate_hz=rate_hz,
        channels=channels,
        bandwidth_bps=192_000,
        average_bandwidth_bps=160_000,
    )


@cache
def _silent_aac(rate_hz: int, channels: int) -> bytes:
    # Most passthrough sessions never need it.
    from transcode.audio import silent_aac_frame

    return silent_aac_frame(rate_hz, channels)

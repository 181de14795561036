"""Ingest warnings: a table of code, condition and words for the person at the encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from streams.health import HealthWarning, IngestHealth

STEADY_REPORTS: Final = 2
"""A warning comes, and goes, when this many reports in a row agree."""

GOP_MAX_S: Final = 4.0
FPS_SHARE: Final = 0.9
DROPPED_SHARE: Final = 0.001
USUAL_AUDIO_RATES_HZ: Final = (44100, 48000)
BITRATE_MAX_BPS: Final = {"standard": 8_000_000, "high": 12_000_000}
"""More than this makes no rendition better."""


@dataclass(frozen=True, slots=True)
class Look:
    """One report beside the one before it, of a stream of this quality."""

    now: IngestHealth
    before: IngestHealth | None
    quality: str


def _gop_too_long(look: Look) -> str | None:
    gop_s = look.now.video.gop_s if look.now.video else None
    if gop_s is None or gop_s <= GOP_MAX_S:
        return None
    return f"keyframes are {gop_s:.1f} s apart; set the encoder's keyframe interval to 2 s or less"


def _no_video(look: Look) -> str | None:
    if look.now.video is not None and look.now.video.bitrate_bps > 0:
        return None
    return "no video arrives; check the source in the encoder"


def _no_audio(look: Look) -> str | None:
    if look.now.audio is not None and look.now.audio.bitrate_bps > 0:
        return None
    return "no audio arrives; viewers hear silence"


def _timestamp_jumps(look: Look) -> str | None:
    jumps = look.now.timestamp_jumps - (look.before.timestamp_jumps if look.before else 0)
    return f"timestamps jumped {jumps} times in two seconds; restart the encoder" if jumps > 0 else None


def _fps_below_declared(look: Look) -> str | None:
    video = look.now.video
    if video is None or not video.fps_declared or video.fps_measured is None:
        return None
    if video.fps_measured >= video.fps_declared * FPS_SHARE:
        return None
    return (
        f"{video.fps_measured:.1f} frames a second arrive of {video.fps_declared:g} declared; "
        "the encoder's machine is overloaded, or its setting is wrong"
    )


def _bitrate_too_high(look: Look) -> str | None:
    most_bps = BITRATE_MAX_BPS.get(look.quality)
    if most_bps is None or look.now.bitrate_bps <= most_bps:
        return None
    return (
        f"{look.now.bitrate_bps / 1e6:.1f} Mbit/s arrive; more than {most_bps / 1e6:g} Mbit/s "
        f"makes a {look.quality} stream no better"
    )


def _audio_rate_unusual(look: Look) -> str | None:
    rate_hz = look.now.audio.sample_rate_hz if look.now.audio else None
    if rate_hz is None or rate_hz in USUAL_AUDIO_RATES_HZ:
        return None
    return f"audio has {rate_hz} Hz; set the encoder to 48000 Hz"


def _extra_tracks_ignored(look: Look) -> str | None:
    return "more than one track arrives; only the first is used" if look.now.has_extra_tracks else None


def _srt_loss(look: Look) -> str | None:
    if look.now.srt is None:
        return None
    before = look.before.srt if look.before else None
    dropped = look.now.srt.packets_dropped - (before.packets_dropped if before else 0)
    received = look.now.srt.packets_received - (before.packets_received if before else 0)
    if dropped <= max(0.0, received * DROPPED_SHARE):
        return None
    return f"{dropped} packets were given up in two seconds; raise the SRT latency or lower the bitrate"


def _srt_latency_too_low(look: Look) -> str | None:
    srt = look.now.srt
    before = look.before.srt if look.before else None
    # A packet that was sent twice counts as belated, too: only what was given up before it came was needed.
    if (
        srt is None
        or srt.packets_belated == (before.packets_belated if before else 0)
        or srt.packets_dropped == (before.packets_dropped if before else 0)
    ):
        return None
    return (
        f"packets come too late to be used at {srt.rtt_ms:.0f} ms round trip; "
        "set the SRT latency to four round trips or more"
    )


WARNINGS: Final[dict[str, Callable[[Look], str | None]]] = {
    "NO_VIDEO": _no_video,
    "NO_AUDIO": _no_audio,
    "GOP_TOO_LONG": _gop_too_long,
    "FPS_BELOW_DECLARED": _fps_below_declared,
    "BITRATE_TOO_HIGH": _bitrate_too_high,
    "TIMESTAMP_JUMPS": _timestamp_jumps,
    "AUDIO_RATE_UNUSUAL": _audio_rate_unusual,
    "EXTRA_TRACKS_IGNORED": _extra_tracks_ignored,
    "SRT_LOSS": _srt_loss,
    "SRT_LATENCY_TOO_LOW": _srt_latency_too_low,
}


@dataclass(slots=True)
class WarningLights:
    """Which warnings are on, without flicker. One connection."""

    quality: str
    on: dict[str, HealthWarning] = field(default_factory=dict)
    _before: IngestHealth | None = None
    _doubts: dict[str, int] = field(default_factory=dict)

    def update(self, health: IngestHealth) -> tuple[list[str], list[str]]:
        """Take in a report. The codes that have just come on, and those that have gone off."""
        look = Look(health, self._before, self.quality)
        self._before = health
        came, went = [], []
        for code, condition in WARNINGS.items():
            message = condition(look)
            if (message is not None) == (code in self.on):
                self._doubts.pop(code, None)
                if message is not None:
                    self.on[code] = HealthWarning(code=code, message=message)
                continue
            self._doubts[code] = self._doubts.get(code, 0) + 1
            if self._doubts[code] < STEADY_REPORTS:
                continue
            del self._doubts[code]
            if message is not None:
                self.on[code] = HealthWarning(code=code, message=message)
                came.append(code)
            else:
                del self.on[code]
                went.append(code)
        return came, went

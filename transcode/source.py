"""One encoder connection as a session sees it: bytes in, units on the session's clock out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from config.session import Container
from transcode.demux import FlvDemuxer
from transcode.lag import ArrivalLag, DriftCorrection, Slowdown
from transcode.mpegts_demux import MpegTsDemuxer
from transcode.source_meter import SourceMeter
from transcode.timeline import ConnectionTimeline
from transcode.units import AudioConfig, AudioPacket, Hints, VideoConfig, VideoPacket


@dataclass(slots=True, kw_only=True)
class TimedVideo:
    """A coded picture. Times are session times in seconds."""

    dts_s: float
    pts_s: float
    arrival_s: float
    keyframe: bool
    data: bytes


@dataclass(slots=True, kw_only=True)
class TimedAudio:
    """A coded audio packet. Times are session times in seconds."""

    pts_s: float
    arrival_s: float
    data: bytes


TimedUnit = TimedVideo | TimedAudio | VideoConfig | AudioConfig | Hints


class SessionClock:
    """Session time: seconds since the session's first connection. `lag` tells how late media arrive on it.

    `drift` is None where a source keeps its own pace. A session that another worker has begun goes on with its clock:
    `start_wall_s` is when that started, in Unix time, and `lag_s` the lag that it had.
    """

    def __init__(self, *, correct_drift: bool, start_wall_s: float | None = None, lag_s: float | None = None) -> None:
        now_wall_s = time.time()
        self.start_wall_s = now_wall_s if start_wall_s is None else start_wall_s
        self._start_monotonic_s = time.monotonic() - (now_wall_s - self.start_wall_s)
        self.lag = ArrivalLag(initial_s=lag_s)
        self.drift = DriftCorrection() if correct_drift else None

    def now_s(self) -> float:
        """Session time now."""
        return time.monotonic() - self._start_monotonic_s

    def seconds_until(self, session_s: float) -> float:
        """How long to wait for this session time; negative when it is over."""
        return session_s - self.now_s()


class Source:
    """Demuxes one connection and puts its packets on the session's clock. Raises `UnsupportedCodec` and `BadMedia`."""

    def __init__(self, clock: SessionClock, container: Container = "flv") -> None:
        self._clock = clock
        self._demuxer = MpegTsDemuxer() if container == "mpegts" else FlvDemuxer()
        self._timeline = ConnectionTimeline()
        self._slowdown = Slowdown() if clock.drift is not None else None
        self._meter = SourceMeter()

    def report(self) -> dict[str, Any] | None:
        """What the encoder has sent since the last report, every two seconds; else None."""
        return self._meter.report(self._clock.now_s(), self._timeline.jumps)

    @property
    def jumps(self) -> int:
        """How often the source's timestamps jumped."""
        return self._timeline.jumps

    def feed(self, data: bytes | memoryview) -> Iterator[TimedUnit]:
        """The units that `data` completes, in stream order."""
        arrival_s = self._clock.now_s()
        for unit in self._demuxer.feed(data):
            self._meter.observe(unit, arrival_s)
            if isinstance(unit, VideoPacket):
                dts_s = self._place("video", unit.dts_ms, arrival_s)
                yield TimedVideo(
                    dts_s=dts_s,
                    pts_s=dts_s + unit.composition_ms / 1000,
                    arrival_s=arrival_s,
                    keyframe=unit.keyframe,
                    data=unit.data,
                )
            elif isinstance(unit, AudioPacket):
                yield TimedAudio(
                    pts_s=self._place("audio", unit.pts_ms, arrival_s), arrival_s=arrival_s, data=unit.data
                )
            else:
                yield unit

    def _place(self, track: str, raw_ms: float, arrival_s: float) -> float:
        lag, drift = self._clock.lag, self._clock.drift
        offset_s = drift.offset_s if drift is not None else 0.0
        media_s = self._timeline.map(track, raw_ms, arrival_s - lag.lag_s - offset_s) + offset_s
        if self._slowdown is not None and (late_s := self._slowdown.late_s(arrival_s, media_s, lag.lag_s)):
            self._timeline.move(late_s)
            media_s += late_s
        lag.observe(arrival_s, media_s)
        if drift is not None:
            drift.follow(arrival_s, lag.lag_s)
        return media_s

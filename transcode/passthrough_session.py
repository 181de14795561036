"""A passthrough session: the source's own video, repackaged. AAC and Opus stay; other audio, or none, becomes AAC.

Runs on its worker's loop. The codec library is needed only where audio must be made, and for thumbnails.
"""

from __future__ import annotations

from config.session import Container, Health, SessionSpec, Stats
from transcode.begun import Begun, close_playlists
from transcode.meter import SessionMeter
from transcode.passthrough_output import PassthroughOutput
from transcode.session import Report
from transcode.source import SessionClock, Source, TimedAudio, TimedUnit, TimedVideo
from transcode.units import AudioConfig, Hints, VideoConfig

AUDIO_WAIT_S = 1.0
"""How long a first keyframe waits for the source's audio configuration; with Opus, for its first packet."""


class PassthroughSession:
    """See `transcode.session.Session`. `begun` is what another worker has left of it."""

    def __init__(
        self, spec: SessionSpec, report: Report, begun: Begun | None = None, clock: SessionClock | None = None
    ) -> None:
        self._spec = spec
        self._begun = begun
        self._report = report
        self._clock = clock or SessionClock(correct_drift=False)
        self._source = Source(self._clock)
        self._video_config: VideoConfig | None = None
        self._audio_config: AudioConfig | None = None
        self._hints = Hints()
        self._waiting: list[TimedVideo | TimedAudio] = []
        self._output: PassthroughOutput | None = None
        self._meter = SessionMeter()

    def connected(self, container: Container) -> None:
        self._source = Source(self._clock, container)
        self._waiting.clear()
        if self._output is not None:
            self._output.rejoin()

    def feed(self, data: memoryview) -> None:
        for unit in self._source.feed(data):
            self._take(unit)
        if (fields := self._source.report()) is not None:
            self._report(Health(session_id=self._spec.session_id, fields=fields))

    def disconnected(self) -> None:
        pass

    @property
    def congested(self) -> bool:
        return False

    def stats(self, cpu_s: float) -> Stats:
        drift_s = 0.0 if self._output is None else self._output.av_drift_s
        return self._meter.take(self._spec.session_id, backlog=0, av_drift_s=drift_s, cpu_s=cpu_s)

    def end(self, *, final: bool = True) -> None:
        if self._output is not None:
            self._output.end(final=final)
        elif self._begun is not None and final:
            close_playlists(self._spec, self._begun)

    def _take(self, unit: TimedUnit) -> None:
        if isinstance(unit, Hints):
            self._hints = unit
        elif isinstance(unit, VideoConfig):
            self._video_config = unit
            if self._output is not None:
                self._output.configure_video(unit)
        elif isinstance(unit, AudioConfig):
            self._audio_config = unit
            if self._output is not None:
                self._output.configure_audio(unit)
        elif self._output is not None:
            self._output.add(unit)
        else:
            self._gather(unit)

    def _gather(self, unit: TimedVideo | TimedAudio) -> None:
        """Keep what comes before the layout of the session is known: pictures from a keyframe on, and their sound."""
        waiting = self._waiting
        if not waiting and not (isinstance(unit, TimedVideo) and unit.keyframe):
            return
        waiting.append(unit)
        first_sound = next((held.data for held in waiting if isinstance(held, TimedAudio)), None)
        sound_known = self._audio_config is not None and (self._audio_config.codec != "opus" or first_sound is not None)
        # What audio a session has is fixed when it begins.
        if self._begun is None and not sound_known and unit.arrival_s - waiting[0].arrival_s < AUDIO_WAIT_S:
            return
        assert self._video_config is not None
        self._output = PassthroughOutput(
            self._spec,
            self._report,
            self._clock,
            self._video_config,
            self._audio_config,
            self._hints,
            waiting[0].data,
            first_sound,
            self._begun,
            meter=self._meter,
        )
        self._waiting = []
        for held in waiting:
            self._output.add(held)

"""The two tracks of a passthrough session: units on the published clock in, samples with exact durations out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from packager.samples import Sample
from transcode.audio_form import AudioForm
from transcode.units import AudioConfig

VIDEO_TIMESCALE_HZ = 90_000
_AUDIO_JUMP_S = 0.035

Publish = Callable[[Sample], None]


class VideoTrackWriter:
    """Holds each picture back until the next one tells how long it lasts. The first is due at `start_s`."""

    def __init__(self, publish: Publish, start_s: float = 0.0) -> None:
        self._publish = publish
        self._start_s = start_s
        self._held: tuple[int, int, bool, bytes] | None = None
        self._duration = self._usual_duration = VIDEO_TIMESCALE_HZ // 30
        self.bytes_written = 0

    @property
    def end_s(self) -> float:
        """Published time at which the next picture is due."""
        return self._start_s if self._held is None else (self._held[0] + self._usual_duration) / VIDEO_TIMESCALE_HZ

    @property
    def newest_s(self) -> float:
        """Published time of the newest picture; 0.0 where there is none to compare with."""
        return 0.0 if self._held is None else self._held[0] / VIDEO_TIMESCALE_HZ

    def add(self, dts_s: float, pts_s: float, keyframe: bool, data: bytes) -> None:
        """The next picture. Times are seconds on the published clock, ascending."""
        dts = round(dts_s * VIDEO_TIMESCALE_HZ)
        pts = round(pts_s * VIDEO_TIMESCALE_HZ)
        if self._held is not None:
            dts = max(dts, self._held[0] + 1)
            self._duration = dts - self._held[0]
            if self._duration < VIDEO_TIMESCALE_HZ:
                self._usual_duration = self._duration
            self._release()
        self._held = (dts, pts, keyframe, data)

    def flush(self) -> None:
        """Give out the last picture, as long as one of them lasts."""
        if self._held is not None:
            self._duration = self._usual_duration
            self._release()
            self._start_s, self._held = self.end_s, None

    def _release(self) -> None:
        assert self._held is not None
        dts, pts, keyframe, data = self._held
        self.bytes_written += len(data)
        self._publish(Sample(dts=dts, pts=pts, duration=self._duration, keyframe=keyframe, data=data))


class AudioTrackWriter(Protocol):
    """The audio rendition, however it is made. Times are seconds on the published clock."""

    def takes(self, config: AudioConfig) -> bool:
        """Whether packets of this configuration, which come from now on, have their place in this rendition."""

    def add(self, data: bytes, pts_s: float) -> None:
        """A coded packet."""

    def fill(self, until_s: float) -> None:
        """Silence up to here: the source has none."""

    def release(self, until_s: float) -> None:
        """Publish what begins before this: the video has come so far."""

    def rejoin(self, at_s: float) -> None:
        """What follows has a time base of its own and begins here: what was to come after this is left out."""

    @property
    def end_s(self) -> float:
        """Published time at which the next packet is due."""

    @property
    def drift_s(self) -> float:
        """How far the last packet was from its place."""

    def flush(self) -> None:
        """Publish the rest. Nothing may be added afterwards."""


class _Paced:
    """Audio waits for the video to come as far, so that both are cut at the same media times."""

    def __init__(self, publish: Publish, sample_rate_hz: int) -> None:
        self._publish = publish
        self._rate_hz = sample_rate_hz
        self._waiting: deque[Sample] = deque()

    def release(self, until_s: float) -> None:
        while self._waiting and self._waiting[0].dts < until_s * self._rate_hz:
            self._publish(self._waiting.popleft())

    def _release_all(self) -> None:
        while self._waiting:
            self._publish(self._waiting.popleft())


class CopiedAudio(_Paced):
    """Audio as the source made it, on a clock of whole packets: gaps are filled with silent ones, overlaps are cut."""

    def __init__(self, publish: Publish, form: AudioForm, start_s: float) -> None:
        super().__init__(publish, form.track.sample_rate_hz)
        self._form = form
        self._next = round(start_s * self._rate_hz)
        self._jump = _AUDIO_JUMP_S * self._rate_hz
        self._rejoining = False
        self.drift_s = 0.0

    def takes(self, config: AudioConfig) -> bool:
        """See `AudioTrackWriter.takes`. The configuration is part of the init segment."""
        return config == self._form.config

    def add(self, data: bytes, pts_s: float) -> None:
        """See `AudioTrackWriter.add`."""
        offset = round(pts_s * self._rate_hz) - self._next
        samples = self._form.packet_samples(data)
        jump = self._form.longest_samples / 2 if self._rejoining else self._jump
        if offset < -jump or not 0 < samples <= self._form.longest_samples:
            return
        if offset > jump:
            self.fill(pts_s)
        self._rejoining = False
        self.drift_s = pts_s - self.end_s
        self._append(data, samples)

    def fill(self, until_s: float) -> None:
        """See `AudioTrackWriter.fill`. Ends within half a packet of `until_s`."""
        until = until_s * self._rate_hz
        while self._next + self._form.longest_samples / 2 <= until:
            self._append(self._form.silent_packet(), self._form.longest_samples)

    def rejoin(self, at_s: float) -> None:
        """See `AudioTrackWriter.rejoin`."""
        self._rejoining = True
        while self._waiting and self._waiting[-1].dts >= at_s * self._rate_hz:
            self._next = self._waiting.pop().dts

    @property
    def end_s(self) -> float:
        """See `AudioTrackWriter.end_s`."""
        return self._next / self._rate_hz

    def flush(self) -> None:
        """See `AudioTrackWriter.flush`."""
        self._release_all()

    def _append(self, data: bytes, samples: int) -> None:
        dts = self._next
        self._waiting.append(Sample(dts=dts, pts=dts, duration=samples, keyframe=True, data=data))
        self._next = dts + samples


class TranscodedAudio(_Paced):
    """Any other audio, or none at all, as the same AAC that a ladder has.

    What is heard before `start_s` is published already.
    """

    def __init__(self, publish: Publish, origin_s: float, start_s: float | None = None) -> None:
        from config.ladders import AUDIO_SAMPLE_RATE_HZ
        from transcode.audio import AudioTranscoder

        super().__init__(publish, AUDIO_SAMPLE_RATE_HZ)
        self._origin_s = origin_s
        self.transcoder = AudioTranscoder(round(origin_s * AUDIO_SAMPLE_RATE_HZ))
        if start_s is not None:
            self.transcoder.start_at(round((start_s - origin_s) * AUDIO_SAMPLE_RATE_HZ))

    def takes(self, config: AudioConfig) -> bool:
        self.transcoder.configure(config)
        return True

    def add(self, data: bytes, pts_s: float) -> None:
        self._waiting.extend(self.transcoder.packet(data, pts_s - self._origin_s))

    def fill(self, until_s: float) -> None:
        self._waiting.extend(self.transcoder.fill(until_s - self._origin_s))

    def rejoin(self, at_s: float) -> None:
        self.transcoder.clock.resync()

    @property
    def drift_s(self) -> float:
        return self.transcoder.clock.drift_s

    @property
    def end_s(self) -> float:
        return self._origin_s + self.transcoder.clock.position / self._rate_hz

    def flush(self) -> None:
        self._waiting.extend(self.transcoder.flush())
        self._release_all()

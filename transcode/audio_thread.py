"""The audio rendition of a ladder session, on a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from packager.samples import Sample
from packager.segmenter import RenditionSegmenter
from transcode.audio import AudioTranscoder
from transcode.source import TimedAudio
from transcode.units import AudioConfig

SILENT_AFTER_S = 0.5
"""A source that has sent no audio for this long is silent: its silence keeps up with the video."""


@dataclass(frozen=True, slots=True)
class _Start:
    transcoder: AudioTranscoder
    origin_s: float
    segmenter: RenditionSegmenter


@dataclass(frozen=True, slots=True)
class _VideoAt:
    media_s: float
    now_s: float


@dataclass(frozen=True, slots=True)
class _Resync:
    gone: bool


_Item = _Start | _VideoAt | _Resync | TimedAudio | AudioConfig | None


class AudioThread:
    """Feeds an `AudioTranscoder`. What arrives before `start` is kept and comes in afterwards."""

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self._inbox: queue.Queue[_Item] = queue.Queue(maxsize=2048)
        self._on_error = on_error
        self._start: _Start | None = None
        self._early: list[TimedAudio | AudioConfig] = []
        self._last_arrival_s = 0.0
        self._thread = threading.Thread(target=self._run, name="audio", daemon=True)
        self._thread.start()

    def put(self, unit: TimedAudio | AudioConfig) -> bool:
        """Hand on a unit without blocking; False when the queue is full and the unit is lost."""
        try:
            self._inbox.put_nowait(unit)
        except queue.Full:
            return False
        return True

    def start(self, transcoder: AudioTranscoder, origin_s: float, segmenter: RenditionSegmenter) -> None:
        """Begin: sample 0 of the rendition is heard at session time `origin_s`."""
        self._inbox.put(_Start(transcoder, origin_s, segmenter))

    def video_at(self, media_s: float, now_s: float) -> None:
        """Say how far the video has come, so that a silent source's silence comes as far."""
        self._inbox.put(_VideoAt(media_s, now_s))

    def resync(self, *, gone: bool) -> None:
        """What comes next has a time base of its own. `gone`: it comes from another connection, nobody waits for it."""
        self._inbox.put(_Resync(gone))

    def close(self) -> None:
        """Flush and stop. Returns when the last sample is published."""
        self._inbox.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (item := self._inbox.get()) is not None:
                self._handle(item)
            if self._start is not None:
                self._publish(self._start.transcoder.flush())
                self._start.segmenter.flush()
        except BaseException as error:
            self._on_error(error)
            while self._inbox.get() is not None:  # a full queue would hold up the video
                pass

    def _handle(self, item: _Start | _VideoAt | _Resync | TimedAudio | AudioConfig) -> None:
        if isinstance(item, _Start):
            self._start = item
            for unit in self._early:
                self._handle(unit)
            self._early.clear()
        elif isinstance(item, _VideoAt):
            if self._start is not None and item.now_s - self._last_arrival_s > SILENT_AFTER_S:
                self._publish(self._start.transcoder.fill(item.media_s - self._start.origin_s))
        elif isinstance(item, _Resync):
            self._last_arrival_s = -SILENT_AFTER_S if item.gone else self._last_arrival_s
            if self._start is not None:
                self._start.transcoder.clock.resync()
        elif self._start is None:
            if isinstance(item, AudioConfig) or len(self._early) < 1024:
                self._early.append(item)
        elif isinstance(item, AudioConfig):
            self._start.transcoder.configure(item)
        else:
            self._last_arrival_s = item.arrival_s
            self._publish(self._start.transcoder.packet(item.data, item.pts_s - self._start.origin_s))

    def _publish(self, samples: list[Sample]) -> None:
        assert self._start is not None
        for sample in samples:
            self._start.segmenter.add(sample)

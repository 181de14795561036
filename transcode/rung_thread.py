"""One rendition's encoder on a thread of its own, fed through a short bounded queue."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from av.video.frame import VideoFrame

from packager.segmenter import RenditionSegmenter
from transcode.meter import SessionMeter
from transcode.thumbnails import Thumbnails
from transcode.video import RungEncoder

# A few frames hide the encoder's uneven pace; more would be latency and 1.4 MB each at 720p.
QUEUE_FRAMES = 4


_Item = tuple[VideoFrame, int, float, float | None]
"""A picture, its tick, when it was queued, and when it came from the encoder if it is new; monotonic seconds."""


class RungThread:
    """Encodes what it is given and publishes the samples in decode order."""

    def __init__(
        self,
        encoder: RungEncoder,
        segmenter: RenditionSegmenter,
        on_error: Callable[[BaseException], None],
        meter: SessionMeter,
        thumbnails: Thumbnails | None = None,
    ) -> None:
        self._encoder = encoder
        self._segmenter = segmenter
        self._on_error = on_error
        self._thumbnails = thumbnails
        self._meter = meter
        self._frame_s = float(1 / encoder.rate)
        self._inbox: queue.Queue[_Item | None] = queue.Queue(maxsize=QUEUE_FRAMES)
        self._thread = threading.Thread(target=self._run, name=encoder.rendition.name, daemon=True)
        self._thread.start()

    @property
    def ticks_per_frame(self) -> int:
        """How many ticks of the session's grid one frame of this rendition spans."""
        return self._encoder.rendition.ticks_per_frame

    @property
    def first_tick(self) -> int:
        """The first tick that is wanted: the ones before it are published already."""
        return self._encoder.first_tick

    def put(self, frame: VideoFrame, tick: int, arrived_s: float | None) -> None:
        """Queue a frame; waits while the queue is full, so that the caller feels an encoder that is behind.

        `arrived_s` is when its source came, in monotonic seconds; None for one that is repeated.
        """
        self._inbox.put((frame, tick, time.monotonic(), arrived_s))

    def close(self) -> None:
        """Flush and stop. Returns when the last sample is published."""
        self._inbox.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (item := self._inbox.get()) is not None:
                self._encode(*item)
                if self._thumbnails is not None:
                    self._thumbnails.see(*item[:2])
            for sample in self._encoder.flush():
                self._segmenter.add(sample)
            self._segmenter.flush()
        except BaseException as error:
            self._on_error(error)
            while self._inbox.get() is not None:  # a full queue would hold up the other renditions
                pass

    def _encode(self, frame: VideoFrame, tick: int, queued_s: float, arrived_s: float | None) -> None:
        begun_s = time.monotonic()
        samples = self._encoder.encode(frame, tick)
        encoded_s = time.monotonic()
        parts = self._segmenter.published
        for sample in samples:
            self._segmenter.add(sample)
        meter = self._meter
        meter.encoded(self._frame_s, encoded_s - begun_s, encoded_s - queued_s)
        if arrived_s is not None and self._segmenter.published != parts:
            meter.observe("part", time.monotonic() - arrived_s)

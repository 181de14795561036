"""One rendition's encoder on a thread of its own, fed through a short bounded queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from av.video.frame import VideoFrame

from packager.segmenter import RenditionSegmenter
from transcode.thumbnails import Thumbnails
from transcode.video import RungEncoder

# A few frames hide the encoder's uneven pace; more would be latency and 1.4 MB each at 720p.
QUEUE_FRAMES = 4


class RungThread:
    """Encodes what it is given and publishes the samples in decode order."""

    def __init__(
        self,
        encoder: RungEncoder,
        segmenter: RenditionSegmenter,
        on_error: Callable[[BaseException], None],
        thumbnails: Thumbnails | None = None,
    ) -> None:
        self._encoder = encoder
        self._segmenter = segmenter
        self._on_error = on_error
        self._thumbnails = thumbnails
        self._inbox: queue.Queue[tuple[VideoFrame, int] | None] = queue.Queue(maxsize=QUEUE_FRAMES)
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

    def put(self, frame: VideoFrame, tick: int) -> None:
        """Queue a frame; waits while the queue is full, so that the caller feels an encoder that is behind."""
        self._inbox.put((frame, tick))

    def close(self) -> None:
        """Flush and stop. Returns when the last sample is published."""
        self._inbox.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (item := self._inbox.get()) is not None:
                for sample in self._encoder.encode(*item):
                    self._segmenter.add(sample)
                if self._thumbnails is not None:
                    self._thumbnails.see(*item)
            for sample in self._encoder.flush():
                self._segmenter.add(sample)
            self._segmenter.flush()
        except BaseException as error:
            self._on_error(error)
            while self._inbox.get() is not None:  # a full queue would hold up the other renditions
                pass

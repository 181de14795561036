"""Thumbnails of a passthrough session, which decodes nothing else: of one keyframe in ten seconds.

That one costs about a quarter of all that is done for such a session.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

import structlog
from av import FFmpegError

from packager.publication import Publication
from transcode.picture import displayed_size
from transcode.thumbnails import EVERY_S, PictureMaker, Pictures
from transcode.units import VideoConfig
from transcode.video import VideoDecoder

log = structlog.get_logger()

PIXELS_MAX = 8192 * 4320
"""What a stream declares must not cost its neighbours in the worker their memory."""

_POSTER_LONG_SIDE_PX = 640


class KeyframeThumbnails:
    """Keyframes are decoded in a thread that all sessions of a worker share; what comes of it is published here."""

    def __init__(self, publication: Publication, *, sheets: bool) -> None:
        self._publication = publication
        self._decoding = _Decoding(sheets)
        self._next_s = 0.0
        self._made: Future[Pictures | None] | None = None

    def see(self, config: VideoConfig, keyframe: bytes, start_s: float) -> None:
        """A keyframe that is shown at this media time."""
        if start_s < self._next_s or self._made is not None:
            return
        self._next_s = start_s + EVERY_S
        self._made = _thread().submit(self._decoding.pictures, config, keyframe, start_s)

    def publish(self) -> None:
        """Publish what was made meanwhile. To be called often: it does next to nothing."""
        if self._made is None or not self._made.done():
            return
        made, self._made = self._made, None
        try:
            pictures = made.result()
            if pictures is not None:
                pictures.publish(self._publication)
        except (FFmpegError, OSError) as error:
            log.warning("no_thumbnail", error=str(error))


class _Decoding:
    """What the thread has of a session."""

    def __init__(self, sheets: bool) -> None:
        self._sheets = sheets
        self._maker: PictureMaker | None = None
        self._size_px = (0, 0)

    def pictures(self, config: VideoConfig, keyframe: bytes, start_s: float) -> Pictures | None:
        """Of this keyframe; None when it can't be decoded by itself. A decoder in waiting would cost memory."""
        decoder = VideoDecoder(config, pixels_max=PIXELS_MAX)
        frames = decoder.decode(keyframe, 0, 0, keyframe=True) or decoder.flush()
        if not frames:
            return None
        size_px = displayed_size(frames[0], decoder.sample_aspect)
        if self._maker is None or size_px != self._size_px:
            scale = min(1.0, _POSTER_LONG_SIDE_PX / max(size_px))
            width_px, height_px = (max(2, round(side * scale) // 2 * 2) for side in size_px)
            self._maker, self._size_px = PictureMaker(width_px, height_px, sheets=self._sheets), size_px
        return self._maker.make(frames[0], start_s)


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="thumbnails")

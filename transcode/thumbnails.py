"""Small pictures of a session: a poster for who has not begun to watch, and sheets of thumbnails for who seeks.

Those of a ladder are made of frames that its smallest rendition encodes anyway, on its encoder's thread, one in ten
seconds; those of passthrough by `keyframe_thumbnails`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

import structlog
from av import FFmpegError, VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from packager.publication import Publication
from packager.records import ThumbnailRecord

if TYPE_CHECKING:
    import numpy as np

log = structlog.get_logger()

EVERY_S = 10
COLUMNS, ROWS = 5, 5
LONG_SIDE_PX = 160
_JPEG_FORMAT = "yuvj420p"
_QUALITY = 4
"""mjpeg's scale, from 2 (best) to 31."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is made of one frame: a poster and, where there are sheets, the newest sheet and what was added to it."""

    poster: bytes
    record: ThumbnailRecord | None = None
    sheet: bytes = b""

    def publish(self, publication: Publication) -> None:
        """Let viewers and the recorder have them. Raises `OSError`."""
        publication.write_poster(self.poster)
        if self.record is not None:
            publication.write_thumbnail(self.record, self.sheet)


class PictureMaker:
    """Makes posters of one size, and sheets of thumbnails of the same shape."""

    def __init__(self, width_px: int, height_px: int, *, sheets: bool) -> None:
        self._poster = _Jpeg(width_px, height_px)
        scale = LONG_SIDE_PX / max(width_px, height_px)
        self._width_px, self._height_px = (max(2, round(side * scale) // 2 * 2) for side in (width_px, height_px))
        self._sheet = _Sheet(self._width_px, self._height_px) if sheets else None

    def make(self, frame: VideoFrame, start_s: float) -> Pictures:
        """Of the frame that is shown at this media time. Raises `av.FFmpegError`."""
        poster = self._poster.encode(frame)
        if self._sheet is None:
            return Pictures(poster)
        index, data = self._sheet.add(frame, start_s)
        record = ThumbnailRecord(
            sheet=self._sheet.name,
            start_s=round(start_s, 3),
            x_px=index % COLUMNS * self._width_px,
            y_px=index // COLUMNS * self._height_px,
            width_px=self._width_px,
            height_px=self._height_px,
        )
        return Pictures(poster, record, data)


class Thumbnails:
    """Takes the frames of the smallest rendition. A session that is not recorded gets its poster alone."""

    def __init__(
        self, publication: Publication, *, rate: Fraction, lead_s: Fraction, width_px: int, height_px: int, sheets: bool
    ) -> None:
        self._publication = publication
        self._rate, self._lead_s = rate, lead_s
        self._every_ticks = ceil(EVERY_S * rate)
        self._next_tick = 0
        self._maker = PictureMaker(width_px, height_px, sheets=sheets)

    def see(self, frame: VideoFrame, tick: int) -> None:
        """A frame that is encoded at this tick of the grid."""
        if tick < self._next_tick:
            return
        self._next_tick = tick + self._every_ticks
        try:
            self._maker.make(frame, float(tick / self._rate + self._lead_s)).publish(self._publication)
        except (FFmpegError, OSError) as error:
            # A picture of a stream is no reason to end it.
            log.warning("no_thumbnail", error=str(error))


class _Jpeg:
    """Encodes pictures of one size."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self._size_px = width_px, height_px
        self._reformatter = VideoReformatter()

    def encode(self, frame: VideoFrame) -> bytes:
        """The picture as JPEG. Raises `FFmpegError`."""
        width_px, height_px = self._size_px
        picture = self._reformatter.reformat(
            frame, width_px, height_px, format=_JPEG_FORMAT, interpolation=Interpolation.BICUBIC
        )
        return _encode(picture)


class _Sheet:
    """A canvas that fills with thumbnails, row by row, and is begun anew when it is full."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self._width_px, self._height_px = width_px, height_px
        self._reformatter = VideoReformatter()
        self._count = COLUMNS * ROWS
        self._canvas: list[np.ndarray[tuple[int, int], np.dtype[np.uint8]]] = []
        self.name = ""

    def add(self, frame: VideoFrame, start_s: float) -> tuple[int, bytes]:
        """The place of this picture on the sheet, and the sheet as JPEG. Raises `FFmpegError`."""
        import numpy as np  # here: all else that passthrough needs does without it

        if self._count == COLUMNS * ROWS:
            # Named by media time, which only rises: no name comes twice in a session, on whatever node.
            self._count, self.name = 0, f"sheet-{round(start_s * 1000)}.jpg"
            size = ROWS * self._height_px, COLUMNS * self._width_px
            self._canvas = [np.full(size, 0, np.uint8)]
            self._canvas += [np.full((-(-size[0] // 2), -(-size[1] // 2)), 128, np.uint8) for _ in range(2)]
        picture = self._reformatter.reformat(
            frame, self._width_px, self._height_px, format=_JPEG_FORMAT, interpolation=Interpolation.AREA
        )
        index, self._count = self._count, self._count + 1
        for number, canvas in enumerate(self._canvas):
            plane = picture.planes[number]
            pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
            top, left = index // COLUMNS * plane.height, index % COLUMNS * plane.width
            canvas[top : top + plane.height, left : left + plane.width] = pixels
        sheet = VideoFrame(self._canvas[0].shape[1], self._canvas[0].shape[0], _JPEG_FORMAT)
        for plane, canvas in zip(sheet.planes, self._canvas, strict=True):
            padded = np.zeros((plane.height, plane.line_size), np.uint8)
            padded[:, : plane.width] = canvas
            plane.update(padded.tobytes())
        return index, _encode(sheet)


def _encode(picture: VideoFrame) -> bytes:
    codec = VideoCodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt = picture.width, picture.height, _JPEG_FORMAT
    codec.time_base = Fraction(1, 25)
    codec.thread_count = 1
    codec.qmin = codec.qmax = _QUALITY
    picture.pts, picture.time_base = 0, codec.time_base
    return b"".join(bytes(packet) for packet in [*codec.encode(picture), *codec.encode(None)])

"""The slate: what viewers see while the encoder is away for longer than a blink."""

from __future__ import annotations

import numpy as np
import structlog
from av.video.frame import VideoFrame
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

log = structlog.get_logger()

TEXT = "reconnecting"
_BRIGHTNESS = 0.35
_TEXT_HEIGHT_SHARE = 0.08


def make_slate(last_frame: VideoFrame, image_path: str = "") -> VideoFrame:
    """The picture at this path, or, without one that can be read, the source's last picture dimmed and labelled."""
    if image_path:
        try:
            return slate_from_file(image_path, (last_frame.width, last_frame.height))
        except OSError as error:
            log.warning("slate_image_not_readable", path=image_path, error=str(error))
    return slate_from_frame(last_frame)


def slate_from_frame(last_frame: VideoFrame) -> VideoFrame:
    """The last picture of the source, dimmed, with a word on it; same size."""
    picture = Image.fromarray(last_frame.to_ndarray(format="rgb24"))
    image = ImageEnhance.Brightness(picture).enhance(_BRIGHTNESS)
    draw = ImageDraw.Draw(image)
    size_px = max(12, round(min(image.size) * _TEXT_HEIGHT_SHARE))
    centre = (image.width / 2, image.height / 2)
    draw.text(centre, TEXT, font=ImageFont.load_default(size_px), anchor="mm", fill=(235, 235, 235))
    return _frame(image)


def slate_from_file(path: str, shape_px: tuple[int, int]) -> VideoFrame:
    """A picture of one's own, fitted into this size on black. Raises `OSError` when it can't be read."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail(shape_px)
    canvas = Image.new("RGB", shape_px)
    canvas.paste(picture, ((shape_px[0] - picture.width) // 2, (shape_px[1] - picture.height) // 2))
    return _frame(canvas)


def _frame(image: Image.Image) -> VideoFrame:
    return VideoFrame.from_ndarray(np.asarray(image), format="rgb24")

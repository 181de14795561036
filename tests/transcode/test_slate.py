from __future__ import annotations

from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from PIL import Image

from transcode.slate import make_slate


def bright(width_px: int = 640, height_px: int = 360) -> VideoFrame:
    return VideoFrame.from_ndarray(np.full((height_px, width_px, 3), 200, np.uint8), format="rgb24")


def test_the_slate_is_the_last_picture_dimmed_with_a_word_in_the_middle() -> None:
    slate = make_slate(bright())
    assert (slate.width, slate.height) == (640, 360)
    pixels = slate.to_ndarray(format="gray")
    assert pixels[:100].max() < 100, "not dimmed"
    assert pixels[160:200, 200:440].max() > 200, "no word"


def test_a_picture_of_one_s_own_is_fitted_in(tmp_path: Path) -> None:
    file = tmp_path / "slate.png"
    Image.new("RGB", (1000, 1000), (255, 0, 0)).save(file)
    pixels = make_slate(bright(), str(file)).to_ndarray(format="rgb24")
    assert pixels.shape == (360, 640, 3)
    assert tuple(pixels[180, 320]) == (255, 0, 0)
    assert tuple(pixels[180, 10]) == (0, 0, 0)


def test_a_picture_that_cannot_be_read_gives_way_to_the_last_frame(tmp_path: Path) -> None:
    broken = tmp_path / "slate.png"
    broken.write_bytes(b"no picture")
    for path in (broken, tmp_path / "absent.png"):
        assert make_slate(bright(), str(path)).to_ndarray(format="gray")[:100].max() < 100

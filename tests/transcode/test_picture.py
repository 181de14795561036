from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from av.video.frame import VideoFrame

from transcode.picture import PictureFitter, displayed_size, plausible_aspect

SQUARE = Fraction(1)


def grey(width_px: int, height_px: int, pixel_format: str = "yuv420p") -> VideoFrame:
    frame = VideoFrame.from_ndarray(np.full((height_px, width_px, 3), 128, np.uint8), format="rgb24")
    return frame.reformat(format=pixel_format)


@pytest.mark.parametrize(
    ("size", "aspect", "expected"),
    [
        ((1280, 720), SQUARE, (1280, 720)),
        ((720, 576), Fraction(64, 45), (1024, 576)),
        ((1440, 1080), Fraction(4, 3), (1920, 1080)),
    ],
)
def test_the_displayed_size_has_square_pixels(
    size: tuple[int, int], aspect: Fraction, expected: tuple[int, int]
) -> None:
    assert displayed_size(grey(*size), aspect) == expected


@pytest.mark.parametrize(
    ("aspect", "expected"), [(None, 1), (Fraction(0), 1), (Fraction(4, 3), Fraction(4, 3)), (Fraction(100), 1)]
)
def test_an_absent_or_absurd_aspect_is_square(aspect: Fraction | None, expected: Fraction) -> None:
    assert plausible_aspect(aspect) == expected


def test_a_picture_of_the_session_s_shape_passes_untouched() -> None:
    frame = grey(1280, 720)
    assert PictureFitter(1280, 720).fit(frame, SQUARE) is frame
    smaller = grey(640, 360)
    assert PictureFitter(1280, 720).fit(smaller, SQUARE) is smaller


@pytest.mark.parametrize(
    ("size", "bars"), [((640, 480), "sides"), ((640, 272), "top and bottom"), ((360, 640), "sides")]
)
def test_a_picture_of_another_shape_is_letterboxed(size: tuple[int, int], bars: str) -> None:
    fitted = PictureFitter(1280, 720).fit(grey(*size), SQUARE)
    assert fitted.width / fitted.height == pytest.approx(16 / 9, rel=0.01)
    luma = fitted.to_ndarray(format="gray")
    assert luma[fitted.height // 2, fitted.width // 2] > 100
    corner, edge = luma[0, 0], luma[fitted.height // 2, 0] if bars == "sides" else luma[0, fitted.width // 2]
    assert corner < 20 and edge < 20


def test_a_fitter_follows_a_source_that_changes_shape_and_back() -> None:
    fitter = PictureFitter(1280, 720)
    for size in ((640, 480), (1280, 720), (480, 640), (640, 480)):
        fitted = fitter.fit(grey(*size), SQUARE)
        assert fitted.width / fitted.height == pytest.approx(16 / 9, rel=0.01)

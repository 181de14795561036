"""Poster and sheets: the right pictures, at the right places and times."""

from __future__ import annotations

import io
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from PIL import Image

from packager.journal import FILE_NAME
from packager.publication import POSTER, THUMBNAILS
from packager.records import ThumbnailRecord, decode_record
from tests.packager.helpers import EDGE_ID, SESSION_ID, new_publication
from transcode.thumbnails import Thumbnails

RATE = Fraction(30)
COLOURS = ((250, 10, 10), (10, 250, 10), (10, 10, 250), (250, 250, 250), (10, 10, 10), (200, 200, 10), (10, 200, 200))


def picture(colour: tuple[int, int, int], width_px: int = 640, height_px: int = 360) -> VideoFrame:
    pixels = np.full((height_px, width_px, 3), colour, np.uint8)
    return VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")


def thumbnails(media_dir: Path, *, sheets: bool = True, width_px: int = 640, height_px: int = 360) -> Thumbnails:
    return Thumbnails(
        new_publication(media_dir), rate=RATE, lead_s=Fraction(1), width_px=width_px, height_px=height_px, sheets=sheets
    )


def colour_at(data: bytes, x_px: int, y_px: int) -> tuple[int, ...]:
    with Image.open(io.BytesIO(data)) as image:
        colour = image.convert("RGB").getpixel((x_px, y_px))
    assert isinstance(colour, tuple)
    return colour


def is_close(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return all(abs(a - b) < 20 for a, b in zip(found, wanted, strict=True))


def test_a_poster_and_a_thumbnail_every_ten_seconds(tmp_path: Path) -> None:
    made = thumbnails(tmp_path)
    directory = tmp_path / EDGE_ID / SESSION_ID
    for second in range(len(COLOURS) * 10):
        made.see(picture(COLOURS[second // 10]), second * 30)
    poster = (directory / POSTER).read_bytes()
    assert is_close(colour_at(poster, 320, 180), COLOURS[-1])
    with Image.open(io.BytesIO(poster)) as image:
        assert image.size == (640, 360)
    records = [decode_record(line) for line in (directory / FILE_NAME).read_bytes().splitlines()]
    found = [record for record in records if isinstance(record, ThumbnailRecord)]
    assert [each.start_s for each in found] == [1.0 + 10 * index for index in range(len(COLOURS))]
    assert {each.sheet for each in found} == {"sheet-1000.jpg"}
    sheet = (directory / THUMBNAILS / "sheet-1000.jpg").read_bytes()
    for each, colour in zip(found, COLOURS, strict=True):
        assert (each.width_px, each.height_px) == (160, 90)
        for x_px in (each.x_px + 8, each.x_px + each.width_px - 9):
            for y_px in (each.y_px + 8, each.y_px + each.height_px - 9):
                assert is_close(colour_at(sheet, x_px, y_px), colour), each


def test_a_full_sheet_is_followed_by_another(tmp_path: Path) -> None:
    made = thumbnails(tmp_path, width_px=202, height_px=360)
    for index in range(26):
        made.see(picture((index * 9, 0, 0), 202, 360), index * 300)
    directory = tmp_path / EDGE_ID / SESSION_ID / THUMBNAILS
    assert sorted(path.name for path in directory.iterdir()) == ["sheet-1000.jpg", "sheet-251000.jpg"]
    with Image.open(directory / "sheet-1000.jpg") as image:
        assert image.size == (5 * 90, 5 * 160)


def test_a_session_that_is_not_recorded_has_its_poster_alone(tmp_path: Path) -> None:
    thumbnails(tmp_path, sheets=False).see(picture(COLOURS[0]), 0)
    directory = tmp_path / EDGE_ID / SESSION_ID
    assert (directory / POSTER).is_file() and not (directory / THUMBNAILS).exists()


def test_what_they_cost(tmp_path: Path) -> None:
    made, frame = thumbnails(tmp_path), picture(COLOURS[0])
    started_s = time.thread_time()
    for index in range(25):
        made.see(frame, index * 300)
    print(f"{(time.thread_time() - started_s) / 25 * 1000:.1f} ms each")

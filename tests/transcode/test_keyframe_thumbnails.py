"""A passthrough session's poster and sheet come of its keyframes."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from packager.journal import FILE_NAME
from packager.publication import POSTER
from packager.records import ThumbnailRecord, decode_record
from tests.packager.helpers import EDGE_ID, SESSION_ID, new_publication
from transcode import keyframe_thumbnails
from transcode.keyframe_thumbnails import KeyframeThumbnails
from transcode.units import VideoConfig


def test_one_keyframe_in_ten_seconds(tmp_path: Path) -> None:
    extradata, keyframe = encoded(1280, 720)
    config = VideoConfig(codec="h264", extradata=extradata)
    made = KeyframeThumbnails(new_publication(tmp_path), sheets=True)
    directory = tmp_path / EDGE_ID / SESSION_ID
    for second in range(0, 24, 2):
        made.see(config, keyframe, 1.0 + second)
        wait(made)
        made.publish()
    made.see(config, b"\x00\x00\x00\x02\x65\x00", 40.0)  # no picture at all
    wait(made)
    made.publish()
    with Image.open(io.BytesIO((directory / POSTER).read_bytes())) as image:
        assert image.size == (640, 360)
    records = [decode_record(line) for line in (directory / FILE_NAME).read_bytes().splitlines()]
    assert [each.start_s for each in records if isinstance(each, ThumbnailRecord)] == [1.0, 11.0, 21.0]


def test_the_poster_of_one_that_is_not_recorded_is_as_fresh(tmp_path: Path) -> None:
    extradata, keyframe = encoded(320, 180)
    made = KeyframeThumbnails(new_publication(tmp_path), sheets=False)
    poster = tmp_path / EDGE_ID / SESSION_ID / POSTER
    written = []
    for second in range(0, 24, 2):
        made.see(VideoConfig(codec="h264", extradata=extradata), keyframe, 1.0 + second)
        wait(made)
        made.publish()
        written += [second] if poster.exists() else []
        poster.unlink(missing_ok=True)
    assert written == [0, 10, 20]


def test_a_picture_that_is_too_large_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extradata, keyframe = encoded(320, 180)
    monkeypatch.setattr(keyframe_thumbnails, "PIXELS_MAX", 320 * 180 // 2)
    made = KeyframeThumbnails(new_publication(tmp_path), sheets=False)
    made.see(VideoConfig(codec="h264", extradata=extradata), keyframe, 1.0)
    wait(made)
    made.publish()
    assert not (tmp_path / EDGE_ID / SESSION_ID / POSTER).exists()


def encoded(width_px: int, height_px: int) -> tuple[bytes, bytes]:
    """A configuration and a keyframe of it."""
    codec = av.VideoCodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = width_px, height_px, "yuv420p", Fraction(1, 30)
    codec.flags |= av.codec.context.Flags.global_header
    codec.options = {"x264-params": "annexb=0"}
    picture = av.VideoFrame(width_px, height_px, "yuv420p")
    for plane in picture.planes:
        plane.update(bytes(index % 251 for index in range(plane.buffer_size)))
    picture.pts, picture.time_base = 0, codec.time_base
    (packet,) = [*codec.encode(picture), *codec.encode(None)]
    assert codec.extradata is not None
    return codec.extradata, bytes(packet)


def wait(made: KeyframeThumbnails) -> None:
    """Until the thread has done what it was given."""
    if made._made is not None:
        made._made.exception(timeout=20)

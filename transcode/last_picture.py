"""The last picture that viewers have got of a session, from its files."""

from __future__ import annotations

import io
from pathlib import Path

import av
from av.video.frame import VideoFrame

from packager.written import WrittenRendition


def last_picture(rendition_dir: Path, written: WrittenRendition) -> VideoFrame | None:
    """The last picture of a rendition; None when no file is left that holds it."""
    files = [rendition_dir / f"{part.msn}.{part.part}.m4s" for part in written.open_parts]
    if not files and written.segments:
        files = [rendition_dir / f"{written.segments[-1].msn}.m4s"]
    if not files:
        return None
    try:
        data = b"".join(path.read_bytes() for path in [rendition_dir / written.init, *files])
        with av.open(io.BytesIO(data), "r") as container:
            picture = None
            for picture in container.decode(video=0):  # noqa: B007 (the last one is wanted)
                pass
            return picture
    except (OSError, av.FFmpegError):
        return None


def black_picture(width_px: int, height_px: int) -> VideoFrame:
    """A picture without anything."""
    picture = VideoFrame(width_px // 2 * 2, height_px // 2 * 2, "yuv420p")
    for plane, value in zip(picture.planes, (16, 128, 128), strict=True):
        plane.update(bytes((value,)) * plane.buffer_size)
    return picture

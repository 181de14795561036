"""The storyboard of a recording: WebVTT whose cues name a place on a sheet of thumbnails, by a media fragment URI."""

from __future__ import annotations

from packager.publication import THUMBNAILS
from packager.recordings.recording import Recording
from packager.recordings.timeline import Positions


def storyboard(recording: Recording) -> str:
    """A cue for each thumbnail, until the next. Times are those of the playlist; URIs are relative to the VTT."""
    video = recording.best_video()
    if video is None:
        return "WEBVTT\n"
    positions = Positions(video.segments)
    starts = [(positions.at(each.start_s), each) for each in recording.thumbnails]
    shown = sorted(
        ((start_s, each) for start_s, each in starts if start_s is not None), key=lambda each: each[0]
    )  # fmt: skip
    lines = ["WEBVTT"]
    for index, (start_s, each) in enumerate(shown):
        end_s = shown[index + 1][0] if index + 1 < len(shown) else positions.duration_s
        # The first picture stands for what comes before it, too.
        begin_s = start_s if index else 0.0
        if end_s <= begin_s:
            continue
        place = f"{each.x_px},{each.y_px},{each.width_px},{each.height_px}"
        lines += ["", f"{_clock(begin_s)} --> {_clock(end_s)}", f"{THUMBNAILS}/{each.sheet}#xywh={place}"]
    return "\n".join(lines) + "\n"


def _clock(seconds: float) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"

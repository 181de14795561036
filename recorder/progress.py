"""What the recorder says of a recording, in the words of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from packager.recordings.summary import Summary
from streams.recording_model import RecordingProgress, RecordingState
from streams.times import format_utc_ms, from_unix_ms


def progress_of(summary: Summary, state: RecordingState, reason: str = "") -> RecordingProgress:
    """What Redis, and with it the API, knows of a recording."""
    renditions: list[Mapping[str, Any]] = []
    for info in summary.renditions:
        shown: dict[str, Any] = {"name": info.name, "kind": info.kind, "codecs": info.codecs}
        shown["bandwidth"] = info.bandwidth_bps
        if info.kind == "video":
            shown |= {"width": info.width_px, "height": info.height_px, "frameRate": round(info.frame_rate, 3)}
        renditions.append(shown)
    gaps = [
        {
            "startedAt": format_utc_ms(from_unix_ms(gap.start_ms)),
            "duration": round(gap.duration_s, 3),
            "reason": gap.reason,
        }
        for gap in summary.gaps
    ]
    return RecordingProgress(
        state=state,
        started_ms=summary.started_ms,
        duration_s=summary.duration_s,
        size_bytes=summary.size_bytes,
        renditions=tuple(renditions),
        gaps=tuple(gaps),
        has_thumbnails=summary.thumbnails > 0,
        reason=reason,
        nodes=summary.nodes,
    )

"""The bodies of the recording routes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from control.schemas import LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, Schema, StreamResource, Timestamp
from control.urls import PublicUrls
from streams.recording_model import RecordingEntry, RecordingState
from streams.recording_parts import RecordingPart as StoredPart
from streams.times import from_unix_ms

RECORDINGS_SHOWN = 10
"""How many recordings the stream object names."""


class RecordingsQuery(Schema):
    """Query parameters of the lists of recordings."""

    model_config = ConfigDict(validate_by_name=False)

    limit: Annotated[int, Field(ge=1, le=LIST_LIMIT_MAX)] = LIST_LIMIT_DEFAULT
    cursor: str | None = Field(
        None, pattern="^[0-9]{1,16}$", description="`nextCursor` of the page before: begin after its last recording"
    )

    @property
    def below(self) -> int | None:
        """The position that the page begins below."""
        return None if self.cursor is None else int(self.cursor)


class RecordedRendition(Schema):
    """A rendition of a recording."""

    name: str
    kind: Literal["video", "audio"]
    codecs: str
    bandwidth: int = Field(description="bits a second")
    width: int | None = Field(None, description="of video, in pixels")
    height: int | None = None
    frame_rate: float | None = None


class RecordingGap(Schema):
    """Time that the recording does not hold, in some rendition at least."""

    started_at: str = Field(description="ISO 8601, with milliseconds")
    duration: float = Field(description="seconds")
    reason: Literal["not_recorded", "no_media"] = Field(
        description="`not_recorded`: it was published and could not be stored; `no_media`: nothing was published"
    )


class RecordingPart(Schema):
    """What one node has recorded of a session that has moved."""

    node_id: str
    started_at: Timestamp | None = Field(None, description="the wall clock at its first frame")
    duration: float = Field(description="seconds that it plays")
    size: int = Field(description="bytes")


class RecordingSummary(Schema):
    """A recording as its stream names it."""

    id: str
    state: RecordingState
    started_at: Timestamp | None = Field(None, description="the wall clock at its first frame")
    duration: float = Field(
        description="seconds that it plays, `not_recorded` gaps after `startedAt` included; of all `parts`"
    )
    hls_url: str | None = Field(None, description="left out when nothing can be played")


class RecordingResource(RecordingSummary):
    """A recording."""

    stream_id: str
    session_id: str
    size: int = Field(description="bytes")
    renditions: tuple[RecordedRendition, ...]
    gaps: tuple[RecordingGap, ...]
    parts: tuple[RecordingPart, ...] | None = Field(
        None,
        description="when several nodes have recorded it and none has all: each plays what it has itself",
    )
    mp4_url: str | None = Field(None, description="all of it as one file; once the recording is closed")
    thumbnails: str | None = Field(None, description="URL of a WebVTT storyboard, where there is one")
    pending: int | None = Field(None, description="bytes that wait to be uploaded to the object store")
    problem: str | None = Field(None, description="what keeps it from being stored, uploaded or read at the moment")
    reason: str | None = Field(None, description="why it failed, or was closed otherwise than by its session's end")


class RecordingList(Schema):
    """A page of recordings."""

    recordings: tuple[RecordingResource, ...] = Field(description="newest first")
    total: int = Field(description="how many the list has in all")
    next_cursor: str | None = Field(None, description="left out on the last page")


class StreamWithRecordings(StreamResource):
    """The stream object with its newest recordings."""

    recordings: tuple[RecordingSummary, ...] | None = Field(
        None, description="the newest ten, newest first; left out when it has none. Beyond the published reference"
    )


def recording_summary(entry: RecordingEntry, urls: PublicUrls) -> RecordingSummary:
    """What the stream object says of a recording."""
    known = recording_resource(entry, urls)
    return RecordingSummary(**{name: getattr(known, name) for name in RecordingSummary.model_fields})


def recording_resource(entry: RecordingEntry, urls: PublicUrls) -> RecordingResource:
    """The recording object."""
    progress = entry.progress
    plays = progress.state is not RecordingState.FAILED and progress.size_bytes > 0
    return RecordingResource(
        id=entry.recording_id,
        stream_id=entry.stream_id,
        session_id=entry.session_id,
        state=progress.state,
        started_at=None if progress.started_ms is None else from_unix_ms(progress.started_ms),
        duration=round(progress.duration_s, 3),
        size=progress.size_bytes,
        renditions=tuple(RecordedRendition.model_validate(each) for each in progress.renditions),
        gaps=tuple(RecordingGap.model_validate(each) for each in progress.gaps),
        parts=tuple(map(_part, entry.parts)) or None,
        pending=entry.pending_bytes or None,
        problem=entry.problem or None,
        reason=progress.reason or None,
        hls_url=urls.vod(entry.recording_id) if plays else None,
        thumbnails=urls.storyboard(entry.recording_id) if plays and progress.has_thumbnails else None,
        mp4_url=urls.download(entry.recording_id) if progress.state is RecordingState.READY else None,
    )


def _part(part: StoredPart) -> RecordingPart:
    return RecordingPart(
        node_id=part.node_id,
        started_at=None if part.started_ms is None else from_unix_ms(part.started_ms),
        duration=round(part.duration_s, 3),
        size=part.size_bytes,
    )

"""A stream of the store as the API shows it."""

from __future__ import annotations

from typing import Any

from control.failures import error_of
from control.schemas import (
    CreatedStream,
    IngestWithHealth,
    IngestWithKey,
    Playback,
    PlaybackWithViewers,
    RotatedKey,
    StreamResource,
)
from control.urls import PublicUrls
from streams.health import IngestHealth
from streams.model import Stream


def stream_resource(
    stream: Stream, urls: PublicUrls, health: IngestHealth | None = None, viewers: int | None = None
) -> StreamResource:
    """The stream object without its key."""
    ingest = IngestWithHealth(rtmp_url=urls.rtmp, srt_url=urls.srt, rtmps_url=urls.rtmps, health=health)
    playback = PlaybackWithViewers(hls_url=urls.hls(stream.edge_id), edge_id=stream.edge_id, viewers=viewers)
    return StreamResource(**_shared(stream), ingest=ingest, playback=playback)


def created_stream(stream: Stream, key: str, urls: PublicUrls) -> CreatedStream:
    """The stream object with its key."""
    ingest = IngestWithKey(
        rtmp_url=urls.rtmp,
        srt_url=urls.srt,
        rtmps_url=urls.rtmps,
        stream_key=key,
        rtmp_full_url=urls.rtmp_full(key),
        srt_full_url=urls.srt_full(key),
        rtmps_full_url=urls.rtmps_full(key),
    )
    playback = Playback(hls_url=urls.hls(stream.edge_id), edge_id=stream.edge_id)
    return CreatedStream(**_shared(stream), ingest=ingest, playback=playback)


def rotated_key(key: str, urls: PublicUrls) -> RotatedKey:
    """A new stream key and the URLs that hold it."""
    return RotatedKey(
        stream_key=key,
        rtmp_full_url=urls.rtmp_full(key),
        srt_full_url=urls.srt_full(key),
        rtmps_full_url=urls.rtmps_full(key),
    )


def _shared(stream: Stream) -> dict[str, Any]:
    return {
        "stream_id": stream.stream_id,
        "edge_id": stream.edge_id,
        "name": stream.name,
        "state": stream.state,
        "quality": stream.quality,
        "recording": stream.recording,
        "low_latency": stream.low_latency,
        "reconnect_window_seconds": stream.reconnect_window_s,
        "created_at": stream.created_at,
        "started_at": stream.started_at,
        "ended_at": stream.ended_at,
        "error": error_of(stream),
    }

"""What a worker is told of a session that it is to host."""

from __future__ import annotations

from config.session import SessionSpec
from config.settings import Settings
from streams.model import Stream


def session_spec(settings: Settings, stream: Stream, session_id: str) -> SessionSpec:
    """This session of the stream, with this node's durations and directory."""
    return SessionSpec(
        stream_id=stream.stream_id,
        edge_id=stream.edge_id,
        session_id=session_id,
        quality=stream.quality,
        low_latency=stream.low_latency,
        media_dir=str(settings.effective_media_dir),
        segment_s=settings.segment_s,
        part_s=settings.part_s,
        window_s=settings.window_s,
        chunk_s=settings.chunk_s,
        recording=stream.recording,
        slate_image=str(settings.slate_image or ""),
    )

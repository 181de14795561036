"""What a previous run of this node's ingest has left: sessions that workers still host, or whose files are there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.session import Hosting
from ingest.session_files import JOURNAL
from ingest.workers import Worker
from streams.model import NodeSession


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftSession:
    """A session that can go on. `away_s` is for how long its encoder has been away.

    `was_connected` says that the encoder was there until ingest was gone. Without a `worker` it has none any more.
    """

    session: NodeSession
    worker: Worker | None = None
    is_live: bool = False
    away_s: float = 0.0
    was_connected: bool = True


def left_session(
    session: NodeSession, hosted: Mapping[str, tuple[Worker, Hosting]], media_dir: Path
) -> LeftSession | None:
    """How a session of this node's goes on; None when it can't: its files are gone, or its window is over."""
    if (found := hosted.get(session.session_id)) is not None:
        worker, hosting = found
        return LeftSession(
            session=session,
            worker=worker,
            is_live=hosting.live,
            away_s=0.0 if hosting.was_connected else hosting.away_s,
            was_connected=hosting.was_connected,
        )
    try:
        written_s = (media_dir / session.stream.edge_id / session.session_id / JOURNAL).stat().st_mtime
    except FileNotFoundError:
        return None
    away_s = max(0.0, time.time() - written_s)
    if away_s >= session.stream.reconnect_window_s:
        return None
    return LeftSession(session=session, away_s=away_s)

"""A session that another worker has begun: what this one finds of it, and goes on from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.ladders import PASSTHROUGH
from config.session import Checkpoint, SessionSpec
from packager.publication import Publication
from packager.records import SessionRecord
from packager.written import read_written


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What is fixed in the session, and `after`, the checkpoint, when its files are not here."""

    session: SessionRecord
    after: Checkpoint | None
    ended: bool = False

    @property
    def frozen(self) -> Mapping[str, Any]:
        """What the session's own kind has fixed."""
        return self.session.frozen


def find_begun(spec: SessionSpec, checkpoint: Checkpoint | None) -> Begun | None:
    """The session of this spec, if any worker has begun it.

    Files that are behind the checkpoint were left when the session went to another node: they are removed.
    """
    directory = session_dir(spec)
    written = read_written(directory)
    if written is not None and (checkpoint is None or written.next_msn >= checkpoint.next_msn):
        return Begun(session=written.session, after=None, ended=written.ended)
    if checkpoint is None:
        return None
    if written is not None:
        shutil.rmtree(directory)
    return Begun(session=SessionRecord(**checkpoint.session), after=checkpoint)


def session_dir(spec: SessionSpec) -> Path:
    """Where the session's files are."""
    return Path(spec.media_dir) / spec.edge_id / spec.session_id


def new_record(
    spec: SessionSpec, *, part_target_s: float, target_duration_s: int, frozen: Mapping[str, Any]
) -> SessionRecord:
    """The record of a session that begins now."""
    return SessionRecord(
        edge_id=spec.edge_id,
        session_id=spec.session_id,
        low_latency=spec.low_latency,
        part_target_s=part_target_s,
        target_duration_s=target_duration_s,
        window_s=spec.window_s,
        progressive=spec.chunk_s > 0,
        recording=spec.recording,
        frozen=dict(frozen),
    )


def open_publication(
    spec: SessionSpec,
    session: SessionRecord,
    wall_time_s: Callable[[float], float],
    after: Checkpoint | None = None,
) -> Publication:
    """The session's files, to go on with where they end. Raises `packager.session_lock.SessionBusy`."""
    return Publication(
        Path(spec.media_dir),
        edge_id=session.edge_id,
        session_id=session.session_id,
        low_latency=session.low_latency,
        window_s=session.window_s,
        part_target_s=session.part_target_s,
        target_duration_s=session.target_duration_s,
        chunk_s=spec.chunk_s if session.progressive else 0.0,
        wall_time_s=wall_time_s,
        recording=session.recording,
        frozen=session.frozen,
        after=after,
        lost_take_time=spec.quality != PASSTHROUGH,
    )


def close_playlists(spec: SessionSpec, begun: Begun) -> None:
    """End a session that this worker has published nothing of."""
    publication = open_publication(spec, begun.session, lambda media_s: media_s, begun.after)
    publication.break_off()
    publication.end()

"""What ingest does with the files of sessions: it hides those that go on elsewhere, and removes what is over.

What is to be recorded stays until it is.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import structlog

from config.session import RECORDED_FILE

log = structlog.get_logger()

RECORDER_AWAY_S = 600.0
"""For how long files that are not recorded yet are kept for a recorder that does not come."""

_LOOK_S = 0.25
_SESSION_DIRS = "se_*"
EDGE_DIRS = "lse_*"
_CURRENT = "current"
JOURNAL = "journal.jsonl"


def hide_session(edge_dir: Path, session_id: str) -> None:
    """Let this node's origin know that a session is elsewhere. What was published can still be fetched."""
    (edge_dir / session_id / JOURNAL).unlink(missing_ok=True)
    current = edge_dir / _CURRENT
    if current.is_file() and current.read_text() == session_id:
        current.unlink()


async def remove_session(session_dir: Path, is_hosted: Callable[[], bool], wait_s: float = RECORDER_AWAY_S) -> None:
    """Remove a session's files, once they are recorded if they are to be. One that has come back keeps them."""
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + wait_s
    while not is_hosted() and await asyncio.to_thread(_is_needed, session_dir):
        if loop.time() >= give_up_s:
            log.error("session_removed_unrecorded", session_id=session_dir.name, waited_s=wait_s)
            break
        await asyncio.sleep(_LOOK_S)
    if not is_hosted():
        await asyncio.to_thread(_remove, session_dir)


def remove_left(edge_dir: Path) -> list[Path]:
    """Remove what a previous run has left of an edge id, but for the sessions that the recorder needs: those."""
    needed = [path for path in edge_dir.glob(_SESSION_DIRS) if _is_needed(path)]
    for path in [edge_dir] if not needed else set(edge_dir.glob(_SESSION_DIRS)) - set(needed):
        _remove(path)
    return needed


def remove_empty(edge_dir: Path) -> None:
    """Remove the directory of an edge id that has no session's media left."""
    if edge_dir.is_dir() and all(path.name.endswith(_CURRENT) for path in edge_dir.iterdir()):
        shutil.rmtree(edge_dir)


def _is_needed(session_dir: Path) -> bool:
    """Whether the recorder is still to come. The first line of the journal says what the session is."""
    try:
        with (session_dir / JOURNAL).open("rb") as journal:
            session = json.loads(journal.readline())
    except (OSError, ValueError):
        return False
    is_recorded = isinstance(session, dict) and session.get("recording") is True
    return is_recorded and not (session_dir / RECORDED_FILE).exists()


def _remove(directory: Path) -> None:
    if directory.is_dir():
        shutil.rmtree(directory)

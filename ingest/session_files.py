"""What ingest does with the files of sessions: it hides those that go on elsewhere, and removes what is over."""

from __future__ import annotations

import shutil
from pathlib import Path

EDGE_DIRS = "lse_*"
_CURRENT = "current"
JOURNAL = "journal.jsonl"


def hide_session(edge_dir: Path, session_id: str) -> None:
    """Let this node's origin know that a session is elsewhere. What was published can still be fetched."""
    (edge_dir / session_id / JOURNAL).unlink(missing_ok=True)
    current = edge_dir / _CURRENT
    if current.is_file() and current.read_text() == session_id:
        current.unlink()


def remove_directory(directory: Path) -> None:
    """Remove a directory if it is there."""
    if directory.is_dir():
        shutil.rmtree(directory)


def remove_empty(edge_dir: Path) -> None:
    """Remove the directory of an edge id that has no session's media left."""
    if edge_dir.is_dir() and all(path.name.endswith(_CURRENT) for path in edge_dir.iterdir()):
        shutil.rmtree(edge_dir)

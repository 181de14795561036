"""Removing a recording, whole or not yet: what a crash leaves is removed by the next attempt."""

from __future__ import annotations

import shutil
from pathlib import Path

import structlog

from packager.recordings.recording import JOURNALS

log = structlog.get_logger()


def remove_recording(directory: Path) -> None:
    """Remove everything of a recording. The journals go first: without them nobody is given a part of it."""
    if not directory.is_dir():
        return
    for journal in directory.glob(JOURNALS):
        journal.unlink()
    shutil.rmtree(directory)
    log.info("recording_removed", recording_id=directory.name)

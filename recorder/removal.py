"""Removing a recording, whole or not yet: what a crash leaves is removed by the next attempt."""

from __future__ import annotations

import shutil
from pathlib import Path

import structlog

from packager.recordings.recording import JOURNALS

log = structlog.get_logger()


def remove_recording(directory: Path) -> bool:
    """Remove everything of a recording, journals first: without them nobody is given a part of it. Whether it was."""
    if not directory.is_dir():
        return False
    for journal in directory.glob(JOURNALS):
        journal.unlink()
    shutil.rmtree(directory)
    log.info("recording_removed", recording_id=directory.name)
    return True

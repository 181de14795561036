"""Whether the recordings on this disk can still be read: one that nobody plays must not break unnoticed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import structlog

from packager.recordings.recording import JOURNALS, read_recording

log = structlog.get_logger()

_EVERY_S: Final = 60.0

_Look = tuple[tuple[str, int, int], ...]


class Reading:
    """Reads the journals of recordings, those again that have changed. `unreadable` has the reason by recording id."""

    def __init__(self, recordings_dir: Path) -> None:
        self._dir = recordings_dir
        self._seen: dict[str, _Look] = {}
        self.unreadable: dict[str, str] = {}

    async def run(self) -> None:
        """Look now and then until cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(_EVERY_S)

    def look(self) -> None:
        """One look at all of them. Blocks on the disk."""
        found = {path.name: path for path in self._dir.glob("rec_*")}
        for recording_id in (self._seen.keys() | self.unreadable.keys()) - found.keys():
            self._seen.pop(recording_id, None)
            self.unreadable.pop(recording_id, None)
        for recording_id, path in found.items():
            try:
                seen = _looks(path)
                if seen and seen == self._seen.get(recording_id):
                    continue
                self._seen[recording_id] = seen
                problem = _problem(path)
            except OSError as error:
                problem = error.strerror or str(error)
            self._note(recording_id, problem)

    def _note(self, recording_id: str, problem: str) -> None:
        before = self.unreadable.pop(recording_id, "")
        if problem:
            self.unreadable[recording_id] = problem
            if not before:
                log.error("recording_not_readable", recording_id=recording_id, error=problem)
        elif before:
            log.warning("recording_readable_again", recording_id=recording_id)


def _looks(directory: Path) -> _Look:
    stats = [(path.name, path.stat()) for path in sorted(directory.glob(JOURNALS))]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


def _problem(directory: Path) -> str:
    """Why a recording can't be read; empty when it can."""
    try:
        recording = read_recording(directory)
        for rendition in recording.renditions.values():
            rendition.decode()
    except FileNotFoundError:
        return "its journal is gone"
    except ValueError as error:
        return f"its journal is damaged: {error}"
    return "" if recording.head is not None else "its journal is empty"

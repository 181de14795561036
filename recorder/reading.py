"""Which recordings on this disk are not closed, and whether all can still be read: one that nobody plays must not
break unnoticed.
"""

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
    """Reads the journals of recordings, those again that have changed. `unreadable` has the reason by recording id,
    `unclosed` those that did not say their end when they were read last.
    """

    def __init__(self, recordings_dir: Path) -> None:
        self._dir = recordings_dir
        self._seen: dict[str, _Look] = {}
        self.unreadable: dict[str, str] = {}
        self.unclosed: set[str] = set()

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
            self.unclosed.discard(recording_id)
        for recording_id, path in found.items():
            try:
                seen = _looks(path)
                if seen and seen == self._seen.get(recording_id):
                    continue
                self._seen[recording_id] = seen
                is_over, problem = _read(path)
                (self.unclosed.discard if is_over else self.unclosed.add)(recording_id)
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


def _read(directory: Path) -> tuple[bool, str]:
    """Whether a recording is over, and why it can't be read; empty when it can."""
    try:
        recording = read_recording(directory)
        for rendition in recording.renditions.values():
            rendition.decode()
    except FileNotFoundError:
        return True, "its journal is gone"
    except ValueError as error:
        return True, f"its journal is damaged: {error}"
    return recording.is_over, "" if recording.head is not None else "its journal is empty"

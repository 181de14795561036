"""The recordings that viewers ask for, in memory as long as they do."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from packager.recordings.recording import Recording, RecordingReader

_HELD_MAX = 64
_IDLE_S = 60.0


class NoRecording(Exception):
    """There is no such recording here."""


class HeldRecording:
    """A recording and what was made of it."""

    def __init__(self, directory: Path) -> None:
        self.reader = RecordingReader(directory)
        self.used_s = time.monotonic()
        self._made: dict[str, tuple[int, bytes]] = {}

    @property
    def recording(self) -> Recording:
        """As of the last look."""
        return self.reader.recording

    def made(self, key: str, make: Callable[[Recording], bytes]) -> bytes:
        """What `make` makes of the recording, kept under this key until the recording grows."""
        known = self._made.get(key)
        if known is None or known[0] != self.reader.version:
            known = self._made[key] = self.reader.version, make(self.recording)
        return known[1]


class Library:
    """Recordings by id."""

    def __init__(self, recordings_dir: Path) -> None:
        self._recordings_dir = recordings_dir
        self._held: OrderedDict[str, HeldRecording] = OrderedDict()

    def get(self, recording_id: str) -> HeldRecording:
        """A recording as it is now. Raises `NoRecording`."""
        held = self._held.pop(recording_id, None) or HeldRecording(self._recordings_dir / recording_id)
        try:
            held.reader.refresh()
        except FileNotFoundError:
            raise NoRecording(recording_id) from None
        self._held[recording_id] = held
        held.used_s = time.monotonic()
        self._let_go()
        return held

    def path(self, recording_id: str, *names: str) -> Path:
        """Where a file of a recording is, if it is there."""
        return self._recordings_dir.joinpath(recording_id, *names)

    def _let_go(self) -> None:
        idle_since_s = time.monotonic() - _IDLE_S
        while len(self._held) > _HELD_MAX or next(iter(self._held.values())).used_s < idle_since_s:
            self._held.popitem(last=False)

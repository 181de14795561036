"""The recordings that viewers ask for, in memory as long as they do."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from packager.recordings.fetching import fetch_recording
from packager.recordings.media import RecordedMedia
from packager.recordings.object_store import ObjectStore
from packager.recordings.recording import Recording, RecordingReader

_HELD_MAX = 64
_IDLE_S = 60.0
_UNKNOWN_S = 15.0
_UNKNOWN_MAX = 1000
_LOOKUPS_AT_ONCE = 4


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
    """Recordings by id: those in a directory and, with a store, those that are closed and in there."""

    def __init__(self, recordings_dir: Path, store: ObjectStore | None = None) -> None:
        self._recordings_dir = recordings_dir
        self.store = store
        self._unknown_s: dict[str, float] = {}
        self._lookups = asyncio.Semaphore(_LOOKUPS_AT_ONCE)
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

    async def find(self, recording_id: str) -> HeldRecording:
        """The same, fetched from the store if it is not here. Raises `NoRecording`, `StoreError`."""
        try:
            return self.get(recording_id)
        except NoRecording:
            if self.store is None or self._is_unknown(recording_id):
                raise
        async with self._lookups:
            self._recordings_dir.mkdir(parents=True, exist_ok=True)
            if not await fetch_recording(self.store, self._recordings_dir / recording_id):
                self._unknown_s[recording_id] = time.monotonic()
        return self.get(recording_id)

    def _is_unknown(self, recording_id: str) -> bool:
        """Whether the store had none a moment ago."""
        if len(self._unknown_s) > _UNKNOWN_MAX:
            self._unknown_s.clear()
        return time.monotonic() - self._unknown_s.get(recording_id, -_UNKNOWN_S) < _UNKNOWN_S

    def media(self, held: HeldRecording) -> RecordedMedia:
        """Where the media of a recording are read."""
        return RecordedMedia(held.reader.directory, self.store)

    def path(self, recording_id: str, *names: str) -> Path:
        """Where a file of a recording is, if it is there."""
        return self._recordings_dir.joinpath(recording_id, *names)

    def _let_go(self) -> None:
        idle_since_s = time.monotonic() - _IDLE_S
        while len(self._held) > _HELD_MAX or next(iter(self._held.values())).used_s < idle_since_s:
            self._held.popitem(last=False)

"""Deletes in the object store what was deleted here; what a crash, or an absence of the store, leaves is done later."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

import structlog

from packager.recordings.fetching import TOMBSTONE_PREFIX, tombstone
from packager.recordings.object_store import ObjectStore, StoreError

log = structlog.get_logger()

_AGAIN_S: Final = 15.0


class Removals:
    """The recordings whose objects are to be deleted: a file on disk for each, until there are none left."""

    def __init__(self, recordings_dir: Path, store: ObjectStore) -> None:
        self._dir = recordings_dir
        self._store = store
        self._waiting: dict[str, None] = {}
        self._due_s = 0.0
        self._problem = ""

    def look(self) -> None:
        """What an earlier run has left."""
        for path in self._dir.glob(f"{TOMBSTONE_PREFIX}*"):
            self._waiting[path.name.removeprefix(TOMBSTONE_PREFIX)] = None

    def add(self, recording_id: str) -> None:
        """The objects of this recording are to be deleted."""
        self._dir.mkdir(parents=True, exist_ok=True)
        tombstone(self._dir / recording_id).touch()
        self._waiting[recording_id] = None

    async def delete(self) -> None:
        """Delete what can be. A store that lets nobody delete is asked now and then, and raises nothing here."""
        if time.monotonic() < self._due_s:
            return
        for recording_id in list(self._waiting):
            try:
                count = await self._store.delete_all(f"{recording_id}/")
            except StoreError as error:
                if str(error) != self._problem:
                    log.error("recording_not_deleted_in_store", recording_id=recording_id, error=str(error))
                self._problem = str(error)
                self._due_s = time.monotonic() + _AGAIN_S
                return
            self._problem = ""
            await asyncio.to_thread(tombstone(self._dir / recording_id).unlink, missing_ok=True)
            del self._waiting[recording_id]
            log.info("recording_deleted_in_store", recording_id=recording_id, objects=count)

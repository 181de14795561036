"""Closing recordings: what other nodes have of them is fetched, and journals whose session did not say its end here
say theirs.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from packager.recordings.fetching import fetch_journals
from packager.recordings.object_store import ObjectStore, StoreError
from packager.recordings.recording import read_recording
from packager.recordings.records import OverRecord, encode_line
from packager.recordings.summary import Summary
from packager.recordings.timeline import lost_ends
from recorder.reading import Reading
from recorder.repair import repair
from recorder.storing import Disk, RecordingJournal

log = structlog.get_logger()

_FETCH_S = 1.0
_END = encode_line(OverRecord())


class Closing:
    """Of the recordings on one disk."""

    def __init__(self, disk: Disk, node_id: str, reading: Reading, store: ObjectStore | None) -> None:
        self._disk = disk
        self._node_id = node_id
        self._reading = reading
        self._store = store

    async def fetch_others(self, recording_id: str, *, only_closed: bool = False) -> None:
        """What other nodes have recorded of it belongs to it, if it can be had at once."""
        directory = self._disk.recordings_dir / recording_id
        if self._store is None or not directory.is_dir():
            return
        try:
            async with asyncio.timeout(_FETCH_S):
                await fetch_journals(self._store, directory, only_closed=only_closed)
        except (StoreError, TimeoutError, ValueError) as error:
            log.warning("others_not_asked", recording_id=recording_id, error=str(error) or "no answer in time")

    async def close(self, recording_id: str) -> Summary | None:
        """Close one with what there is; None when there is none, or it can't be closed."""
        try:
            closed = await asyncio.to_thread(close_journal, self._disk.recordings_dir / recording_id, self._node_id)
        except (OSError, ValueError) as error:
            log.error("recording_not_closed", recording_id=recording_id, error=str(error))
            return None
        if closed is not None:
            self.is_closed_now(recording_id)
        return closed

    async def is_closed(self, recording_id: str) -> bool:
        """Whether a journal says so; also when none can be read, which is said when it is to be closed."""
        try:
            return (await asyncio.to_thread(read_recording, self._disk.recordings_dir / recording_id)).is_over
        except (OSError, ValueError):
            return True

    def is_closed_now(self, recording_id: str) -> None:
        """It has been closed."""
        self.grows_no_more(recording_id)
        self._reading.unclosed.discard(recording_id)

    def grows_no_more(self, recording_id: str) -> None:
        """Nothing is added to it on this node: what waits is all that there is to upload."""
        if self._disk.spool is not None:
            self._disk.spool.close(recording_id)


def close_journal(directory: Path, node_id: str) -> Summary | None:
    """Close a recording with what there is; None when there is none. Raises `OSError`, `ValueError`. Blocks."""
    if not directory.is_dir():
        return None
    path = directory / f"{node_id}.jsonl"
    if path.exists():
        repair(path)
    found = read_recording(directory)
    lost = lost_ends(found)
    # A journal can be read before those of other nodes.
    declared = [found.renditions[name].info for name in dict.fromkeys(segment.rendition for segment in lost)]
    journal = RecordingJournal(path)
    try:
        head = [found.head] if journal.is_new and found.head is not None else []
        end = [] if path.read_bytes().endswith(_END) else [OverRecord()]
        journal.append(*head, *declared, *lost, *end)
    finally:
        journal.close()
    if lost:
        log.error("segments_missed", recording_id=directory.name, files=len(lost))
    return Summary.of(read_recording(directory))

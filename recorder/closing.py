"""Closing a recording whose session did not say its end here."""

from __future__ import annotations

from pathlib import Path

import structlog

from packager.recordings.recording import read_recording
from packager.recordings.records import OverRecord, encode_line
from packager.recordings.summary import Summary
from packager.recordings.timeline import lost_ends
from recorder.repair import repair
from recorder.storing import RecordingJournal

log = structlog.get_logger()

_END = encode_line(OverRecord())


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

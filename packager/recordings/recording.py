"""A recording, read from its directory.

    {recordings_dir}/{recordingId}/{node}.jsonl                      a journal for each node that recorded
    {recordings_dir}/{recordingId}/{rendition}/init-0.mp4, {msn}.m4s   the very files that were published
    {recordings_dir}/{recordingId}/thumbnails/sheet-{ms}.jpg         sheets of thumbnails

A session that moves from node to node has journals of each; names of files are those of the session, and unique in it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from packager.recordings.records import HeadRecord, InitRecord, Line, OverRecord, StoredSegment, decode_lines
from packager.records import RenditionRecord, ThumbnailRecord

JOURNALS = "*.jsonl"
RECORDING_ID = re.compile("rec_[0-9a-z]{26}")


def recording_id_of(session_id: str) -> str:
    """A session has one recording, whoever records it: the ids differ in their prefixes only."""
    return "rec_" + session_id.removeprefix("se_")


class RecordedRendition:
    """One rendition and its segments in order, those that are missing included."""

    def __init__(self, info: RenditionRecord) -> None:
        self.info = info
        self.inits: dict[str, InitRecord] = {}
        self._segments: dict[int, StoredSegment] = {}
        self._in_order = True
        self._encoded: list[bytes] = []

    def add_encoded(self, line: bytes) -> None:
        """Take in a segment's line as it is. Most who read a recording want one rendition, and decode only that."""
        self._encoded.append(line)

    def add(self, segment: StoredSegment) -> None:
        """Take in a segment. One that is stored after all replaces the note that it is missing."""
        known = self._segments.get(segment.msn)
        if known is not None:
            if known.is_missing:
                self._segments[segment.msn] = segment
            return
        if self._in_order and self._segments and segment.msn < next(reversed(self._segments)):
            self._in_order = False
        self._segments[segment.msn] = segment

    def decode(self) -> None:
        """Decode what was taken in as it is. Raises `ValueError` when a line is none."""
        if self._encoded:
            for line in decode_lines(b"\n".join(self._encoded)):
                assert isinstance(line, StoredSegment)
                self.add(line)
            self._encoded = []

    @property
    def segments(self) -> list[StoredSegment]:
        """The segments by media sequence number. Raises as `decode`."""
        self.decode()
        if not self._in_order:
            self._segments = dict(sorted(self._segments.items()))
            self._in_order = True
        return list(self._segments.values())


class Recording:
    """What the journals say. Feed it lines of one journal after the other, or both in turns."""

    def __init__(self) -> None:
        self.head: HeadRecord | None = None
        self.renditions: dict[str, RecordedRendition] = {}
        self.thumbnails: list[ThumbnailRecord] = []
        self.nodes: frozenset[str] = frozenset()
        """Those whose journals were read."""
        self.is_over = False

    def feed_lines(self, data: bytes) -> None:
        """Take in whole lines. Raises `ValueError` when one is none."""
        for line in data.splitlines():
            if line.startswith(b'["'):
                name, quote, _ = line[2:].partition(b'"')
                if not quote:
                    raise ValueError(f"not a record of a recording: {line[:80]!r}")
                self._rendition(name.decode()).add_encoded(line)
            else:
                for record in decode_lines(line):
                    self.feed(record)

    def feed(self, line: Line) -> None:
        """Take in a record. Raises `ValueError` when a segment comes before its rendition."""
        if isinstance(line, StoredSegment):
            self._rendition(line.rendition).add(line)
        elif isinstance(line, RenditionRecord):
            known = self.renditions.get(line.name)
            if known is None:
                self.renditions[line.name] = RecordedRendition(line)
            else:
                known.info = line
        elif isinstance(line, InitRecord):
            self._rendition(line.rendition).inits[line.file] = line
        elif isinstance(line, HeadRecord):
            self.head = self.head or line
        elif isinstance(line, ThumbnailRecord):
            self.thumbnails.append(line)
        elif isinstance(line, OverRecord):
            self.is_over = True

    @property
    def has_media(self) -> bool:
        """Whether anything can be played."""
        return any(
            not segment.is_missing for rendition in self.renditions.values() for segment in rendition.segments
        )  # fmt: skip

    def best_video(self) -> RecordedRendition | None:
        """The video rendition of the highest bitrate."""
        videos = [rendition for rendition in self.renditions.values() if rendition.info.kind == "video"]
        return max(videos, key=lambda rendition: rendition.info.bandwidth_bps, default=None)

    def audio(self) -> RecordedRendition | None:
        """The audio rendition."""
        return next((each for each in self.renditions.values() if each.info.kind == "audio"), None)

    def _rendition(self, name: str) -> RecordedRendition:
        if name not in self.renditions:
            raise ValueError(f"a record of rendition {name!r} comes before the rendition itself")
        return self.renditions[name]


class RecordingReader:
    """A recording that may still grow. `refresh` reads what is new."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.recording = Recording()
        self.version = 0
        """Counts the looks that brought something new."""
        self._read: dict[Path, tuple[int, int]] = {}  # inode and offset by journal

    def refresh(self) -> None:
        """Read what is new. Raises `FileNotFoundError` when there is no such recording, `ValueError` for garbage."""
        journals = sorted(self.directory.glob(JOURNALS))
        if not journals:
            raise FileNotFoundError(self.directory)
        inodes = {path: path.stat().st_ino for path in journals}
        if any(self._read.get(path, (inode,))[0] != inode for path, inode in inodes.items()):
            # One was rewritten: what it said before may not hold any more.
            self._read.clear()
            self.recording = Recording()
        for path in journals:
            self._refresh(path)
        self.recording.nodes = frozenset(path.stem for path in journals)

    def _refresh(self, path: Path) -> None:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            inode, offset = self._read.get(path, (stat.st_ino, 0))
            if stat.st_size == offset and path in self._read:
                return
            file.seek(offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.recording.feed_lines(whole)
        self._read[path] = inode, offset + len(whole)
        self.version += bool(whole)


def read_recording(directory: Path) -> Recording:
    """The recording in this directory as it is now. Raises as `RecordingReader.refresh`."""
    reader = RecordingReader(directory)
    reader.refresh()
    return reader.recording

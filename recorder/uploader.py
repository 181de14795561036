"""Uploads what is recorded here to the object store, while it is recorded.

A file is removed here once the store has it and `{node}.stored` says so on disk. The journal itself, as far as what it
names is in the store, goes there again and again, and a last time once the recording is closed.
"""

from __future__ import annotations

import asyncio
import os
import time
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO, Final

import structlog

from packager.publication import THUMBNAILS
from packager.recordings.fetching import COMPLETE_SUFFIX
from packager.recordings.fragment_headers import fragment_headers
from packager.recordings.fragments import BadFile
from packager.recordings.object_store import ObjectStore, StoreError
from packager.recordings.recording import RECORDING_ID
from packager.recordings.records import InitRecord, OverRecord, StoredSegment, decode_lines, sound_lines
from packager.recordings.uploads import UPLOADS_SUFFIX, Uploaded, encode_uploaded, pack_headers, read_uploads
from recorder.removals import Removals
from recorder.spool import Spool, Waiting, waiting

log = structlog.get_logger()

_AT_ONCE: Final = 4
_POLL_S: Final = 0.25
_BACKOFF_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
_JOURNAL_EVERY_S: Final = 10.0
_JOURNAL_BYTES_PER_S: Final = 50_000
"""A journal grows, and is uploaded whole each time: the longer it is, the less often."""
_LOOK_BACK_BYTES: Final = 4096
_LINES: Final = "application/x-ndjson"


class Uploader:
    """Runs beside a `Recorder`, with which it shares the spool."""

    def __init__(
        self,
        recordings_dir: Path,
        node_id: str,
        store: ObjectStore,
        spool: Spool,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._dir = recordings_dir
        self._node_id = node_id
        self._store = store
        self._spool = spool
        self._done: dict[str, set[tuple[str, str]]] = {}  # rendition and file of what the store has, of those that grow
        self._unsaid: set[str] = set()  # recordings whose journal in the store is behind
        self._due_s: dict[str, float] = {}  # when their journals may go there again
        self._sleep = sleep
        self._removals = Removals(recordings_dir, store)
        self._failures = 0
        self._looked = False
        self.problem = ""
        """Why nothing can be uploaded at the moment; empty when all is well."""
        self.uploaded_files = 0
        self.uploaded_bytes = 0
        self.failed = 0

    async def run(self) -> None:
        """Upload until cancelled."""
        while True:
            try:
                busy = await self.round()
            except (StoreError, OSError) as error:
                self._has_failed(error.strerror or str(error) if isinstance(error, OSError) else str(error))
                await self._sleep(_BACKOFF_S[min(self._failures, len(_BACKOFF_S)) - 1])
            else:
                if not busy:
                    await self._sleep(_POLL_S)

    async def round(self) -> bool:
        """Do what is next; whether there may be more. Raises `StoreError`: what was not done stays to be done."""
        if not self._looked:
            await asyncio.to_thread(self._look)
            self._looked = True
        await self._removals.delete()
        files = self._spool.oldest(1 if self.problem else _AT_ONCE)
        outcomes = await asyncio.gather(*map(self._upload, files), return_exceptions=True)
        uploaded = [outcome for outcome in outcomes if isinstance(outcome, tuple)]
        if uploaded:
            await asyncio.to_thread(self._note, uploaded)
            self._goes_on()
        for file, outcome in zip(files, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                self._spool.later(file)
                raise outcome
        await self._put_journals()
        return bool(files)

    def remove(self, recording_id: str) -> None:
        """The recording was deleted: delete its objects, and let nobody fetch it until they are gone."""
        self._spool.drop(recording_id)
        self._unsaid.discard(recording_id)
        self._done.pop(recording_id, None)
        self._removals.add(recording_id)

    def _look(self) -> None:
        """What an earlier run has left to be done."""
        self._removals.look()
        for journal in self._dir.glob(f"rec_*/{self._node_id}.jsonl"):
            if RECORDING_ID.fullmatch(journal.parent.name) and not self._complete(journal.parent).exists():
                self._take_up(journal)

    def _take_up(self, journal: Path) -> None:
        recording_id = journal.parent.name
        try:
            done = read_uploads(journal.with_suffix(UPLOADS_SUFFIX))
            lines = list(decode_lines(sound_lines(journal.read_bytes())))
        except (OSError, ValueError) as error:
            log.error("recording_not_readable", recording_id=recording_id, error=str(error))
            return
        for line in lines:
            if not isinstance(line, StoredSegment | InitRecord) or not line.size_bytes:
                continue
            path = journal.parent / line.rendition / line.file
            if (line.rendition, line.file) not in done:
                self._spool.add(waiting(recording_id, line))
            elif isinstance(line, StoredSegment):
                path.unlink(missing_ok=True)
        if any(isinstance(line, OverRecord) for line in lines):
            self._spool.close(recording_id)

    async def _upload(self, file: Waiting) -> tuple[Waiting, str] | None:
        """Upload one file; None when there is nothing to upload."""
        try:
            data = await asyncio.to_thread((self._dir / file.name).read_bytes)
        except OSError as error:
            self._lost(file, error.strerror or str(error))
            return None
        if zlib.crc32(data) != file.crc32:
            self._lost(file, "it is not what was stored")
            return None
        try:
            await self._store.put(file.name, data, "audio/mp4" if file.rendition == "audio" else "video/mp4")
        except StoreError:
            self.failed += 1
            raise
        headers = ""
        if file.is_segment:
            try:
                read = memoryview(data)
                headers = pack_headers(
                    fragment_headers(lambda at, size: bytes(read[at : at + size]), len(data), file.file)
                )
            except BadFile as error:
                log.error("segment_not_readable", recording_id=file.recording_id, error=str(error))
        return file, headers

    def _lost(self, file: Waiting, why: str) -> None:
        log.error("recorded_file_lost", recording_id=file.recording_id, file=file.file, error=why)
        self._spool.done(file)

    def _note(self, uploaded: list[tuple[Waiting, str]]) -> None:
        """Say on disk that the store has these files, then remove them here."""
        for recording_id in dict.fromkeys(file.recording_id for file, _ in uploaded):
            lines = [
                encode_uploaded(Uploaded(file.rendition, file.file, file.size_bytes, headers))
                for file, headers in uploaded
                if file.recording_id == recording_id
            ]
            try:
                _append(self._dir / recording_id / f"{self._node_id}{UPLOADS_SUFFIX}", b"".join(lines))
            except FileNotFoundError:
                continue  # deleted meanwhile; its objects are next
        for file, _ in uploaded:
            if (done := self._done.get(file.recording_id)) is not None:
                done.add((file.rendition, file.file))
            if file.is_segment:
                (self._dir / file.name).unlink(missing_ok=True)
            self._spool.done(file)
            self.uploaded_files += 1
            self.uploaded_bytes += file.size_bytes

    async def _put_journals(self) -> None:
        now_s = time.monotonic()
        changed = self._spool.take_changed()
        for recording_id in changed - self._unsaid:
            self._complete(self._dir / recording_id).unlink(missing_ok=True)
        self._unsaid |= changed
        for recording_id in list(self._unsaid):
            directory = self._dir / recording_id
            if self._spool.is_ready_to_close(recording_id):
                await self._last(directory)
                self._due_s.pop(recording_id, None)
                self._done.pop(recording_id, None)
            elif now_s >= self._due_s.get(recording_id, 0.0):
                size_bytes = await self._put_journal(directory)
                self._due_s[recording_id] = now_s + max(_JOURNAL_EVERY_S, size_bytes / _JOURNAL_BYTES_PER_S)
            else:
                continue
            self._unsaid.discard(recording_id)
            self._goes_on()

    async def _last(self, directory: Path) -> None:
        """All segments of a recording that is closed are in the store: the rest follows."""
        try:
            for sheet in await asyncio.to_thread(_sheets, directory):
                await self._put(sheet, "image/jpeg")
                sheet.unlink(missing_ok=True)
            stored = directory / f"{self._node_id}{UPLOADS_SUFFIX}"
            if stored.exists():
                await self._put(stored, _LINES)
            await self._put_journal(directory)
            self._complete(directory).touch()
        except FileNotFoundError:
            return  # deleted meanwhile
        log.info("recording_uploaded", recording_id=directory.name)

    async def _put(self, path: Path, kind: str) -> None:
        data = await asyncio.to_thread(path.read_bytes)
        await self._store.put(path.relative_to(self._dir).as_posix(), data, kind)

    async def _put_journal(self, directory: Path) -> int:
        try:
            data = await asyncio.to_thread(self._stored_journal, directory)
        except FileNotFoundError:
            return 0  # deleted meanwhile
        await self._store.put(f"{directory.name}/{self._node_id}.jsonl", data, _LINES)
        return len(data)

    def _stored_journal(self, directory: Path) -> bytes:
        """The journal without what is not in the store."""
        done = self._done.get(directory.name)
        if done is None:
            done = self._done[directory.name] = set(read_uploads(directory / f"{self._node_id}{UPLOADS_SUFFIX}"))
        data = (directory / f"{self._node_id}.jsonl").read_bytes()
        lines = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)
        return b"".join(line for line in lines if _is_said(line, done))

    def _complete(self, directory: Path) -> Path:
        """The file that says that nothing of this node's is left to upload."""
        return directory / f"{self._node_id}{COMPLETE_SUFFIX}"

    def _has_failed(self, why: str) -> None:
        if why != self.problem:
            log.error("recordings_not_uploaded", error=why, waiting_bytes=self._spool.size_bytes)
        self.problem = why
        self._failures += 1

    def _goes_on(self) -> None:
        if self.problem:
            log.warning("recordings_uploaded_again", waiting_bytes=self._spool.size_bytes)
        self.problem = ""
        self._failures = 0


def _is_said(line: bytes, done: set[tuple[str, str]]) -> bool:
    """Whether a line of a journal names nothing that the store has not."""
    if line.startswith(b'["'):  # most are segments that are in the store: these need not be decoded
        rendition, msn, _ = line[2:].split(b",", 2)
        if (rendition[:-1].decode(), f"{msn.decode()}.m4s") in done:
            return True
    (record,) = decode_lines(line)
    if not isinstance(record, StoredSegment | InitRecord) or not record.size_bytes:
        return True
    return (record.rendition, record.file) in done


def _append(path: Path, data: bytes) -> None:
    """Write whole lines after the last whole one: what a crash has torn must not spoil those that follow."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b") as file:
        file.truncate(_whole_bytes(file))
        file.seek(0, os.SEEK_END)
        file.write(data)
        file.flush()
        os.fdatasync(file.fileno())


def _whole_bytes(file: BinaryIO) -> int:
    """Where the last whole line of a file ends. A torn one is looked for from the end; there is seldom any."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _LOOK_BACK_BYTES)
        file.seek(start)
        if (found := file.read(end - start).rfind(b"\n")) >= 0:
            return start + found + 1
        end = start
    return 0


def _sheets(directory: Path) -> list[Path]:
    return sorted(directory.glob(f"{THUMBNAILS}/*.jpg"))

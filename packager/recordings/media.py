"""Where the media of a recording are read: from its directory, or from the object store."""

from __future__ import annotations

import os
from pathlib import Path

from packager.recordings.fragment_headers import FragmentHeader, fragment_headers
from packager.recordings.fragments import BadFile
from packager.recordings.object_store import ObjectStore, StoreError
from packager.recordings.records import StoredSegment
from packager.recordings.uploads import UPLOADS, Uploaded, read_uploads, unpack_headers


class RecordedMedia:
    """The files of one recording. Blocks on disk and store; raises `BadFile`, `FileNotFoundError`, `StoreError`."""

    def __init__(self, directory: Path, store: ObjectStore | None = None) -> None:
        self._directory = directory
        self._store = store
        self._uploads: dict[tuple[str, str], Uploaded] | None = None

    def headers(self, segment: StoredSegment) -> list[FragmentHeader]:
        """The fragments of a segment: as they were kept when it was uploaded, else from its file."""
        if self._store is not None and (kept := self._uploaded(segment.rendition, segment.file)):
            return unpack_headers(kept.headers)
        try:
            fd = os.open(self._path(segment.rendition, segment.file), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            if self._store is None:
                raise
            data = self.read(segment.rendition, segment.file, 0, segment.size_bytes)
            return list(fragment_headers(lambda at, size: data[at : at + size], len(data), segment.file))
        try:
            return list(fragment_headers(lambda at, size: os.pread(fd, size, at), segment.size_bytes, segment.file))
        finally:
            os.close(fd)

    def forget_headers(self) -> None:
        """Those that were kept are not needed any more."""
        self._uploads = None

    def read(self, rendition: str, file: str, start: int, size_bytes: int) -> bytes:
        """Some bytes of a file, at least one. Raises `BadFile` when it is shorter than it was."""
        try:
            with self._path(rendition, file).open("rb", buffering=0) as opened:
                opened.seek(start)
                piece = opened.read(size_bytes)
        except FileNotFoundError:
            if self._store is None:
                raise
            piece = self._store.read(f"{self._directory.name}/{rendition}/{file}", start, size_bytes)
        if not piece:
            raise BadFile(f"{file} is shorter than it was")
        return piece

    def _path(self, rendition: str, file: str) -> Path:
        return self._directory / rendition / file

    def _uploaded(self, rendition: str, file: str) -> Uploaded | None:
        if self._uploads is None:
            self._uploads = {}
            for path in self._directory.glob(UPLOADS):
                self._uploads |= read_uploads(path)
        found = self._uploads.get((rendition, file))
        return found if found is not None and found.headers else None


MEDIA_ERRORS = (BadFile, OSError, StoreError)
"""What reading may raise."""

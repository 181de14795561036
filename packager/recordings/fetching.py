"""Recordings that are in the object store and not here: their journals are fetched, their media stay there."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path, PurePosixPath

from packager.recordings.object_store import ObjectStore
from packager.recordings.recording import JOURNALS, Recording, read_recording
from packager.recordings.uploads import UPLOADS

COMPLETE_SUFFIX = ".complete"
"""Of an empty file beside a journal: all of it is in the store."""

TOMBSTONE_PREFIX = ".deleted-"
FETCHED_PREFIX = ".rec_"
"""Of directories beside the recordings, in which what is fetched lies until it is whole."""


def tombstone(directory: Path) -> Path:
    """Beside the directory of a recording that was deleted: it is there until the store has nothing of it any more."""
    return directory.with_name(f"{TOMBSTONE_PREFIX}{directory.name}")


async def fetch_journals(store: ObjectStore, directory: Path, *, only_closed: bool = False) -> None:
    """Fetch the journals that other nodes have stored and that are not in this directory. Raises `StoreError`.

    `only_closed`: none of them unless one says that the recording is closed. What was fetched is not fetched again.
    """
    found = await _journals(store, directory.name)
    missing = {name: data for name, data in found.items() if not (directory / name).exists()}
    if only_closed and not any(_is_over(name, data) for name, data in missing.items()):
        return
    for name, data in missing.items():
        temporary = directory / f".{name}.new"
        await asyncio.to_thread(temporary.write_bytes, data)
        temporary.rename(directory / name)


async def fetch_recording(store: ObjectStore, directory: Path) -> bool:
    """Fetch a closed recording of which nothing is here; whether there is one. Raises `StoreError`, `OSError`.

    One that was deleted here is none, even if the store still has it: it would stay when the store has not.
    """
    if tombstone(directory).exists():
        return False
    found = await _journals(store, directory.name)
    return bool(found) and await asyncio.to_thread(_lay, found, directory)


def _lay(files: dict[str, bytes], directory: Path) -> bool:
    """Write the files, as one, if they are a recording that is closed."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        for name, data in files.items():
            (temporary / name).write_bytes(data)
            if PurePosixPath(name).match(JOURNALS):
                (temporary / name).with_suffix(COMPLETE_SUFFIX).touch()
        if not any(temporary.glob(JOURNALS)) or not read_recording(temporary).is_over:
            return False
        temporary.chmod(0o755)
        try:
            temporary.rename(directory)
        except OSError:
            return directory.is_dir()  # somebody else was faster
        if tombstone(directory).exists():  # deleted meanwhile
            shutil.rmtree(directory, ignore_errors=True)
            return False
        return True
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _is_over(name: str, data: bytes) -> bool:
    if not PurePosixPath(name).match(JOURNALS):
        return False
    recording = Recording()
    recording.feed_lines(data)
    return recording.is_over


async def _journals(store: ObjectStore, recording_id: str) -> dict[str, bytes]:
    """What lies beside the media of a recording, by name."""
    names = [PurePosixPath(name) for name in await store.tops(f"{recording_id}/")]
    wanted = [name for name in names if name.match(JOURNALS) or name.match(UPLOADS)]
    bodies = await asyncio.gather(*(store.get(str(name)) for name in wanted))
    return {name.name: body for name, body in zip(wanted, bodies, strict=True)}

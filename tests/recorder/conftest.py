from __future__ import annotations

import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from config.settings import Settings
from recorder import left, recorder, teller
from recorder.session import RecordedSession
from recorder.storing import Disk
from streams.connection import open_redis
from streams.recordings import RecordingStore
from streams.store import StreamStore
from tests.recorder.helpers import RecordedWriter
from tests.recorder.place import Place
from tests.redis_server import RedisServer, redis_server


@pytest.fixture
def writer(tmp_path: Path) -> RecordedWriter:
    """A session that is to be recorded, without media yet."""
    return RecordedWriter(tmp_path / "media")


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "recordings", reserve_bytes=0)


@pytest.fixture
def session(writer: RecordedWriter, disk: Disk) -> Iterator[RecordedSession]:
    """A recorder of that session."""
    recorded = RecordedSession(writer.directory, disk, "node_a")
    yield recorded
    recorded.leave()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Disk]:
    """A file system of 256 KiB."""
    directory = tmp_path / "small"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(directory)], check=True)
    yield Disk(directory, reserve_bytes=0)
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    with redis_server() as started:
        yield started


@pytest_asyncio.fixture
async def place(redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    # What takes seconds so that nodes don't get in each other's way takes moments here.
    monkeypatch.setattr(left, "OTHERS_FIRST_S", 0.3)
    monkeypatch.setattr(teller, "_LEFT_EVERY_S", 0.1)
    monkeypatch.setattr(teller, "_RETENTION_EVERY_S", 0.1)
    monkeypatch.setattr(teller, "_UPDATE_S", 0.1)
    monkeypatch.setattr(teller, "_ROUND_S", 0.1)
    monkeypatch.setattr(recorder, "_QUIET_S", 0.5)
    monkeypatch.setattr(recorder, "_STALLED_POLL_S", 0.1)
    prefix = f"test-{secrets.token_hex(4)}:"
    settings = Settings(
        data_dir=tmp_path / "data",
        media_dir=tmp_path / "media",
        recordings_dir=tmp_path / "recordings",
        recording_reserve_mb=0,
        redis_prefix=prefix,
    )
    client = open_redis(redis.url)
    store = StreamStore(client, prefix)
    yield Place(settings, redis.url, store, RecordingStore(client, store.keys))
    await client.aclose()

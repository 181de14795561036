from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.session import RecordedSession
from recorder.storing import Disk
from tests.recorder.helpers import RecordedWriter


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

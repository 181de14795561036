"""Sessions in memory: let go when idle, gone or broken, and their inotify watches with them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from packager.live_sessions import LiveSessions, SessionGone
from tests.packager.helpers import EDGE_ID, SESSION_ID, Writer, until


@pytest.fixture
async def sessions(tmp_path: Path) -> AsyncIterator[LiveSessions]:
    sessions = LiveSessions(tmp_path, idle_s=0.02)
    sessions.start()
    yield sessions
    sessions.close()


def watches() -> int:
    """The inotify watches of this process, as the kernel counts them."""
    return sum(
        line.startswith("inotify wd:")
        for file in Path("/proc/self/fdinfo").iterdir()
        if file.exists()
        for line in file.read_text().splitlines()
    )


async def test_an_idle_session_is_let_go_with_its_watch(tmp_path: Path, sessions: LiveSessions) -> None:
    Writer(tmp_path).parts(1)
    before = watches()
    session = sessions.get(EDGE_ID, SESSION_ID)
    assert watches() == before + 1
    await until(lambda: watches() == before)
    assert sessions.get(EDGE_ID, SESSION_ID) is not session


async def test_a_session_with_a_held_request_is_not_idle(tmp_path: Path, sessions: LiveSessions) -> None:
    writer = Writer(tmp_path)
    writer.parts(1)
    session = sessions.get(EDGE_ID, SESSION_ID)
    assert not await session.wait_until(lambda now: False, 0.2)
    writer.parts(1)
    assert await session.wait_until(lambda now: now.renditions["720p"].last_part == (0, 1), 5)


async def test_a_journal_that_is_not_readable_leaves_no_watch(tmp_path: Path, sessions: LiveSessions) -> None:
    writer = Writer(tmp_path)
    before = watches()
    (writer.directory / "journal.jsonl").write_text("nonsense\n")
    with pytest.raises(SessionGone):
        sessions.get(EDGE_ID, SESSION_ID)
    assert watches() == before


async def test_a_directory_without_a_journal_leaves_no_watch(tmp_path: Path, sessions: LiveSessions) -> None:
    (tmp_path / EDGE_ID / SESSION_ID).mkdir(parents=True)
    before = watches()
    with pytest.raises(SessionGone):
        sessions.get(EDGE_ID, SESSION_ID)
    assert watches() == before


async def test_a_journal_that_breaks_ends_the_waits_of_that_session_alone(
    tmp_path: Path, sessions: LiveSessions
) -> None:
    writer = Writer(tmp_path)
    writer.parts(1)
    session = sessions.get(EDGE_ID, SESSION_ID)
    with (writer.directory / "journal.jsonl").open("ab") as file:
        file.write(b"nonsense\n")
    with pytest.raises(SessionGone):
        await session.wait_until(lambda now: False, 5)


async def test_after_the_end_nothing_is_loaded(tmp_path: Path) -> None:
    Writer(tmp_path).parts(1)
    sessions = LiveSessions(tmp_path)
    sessions.start()
    sessions.close()
    with pytest.raises(SessionGone):
        sessions.current(EDGE_ID)

"""inotify is a hint: what a request gets is what the journal says, whether or not the hint has come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from packager.journal import JournalReader
from packager.live_sessions import LiveSessions, SessionGone
from tests.packager.helpers import EDGE_ID, SESSION_ID, Writer


@pytest.fixture
async def unhinted(tmp_path: Path) -> AsyncIterator[LiveSessions]:
    """Sessions whose inotify events nobody reads."""
    sessions = LiveSessions(tmp_path)
    yield sessions
    sessions.close()


async def test_a_request_sees_what_was_just_published(tmp_path: Path, unhinted: LiveSessions) -> None:
    writer = Writer(tmp_path)
    for part in range(3):
        writer.parts(1)
        session = unhinted.get(EDGE_ID, SESSION_ID)
        assert session.presentation.renditions["720p"].last_part == (0, part)
    version = session.version
    assert unhinted.get(EDGE_ID, SESSION_ID).version == version, "a journal that has not changed is not read again"


async def test_a_request_sees_that_the_session_is_gone(tmp_path: Path, unhinted: LiveSessions) -> None:
    writer = Writer(tmp_path)
    writer.parts(1)
    unhinted.get(EDGE_ID, SESSION_ID)
    (writer.directory / "journal.jsonl").unlink()
    with pytest.raises(SessionGone):
        unhinted.get(EDGE_ID, SESSION_ID)


async def test_a_request_releases_those_who_wait_for_the_same(tmp_path: Path, unhinted: LiveSessions) -> None:
    writer = Writer(tmp_path)
    writer.parts(1)
    session = unhinted.get(EDGE_ID, SESSION_ID)

    async def publish_and_ask() -> None:
        writer.parts(1)
        unhinted.get(EDGE_ID, SESSION_ID)

    asked = asyncio.create_task(publish_and_ask())
    assert await session.wait_until(lambda now: now.renditions["720p"].last_part == (0, 1), 10)
    await asked


def test_news_are_growth_rewriting_and_removal(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    reader = JournalReader(path)
    assert reader.has_news()
    path.write_bytes(b'{"type":"end"}\n')
    assert reader.has_news()
    reader.poll()
    assert not reader.has_news()
    with path.open("ab") as file:
        file.write(b'{"ty')
    assert reader.has_news()
    rewritten = tmp_path / "other"
    rewritten.write_bytes(b'{"type":"end"}\n')
    reader.poll()
    rewritten.rename(path)
    assert reader.has_news()
    path.unlink()
    assert reader.has_news()

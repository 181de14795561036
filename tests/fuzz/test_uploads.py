"""Whatever is sent, a session ends its own connection with a reason, or goes on; nothing else is raised."""

from __future__ import annotations

import asyncio
import random
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from config.session import Failed, Message, SessionSpec
from tests.fuzz.corpus import Upload, mutated, originals
from transcode.ladder_session import LadderSession
from transcode.passthrough_session import PassthroughSession
from transcode.source import SessionClock, Source
from transcode.units import BadMedia, UnsupportedCodec

DEMUXED = 2000
PASSED_THROUGH = 600
ENCODED = 40


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> list[Upload]:
    return originals(tmp_path_factory.mktemp("originals"))


def feed(session: Any, upload: Upload, seed: int) -> str:
    """Send it in pieces of any size. How it went: `taken`, or the kind of the refusal."""
    chance = random.Random(seed)
    at = 0
    while at < len(upload.data):
        size_bytes = chance.choice((1, 7, 188, 1316, 4096, 65536))
        try:
            fed = session.feed(memoryview(upload.data)[at : at + size_bytes])
            if fed is not None:
                for _ in fed:
                    pass
        except (BadMedia, UnsupportedCodec) as refusal:
            assert str(refusal)
            return "bad media" if isinstance(refusal, BadMedia) else "unsupported codec"
        at += size_bytes
    return "taken"


def spec_of(directory: Path, number: int, quality: str) -> SessionSpec:
    return SessionSpec(
        stream_id=f"ls_{number}", edge_id=f"lse_{number}", session_id=f"se_{number}", quality=quality,
        low_latency=True, media_dir=str(directory), segment_s=2.0, part_s=0.333, window_s=60.0,
    )  # fmt: skip


def test_every_original_is_taken(uploads: list[Upload]) -> None:
    for upload in uploads:
        assert feed(Source(SessionClock(correct_drift=True), upload.container), upload, 0) == "taken", upload.name


def test_the_demuxers_raise_nothing_but_refusals(uploads: list[Upload]) -> None:
    outcomes = set()
    for number, upload in enumerate(mutated(uploads, DEMUXED)):
        source = Source(SessionClock(correct_drift=True), upload.container)
        try:
            outcomes.add(feed(source, upload, number))
        except Exception as error:
            raise AssertionError(upload.name) from error
    assert outcomes >= {"taken", "bad media", "unsupported codec"}


def test_passthrough_raises_nothing_but_refusals(uploads: list[Upload], tmp_path: Path) -> None:
    before = threading.enumerate()
    for number, upload in enumerate(mutated(uploads, PASSED_THROUGH, seed=2)):
        told: list[Message] = []
        session = PassthroughSession(spec_of(tmp_path, number, "passthrough"), told.append)
        session.connected(upload.container)
        try:
            feed(session, upload, number)
            session.disconnected()
            session.end()
        except Exception as error:
            raise AssertionError(upload.name) from error
        assert not [message for message in told if isinstance(message, Failed)]
        shutil.rmtree(tmp_path / f"lse_{number}", ignore_errors=True)
    # The thread that decodes keyframes is one for all sessions, and stays.
    left = [thread.name for thread in threading.enumerate() if thread not in before]
    assert [name for name in left if name != "thumbnails_0"] == []


async def test_a_ladder_fails_for_no_upload(uploads: list[Upload], tmp_path: Path) -> None:
    before = threading.enumerate()
    for number, upload in enumerate(mutated(uploads, ENCODED, seed=3)):
        told: list[Message] = []
        session = LadderSession(spec_of(tmp_path, number, "standard"), told.append)
        session.connected(upload.container)
        try:
            await asyncio.to_thread(feed, session, upload, number)
            session.disconnected()
            await asyncio.to_thread(session.end)
        except Exception as error:
            raise AssertionError(upload.name) from error
        assert not [message for message in told if isinstance(message, Failed)], (upload.name, told)
        shutil.rmtree(tmp_path / f"lse_{number}", ignore_errors=True)
    # The loop's own helpers stay; what sessions started is gone.
    left = [thread.name for thread in threading.enumerate() if thread not in before]
    assert [name for name in left if not name.startswith("asyncio_")] == []

"""The files of sessions that are over: gone at once, but for those that the recorder still needs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from config.session import RECORDED_FILE
from ingest.session_files import JOURNAL, remove_left, remove_session

EDGE = "lse_" + "e" * 26


def session_dir(media_dir: Path, number: int, first_line: str) -> Path:
    directory = media_dir / EDGE / f"se_{number:026d}"
    directory.mkdir(parents=True)
    (directory / JOURNAL).write_text(first_line + "\n")
    return directory


RECORDED = '{"type":"session","recording":true}'


async def test_a_session_that_is_recorded_is_kept_until_the_recorder_is_done(tmp_path: Path) -> None:
    directory = session_dir(tmp_path, 1, RECORDED)
    removal = asyncio.create_task(remove_session(directory, lambda: False))
    done, _ = await asyncio.wait({removal}, timeout=0.6)
    assert not done and directory.is_dir()
    (directory / RECORDED_FILE).touch()
    await asyncio.wait_for(removal, 5)
    assert not directory.exists()


async def test_a_recorder_that_does_not_come_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    directory = session_dir(tmp_path, 1, RECORDED)
    await asyncio.wait_for(remove_session(directory, lambda: False, wait_s=0.3), 5)
    assert not directory.exists()


async def test_a_session_that_has_come_back_keeps_its_files(tmp_path: Path) -> None:
    directory = session_dir(tmp_path, 1, RECORDED)
    await asyncio.wait_for(remove_session(directory, lambda: True), 5)
    assert directory.is_dir()


@pytest.mark.parametrize("first_line", ['{"type":"session","recording":false}', '{"type":"session"}', "torn", "[]", ""])
async def test_what_is_not_recorded_goes_at_once(tmp_path: Path, first_line: str) -> None:
    directory = session_dir(tmp_path, 1, first_line)
    await asyncio.wait_for(remove_session(directory, lambda: False), 5)
    assert not directory.exists()


def test_a_new_run_leaves_what_the_last_one_has_not_recorded(tmp_path: Path) -> None:
    needed, done = session_dir(tmp_path, 1, RECORDED), session_dir(tmp_path, 2, RECORDED)
    other = session_dir(tmp_path, 3, '{"type":"session"}')
    (done / RECORDED_FILE).touch()
    assert remove_left(tmp_path / EDGE) == [needed]
    assert needed.is_dir() and not done.exists() and not other.exists()
    (needed / RECORDED_FILE).touch()
    assert remove_left(tmp_path / EDGE) == [] and not (tmp_path / EDGE).exists()

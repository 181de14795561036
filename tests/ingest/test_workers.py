"""Real worker processes: who shares one, what is heard of one that dies, and that all of them end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psutil
import pytest_asyncio
from structlog.testing import capture_logs

from config.session import Ended, Failed, SessionSpec
from ingest.workers import WORKER_DIED, Report, Worker, WorkerPool
from tests.ingest.fakes import wait_until


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool()
    await pool.start()
    yield pool
    await pool.close()


class Session:
    """A session of a worker and what the worker says of it."""

    def __init__(self, worker: Worker, media_dir: Path, session_id: str, quality: str = "standard") -> None:
        self.worker = worker
        self.session_id = session_id
        self.reports: asyncio.Queue[Report] = asyncio.Queue()
        spec = SessionSpec(
            stream_id="ls_test",
            edge_id="lse_test",
            session_id=session_id,
            quality=quality,
            low_latency=True,
            media_dir=str(media_dir),
            segment_s=2.0,
            part_s=0.333,
            window_s=60.0,
        )
        worker.open(spec, self.reports.put_nowait)

    async def report(self) -> Report:
        return await asyncio.wait_for(self.reports.get(), 10)


async def test_passthrough_sessions_that_begin_at_once_share_a_worker(pool: WorkerPool) -> None:
    assert len(set(await asyncio.gather(*(pool.worker_for("passthrough") for _ in range(4))))) == 1


async def test_ladder_sessions_have_a_worker_each_and_passthrough_sessions_share_one(
    pool: WorkerPool, tmp_path: Path
) -> None:
    ladder = [await pool.worker_for("standard"), await pool.worker_for("high")]
    first = await pool.worker_for("passthrough")
    session = Session(first, tmp_path, "se_1", "passthrough")
    shared = await pool.worker_for("passthrough")
    other = Session(shared, tmp_path, "se_2", "passthrough")
    assert shared is first and first.session_count == 2
    assert len({worker.pid for worker in [*ladder, first]}) == 3
    first.end(session.session_id)
    assert await session.report() == Ended(session_id="se_1")
    pool.release(first)
    assert await pool.worker_for("passthrough") is first, "it hosts another session still"
    first.end(other.session_id)
    assert await other.report() == Ended(session_id="se_2")
    pool.release(first)
    assert await pool.worker_for("passthrough") is not first


async def test_each_session_of_a_killed_worker_hears_of_it_once(pool: WorkerPool, tmp_path: Path) -> None:
    worker = await pool.worker_for("passthrough")
    sessions = [Session(worker, tmp_path, f"se_{index}", "passthrough") for index in range(3)]
    with capture_logs() as logs:
        worker.kill()
        for session in sessions:
            report = await session.report()
            assert isinstance(report, Failed) and report.code == WORKER_DIED
            assert report.session_id == session.session_id and session.reports.empty()
        await asyncio.wait_for(worker.exited.wait(), 10)
        await wait_until(lambda: _any(logs), lambda: "the log line")
    assert [line["exit_code"] for line in logs if line["event"] == "worker_died"] == [-signal.SIGKILL]
    pool.release(worker)
    pool.give_up(worker, "se_0")
    worker.connect("se_0", "1", "flv").close()
    assert await pool.worker_for("passthrough") is not worker


async def test_a_worker_that_ended_leaves_no_open_file(pool: WorkerPool, tmp_path: Path) -> None:
    async def one_session(number: int) -> None:
        worker = await pool.worker_for("standard")
        session = Session(worker, tmp_path, f"se_{number}")
        worker.connect(session.session_id, "1", "flv").close()
        worker.end(session.session_id)
        assert await session.report() == Ended(session_id=session.session_id)
        pool.release(worker)
        await asyncio.wait_for(worker.exited.wait(), 10)

    await one_session(0)
    before = psutil.Process().num_fds()
    for number in range(1, 4):
        await one_session(number)
    assert psutil.Process().num_fds() == before


async def test_close_ends_a_worker_that_hangs(tmp_path: Path) -> None:
    pool = WorkerPool()
    await pool.start()
    worker = await pool.worker_for("standard")
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    await asyncio.wait_for(pool.close(timeout_s=0.05), 10)
    await asyncio.wait_for(worker.exited.wait(), 10)
    assert not psutil.pid_exists(worker.pid)


async def _any(logs: Sequence[object]) -> bool:
    return bool(logs)

"""Real worker processes: who shares one, what is heard of one that dies, and that all of them end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psutil
import pytest
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


async def test_a_worker_that_nobody_waits_for_any_more_is_not_left_behind() -> None:
    """Else the server process, which ends after its last worker, would never end."""
    pool = WorkerPool()
    await pool.start()
    asking = asyncio.create_task(pool.worker_for("standard"))
    for _ in range(5):
        await asyncio.sleep(0)  # until a thread has begun
    # The loop stands still until that thread has forked the worker, so that the cancellation comes before the news.
    while not any(server.children() for server in psutil.Process().children()):
        os.sched_yield()
    asking.cancel()
    async with asyncio.timeout(10):
        await pool.close()
    assert asking.cancelled()


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


async def test_a_worker_that_hangs_is_killed_and_its_sessions_hear_of_it(tmp_path: Path) -> None:
    pool = WorkerPool(ping_s=0.1, pings_unanswered=20)
    await pool.start()
    try:
        well, hangs = await pool.worker_for("standard"), await pool.worker_for("passthrough")
        session = Session(hangs, tmp_path, "se_1", "passthrough")
        for pinged in (True, False):

            async def told(pinged: bool = pinged) -> bool:
                return (hangs.unanswered_pings > 0) is pinged

            await wait_until(told, lambda: f"{hangs.unanswered_pings} unanswered pings")
        os.kill(hangs.pid, signal.SIGSTOP)
        report = await session.report()
        assert isinstance(report, Failed) and report.code == WORKER_DIED
        await asyncio.wait_for(hangs.exited.wait(), 10)
        assert not well.exited.is_set() and psutil.pid_exists(well.pid)
        assert await pool.worker_for("passthrough") is not hangs
    finally:
        await pool.close()


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


async def test_sessions_outlive_the_server_process_and_new_ones_get_another(pool: WorkerPool, tmp_path: Path) -> None:
    before = await pool.worker_for("standard")
    server = psutil.Process(before.pid).parent()
    assert server is not None and server.pid != os.getpid()
    server.kill()
    await wait_until(lambda: _gone(server), lambda: "the server process to die")
    after = await pool.worker_for("standard")
    for worker in (before, after):
        session = Session(worker, tmp_path, f"se_{worker.pid}")
        worker.end(session.session_id)
        assert await session.report() == Ended(session_id=session.session_id)
    process = psutil.Process(before.pid)
    pool.release(before)
    await asyncio.wait_for(before.exited.wait(), 10)
    await wait_until(lambda: _gone(process), lambda: "the worker to end")


NODE_ID = "node_test_workers"


def leave_alone(worker: Worker) -> None:
    """What a worker sees when its ingest process is killed."""
    asyncio.get_running_loop().remove_reader(worker._control)
    worker._control.close()


async def test_workers_outlive_ingest_and_are_adopted_by_the_next(tmp_path: Path) -> None:
    left, pool = WorkerPool(NODE_ID), WorkerPool(NODE_ID)
    await left.start()
    ladder, shared = await left.worker_for("standard"), await left.worker_for("passthrough")
    first = Session(ladder, tmp_path, "se_1")
    second, third = Session(shared, tmp_path, "se_2", "passthrough"), Session(shared, tmp_path, "se_3", "passthrough")
    media = ladder.connect(first.session_id, "1", "flv")
    # An answer says that the worker has seen all that came before it.
    for worker in (ladder, shared):
        ended = Session(worker, tmp_path, f"se_ended_{worker.pid}", "passthrough")
        worker.end(ended.session_id)
        await ended.report()
    for worker in (ladder, shared):
        leave_alone(worker)
    media.close()
    hosted = await pool.adopt()
    assert {session_id: hosting.was_connected for session_id, (_, hosting) in hosted.items()} == {
        first.session_id: True,
        second.session_id: False,
        third.session_id: False,
    }
    workers = {worker.pid: worker for worker, _ in hosted.values()}
    assert workers.keys() == {ladder.pid, shared.pid}
    assert (await pool.worker_for("passthrough")).pid == shared.pid
    assert await WorkerPool("node_other").adopt() == {}
    reports: asyncio.Queue[Report] = asyncio.Queue()
    workers[ladder.pid].take_up(first.session_id, reports.put_nowait)
    workers[ladder.pid].connect(first.session_id, "2", "flv").close()
    workers[ladder.pid].end(first.session_id)
    assert await asyncio.wait_for(reports.get(), 10) == Ended(session_id=first.session_id)
    await pool.close()
    assert not any(psutil.pid_exists(pid) for pid in workers if pid)
    assert await WorkerPool(NODE_ID).adopt() == {}


async def test_a_worker_that_nobody_adopts_ends(tmp_path: Path) -> None:
    pool = WorkerPool(NODE_ID, alone_s=0.2)
    await pool.start()
    worker = await pool.worker_for("standard")
    Session(worker, tmp_path, "se_1")
    assert worker.pid is not None
    process = psutil.Process(worker.pid)
    leave_alone(worker)
    await wait_until(lambda: _gone(process), lambda: "the worker to end")


async def test_a_worker_that_hangs_is_not_adopted_but_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.adoption._ANSWER_S", 0.1)
    pool = WorkerPool(NODE_ID)
    await pool.start()
    worker = await pool.worker_for("standard")
    Session(worker, tmp_path, "se_1")
    assert worker.pid is not None
    process = psutil.Process(worker.pid)
    await wait_until(lambda: _listens(NODE_ID), lambda: "the worker to listen")
    process.suspend()
    assert await WorkerPool(NODE_ID).adopt() == {}
    await wait_until(lambda: _gone(process), lambda: "the worker to be killed")


async def _listens(node_id: str) -> bool:
    return f"@antlive/{node_id}/worker/" in await asyncio.to_thread(Path("/proc/net/unix").read_text)


async def _gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def _any(logs: Sequence[object]) -> bool:
    return bool(logs)

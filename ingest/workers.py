"""Session workers: processes that ingest starts, talks to over one control socket each, and outlives.

Ladder sessions have a worker each; passthrough sessions, which need no codec, share one. Workers are forked from a
server process that has loaded what they need, so a worker is ready within milliseconds.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Mapping

import structlog

from config.ladders import LADDERS, Ladder
from config.limits import LIMITS
from config.logs import LogStyle
from config.session import (
    MAX_PACKET_BYTES,
    Checkpoint,
    Connect,
    Container,
    Drop,
    End,
    Ended,
    Failed,
    Health,
    Hosted,
    Hosting,
    Live,
    Message,
    Note,
    Open,
    Ping,
    Pong,
    SessionSpec,
    Stats,
    decode_message,
    encode_message,
)
from ingest.adoption import adopt_workers
from ingest.fork_server import Request
from ingest.forks import Forks
from ingest.worker_process import LADDER_MODULE, WORKER_MODULE, WorkerProcess, run_measurement, run_worker

log = structlog.get_logger()

Report = Live | Failed | Ended | Note | Health | Stats | Checkpoint
OnReport = Callable[[Report], None]

WORKER_DIED = "worker_died"
"""The code of the `Failed` that stands for a worker's death. Every other `Failed` is followed by an `Ended`."""

_SHARED_QUALITY = "passthrough"
SEND_BUFFER_BYTES = 1024 * 1024


class Worker:
    """One worker process and the sessions it hosts."""

    def __init__(self, process: WorkerProcess, control: socket.socket, on_exit: Callable[[Worker], None]) -> None:
        self.pid = process.pid
        self.exited = asyncio.Event()
        self.crash = ""
        """What it left behind when it crashed: where in the program that was."""
        self._process = process
        self._control = control
        self._on_exit = on_exit
        self._reports: dict[str, OnReport] = {}
        self._loop = asyncio.get_running_loop()
        control.setblocking(False)
        self._loop.add_reader(control, self.read_reports)
        self._gone = False
        self.unanswered_pings = 0

    @property
    def session_count(self) -> int:
        """How many sessions it hosts."""
        return len(self._reports)

    def open(self, spec: SessionSpec, on_report: OnReport, checkpoint: Checkpoint | None = None) -> None:
        """Host a session, and go on with it if another worker has begun it; `checkpoint` if that was on another node.

        Its reports, and a `Failed` if the worker dies, go to `on_report`.
        """
        self._reports[spec.session_id] = on_report
        self._send(Open(spec=spec, checkpoint=checkpoint))

    def take_up(self, session_id: str, on_report: OnReport) -> None:
        """A session that it hosts already: its reports go to `on_report` from now on."""
        self._reports[session_id] = on_report

    def connect(self, session_id: str, connection_id: str, container: Container) -> socket.socket:
        """A media socket for a new encoder connection; write a `container` to it, close it at the end."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        message = Connect(session_id=session_id, connection_id=connection_id, container=container)
        try:
            socket.send_fds(self._control, [encode_message(message)], [theirs.fileno()])
        except OSError as error:
            log.warning("worker_unreachable", pid=self.pid, error=str(error))
        finally:
            theirs.close()
        return ours

    def end(self, session_id: str) -> None:
        """End the session; `Ended` comes when its last byte is written."""
        self._send(End(session_id=session_id))

    def drop(self, session_id: str) -> None:
        """Stop the session without an end of its playlists; `Ended` comes when that is done."""
        self._send(Drop(session_id=session_id))

    def ping(self) -> None:
        """Ask whether it is there: `unanswered_pings` grows until it says so."""
        self.unanswered_pings += 1
        self._send(Ping())

    def forget(self, session_id: str) -> None:
        """The session is none of ours any more, whatever the worker thinks."""
        self._reports.pop(session_id, None)

    def stop(self) -> None:
        """Ask the process to end, if it is still there."""
        if not self._gone:
            self._process.terminate()

    def kill(self) -> None:
        """End the process now, if it is still there."""
        if not self._gone:
            self._process.kill()

    async def reap(self) -> int | None:
        """Wait for the end of the process and free what the system keeps of it. Returns its exit code if known."""
        code = await asyncio.to_thread(self._process.wait)
        self.crash = self._process.crash_text()
        await asyncio.to_thread(self._process.close)
        self.exited.set()
        return code

    def read_reports(self) -> None:
        """Take in all that the worker has said so far."""
        while not self._gone:
            try:
                packet = self._control.recv(MAX_PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if packet:
                self._on_packet(packet)
            else:
                self._lost()

    def _send(self, message: Message) -> None:
        try:
            self._control.send(encode_message(message))
        except OSError as error:
            # A dead worker is noticed by its control socket's end of file.
            log.warning("worker_unreachable", pid=self.pid, error=str(error))

    def _on_packet(self, packet: bytes) -> None:
        message = decode_message(packet)
        if isinstance(message, Pong):
            self.unanswered_pings = 0
            return
        if isinstance(message, Open | Connect | End | Drop | Hosting | Hosted | Ping):
            raise ValueError(f"a worker sent {message.type!r}")
        on_report = self._reports.get(message.session_id)
        if isinstance(message, Ended):
            self._reports.pop(message.session_id, None)
        if on_report is not None:
            on_report(message)

    def _lost(self) -> None:
        if self._gone:
            return
        self._gone = True
        self._loop.remove_reader(self._control)
        self._control.close()
        reports, self._reports = self._reports, {}
        for session_id, on_report in reports.items():
            message = f"the session worker (pid {self.pid}) died"
            on_report(Failed(session_id=session_id, code=WORKER_DIED, message=message))
        self._on_exit(self)


class WorkerPool:
    """Starts workers and gives each session its worker. With a `node_id` the next run of this node can adopt them."""

    def __init__(
        self,
        node_id: str = "",
        alone_s: float = LIMITS.worker_without_ingest_s,
        ping_s: float = LIMITS.worker_ping_s,
        pings_unanswered: int = LIMITS.worker_pings_unanswered,
        logs: LogStyle = LogStyle(),  # noqa: B008 (frozen)
        ladders: Mapping[str, Ladder] = LADDERS,
        forks: Forks | None = None,
    ) -> None:
        self._logs = logs
        self._ladders = dict(ladders)
        self._node_id = node_id
        self._ping_s = ping_s
        self._pings_unanswered = pings_unanswered
        self._watching: asyncio.TimerHandle | None = None
        self._alone_s = alone_s
        self._forks = forks or Forks()
        self._workers: set[Worker] = set()
        self._shared: Worker | None = None
        self._sharing = asyncio.Lock()
        self._forking: set[asyncio.Task[Worker]] = set()
        self._reaping: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start the server process, so that the first session doesn't wait for it."""
        await asyncio.to_thread(self._forks.ensure_running)
        self._watch()

    async def measure(self, cores: int) -> float:
        """Millions of pixels that a core encodes in a second of its time, measured in a process beside the workers.

        Raises `OSError` or `EOFError` when that fails.
        """
        answer, its_answer = os.pipe()
        with os.fdopen(answer) as reader:
            try:
                forked = await asyncio.to_thread(self._forks.run, Request(run_measurement, (cores,)), [its_answer])
            finally:
                os.close(its_answer)
            try:
                text = await asyncio.to_thread(reader.read)
            finally:
                forked.close()
        if not text:
            raise EOFError("it ended without an answer")
        return float(text)

    async def adopt(self) -> dict[str, tuple[Worker, Hosting]]:
        """Take over the workers that a previous run has left: their sessions by id."""
        hosted: dict[str, tuple[Worker, Hosting]] = {}
        for adopted in await asyncio.to_thread(lambda: list(adopt_workers(self._node_id))):
            worker = Worker(adopted.process, adopted.control, self._exited)
            self._workers.add(worker)
            hosted |= {hosting.session_id: (worker, hosting) for hosting in adopted.sessions}
            if any(hosting.quality == _SHARED_QUALITY for hosting in adopted.sessions):
                self._shared = worker
            log.warning("worker_adopted", pid=worker.pid, sessions=len(adopted.sessions))
        return hosted

    async def worker_for(self, quality: str) -> Worker:
        """A worker for a new session of this quality."""
        if quality != _SHARED_QUALITY:
            return await self._spawn(shares=LADDER_MODULE)
        async with self._sharing:
            if self._shared is None:
                self._shared = await self._spawn()
            return self._shared

    def release(self, worker: Worker) -> None:
        """A session of this worker is over: a worker without any is let go."""
        if worker.session_count == 0:
            if worker is self._shared:
                self._shared = None
            worker.stop()

    def give_up(self, worker: Worker, session_id: str) -> None:
        """The worker did not end this session in its time: it is killed once no other session needs it."""
        worker.forget(session_id)
        if worker.session_count == 0:
            worker.kill()

    async def close(self, timeout_s: float = 1.0) -> None:
        """End all workers; those that don't go within `timeout_s` are killed."""
        if self._watching is not None:
            self._watching.cancel()
        # The server process ends only after the last of its workers: one that is being forked counts.
        await asyncio.gather(*self._forking, return_exceptions=True)
        workers = list(self._workers)
        for worker in workers:
            worker.stop()
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*(worker.exited.wait() for worker in workers))
        except TimeoutError:
            for worker in workers:
                worker.kill()
            # The server process, which ends next, is the one that learns their exit codes.
            await asyncio.gather(*(worker.exited.wait() for worker in workers))
        await asyncio.to_thread(self._forks.stop)

    def _watch(self) -> None:
        """Kill the workers that hang: others go on with their sessions, as with those of any that dies.

        Pings are counted, not seconds: a machine that was paused finds none unanswered.
        """
        for worker in list(self._workers):
            if worker.unanswered_pings >= self._pings_unanswered:
                log.error("worker_hangs", pid=worker.pid, sessions=worker.session_count)
                worker.kill()
            else:
                worker.ping()
        self._watching = asyncio.get_running_loop().call_later(self._ping_s, self._watch)

    async def _spawn(self, shares: str = WORKER_MODULE) -> Worker:
        try:
            return await self._fork(shares)
        except (OSError, EOFError) as error:
            # The server process may have died under it; another one is started by the next try.
            log.warning("worker_not_forked", error=f"{type(error).__name__}: {error}")
            return await self._fork(shares)

    async def _fork(self, shares: str) -> Worker:
        """A new worker. A caller that is cancelled meanwhile leaves none behind: forking goes on to its end."""
        task = asyncio.get_running_loop().create_task(self._start_process(shares))
        self._forking.add(task)
        task.add_done_callback(self._forking.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._unwanted)
            raise

    def _unwanted(self, task: asyncio.Task[Worker]) -> None:
        if (error := task.exception()) is None:
            self.release(task.result())
        else:
            log.warning("worker_not_forked", error=f"{type(error).__name__}: {error}")

    async def _start_process(self, shares: str) -> Worker:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        crash, its_crash = socket.socketpair()
        files = [theirs.fileno(), its_crash.fileno()]
        arguments = (self._node_id, self._alone_s, self._ladders, self._logs)
        request = Request(run_worker, arguments, shares)
        try:
            forked = await asyncio.to_thread(self._forks.run, request, files)
            process = WorkerProcess(forked.pid, forked, crash)
        except (OSError, EOFError):
            ours.close()
            crash.close()
            raise
        finally:
            theirs.close()
            its_crash.close()
        worker = Worker(process, ours, self._exited)
        self._workers.add(worker)
        return worker

    def _exited(self, worker: Worker) -> None:
        if worker is self._shared:
            self._shared = None
        task = asyncio.get_running_loop().create_task(self._reap(worker))
        self._reaping.add(task)
        task.add_done_callback(self._reaping.discard)

    async def _reap(self, worker: Worker) -> None:
        code = await worker.reap()
        self._workers.discard(worker)
        if code not in (0, -signal.SIGTERM, None):
            log.error("worker_died", pid=worker.pid, exit_code=code, crash=worker.crash or None)

"""`antlive serve`: Redis, ingest and web on this machine, in the foreground, as child processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import structlog
from redis.exceptions import RedisError

from antlive.children import Child, StartFailed
from antlive.embedded_redis import redis_child, wait_for_redis
from antlive.forks import Forks
from antlive.listener import listen_http, listen_problem
from antlive.node import NodeFiles
from antlive.node_locks import DirectoryBusy, DirectoryUnusable, lock_data_dir, lock_media_dir, usable
from antlive.ready_stream import ReadyStream, ready_stream
from antlive.role_child import RoleChild
from antlive.signals import StopSignals
from antlive.welcome import welcome
from config.logs import LogStyle, configure_logs
from config.settings import Settings
from streams.api_keys import DEFAULT_ENVIRONMENT
from streams.connection import open_redis
from streams.problems import problem_of
from streams.store import StreamStore

log = structlog.get_logger()

RUN_FILE = "serve.json"
_TEMPORARY_MAX_CHARACTERS = 60
_LONG_LIFE_S = 5.0
_RESTART_DELAY_S = 0.5
_RESTART_DELAY_MAX_S = 4.0
_AFTER_DRAIN_S = 3.0
_TEMPORARY_PREFIX = "antlive-"
_LAST = frozenset({"recorder", "redis"})


def serve(settings: Settings) -> int:
    """Run until Ctrl-C. Returns the exit code: 1 when something did not come up, with one line that says what."""
    configure_logs("serve", LogStyle(settings.log_format, settings.log_level))
    files = NodeFiles(settings.data_dir)
    with ExitStack() as locks:
        try:
            usable("DATA_DIR", settings.data_dir)
            locks.callback(os.close, lock_data_dir(settings.data_dir))
            usable("MEDIA_DIR", settings.effective_media_dir)
            locks.callback(os.close, lock_media_dir(settings.effective_media_dir, files.node_id()))
        except (DirectoryBusy, DirectoryUnusable) as error:
            print(f"antlive: {error}", file=sys.stderr)
            return 1
        _remove_leftovers(files)
        temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY_PREFIX))
        try:
            # Before there is an event loop.
            forks = Forks()
            return asyncio.run(Supervisor(settings, files, temporary, forks).run())
        except KeyboardInterrupt:  # before that was the supervisor's business
            return 0
        finally:
            for number in _stop_signals():
                signal.signal(number, signal.SIG_IGN)  # one more Ctrl-C would leave the rest behind
            files.remove(RUN_FILE)
            shutil.rmtree(temporary, ignore_errors=True)
            if settings.media_dir is None:
                shutil.rmtree(settings.effective_media_dir, ignore_errors=True)


def _remove_leftovers(files: NodeFiles) -> None:
    """What a run that was killed could not remove itself."""
    left = files.read_json(RUN_FILE)
    if left is not None and (path := Path(str(left.get("temporary")))).name.startswith(_TEMPORARY_PREFIX):
        shutil.rmtree(path, ignore_errors=True)


def _stop_signals() -> list[signal.Signals]:
    """Ctrl-C, `kill`, and the end of the terminal unless it is to be outlived (`nohup`)."""
    outlives_terminal = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM] + ([] if outlives_terminal else [signal.SIGHUP])


class Supervisor:
    """Starts the children in order, restarts one that dies, stops all in reverse order."""

    def __init__(self, settings: Settings, files: NodeFiles, temporary: Path, forks: Forks) -> None:
        self._settings = settings
        self._forks = forks
        self._files = files
        self._temporary = temporary
        self._socket_path = temporary / "redis.sock"
        self._embedded = settings.redis_url is None
        self._redis_url = settings.full_redis_url or f"unix://{self._socket_path}"
        self._children: list[Child] = []
        self._http: socket.socket | None = None

    async def run(self) -> int:
        """Start, serve until a signal, stop."""
        self._forks.follow()
        signals = StopSignals(_stop_signals(), gently=self._settings.drain_s > 0)
        watchers: dict[str, asyncio.Task[None]] = {}
        stop = asyncio.create_task(signals.begun.wait())
        try:
            if await self._started_before(stop):
                watchers = {child.name: asyncio.create_task(self._watch(child)) for child in self._children}
                await stop
                if not signals.at_once.is_set():
                    await self._drain(signals, watchers["ingest"])
        except (StartFailed, DirectoryUnusable) as error:
            print(f"antlive: {error}", file=sys.stderr)
            return 1
        finally:
            for watcher in watchers.values():
                watcher.cancel()
            await asyncio.gather(*watchers.values(), return_exceptions=True)
            stop.cancel()
            # The recorder goes after those whose last segments it records, Redis after all: they write their last
            # states to it.
            await asyncio.gather(*(child.stop() for child in self._children if child.name not in _LAST))
            await asyncio.gather(*(child.stop() for child in self._children if child.name != "redis"))
            await asyncio.gather(*(child.stop() for child in self._children))
            self._forks.close()
            if self._http is not None:
                self._http.close()
        return 0

    async def _drain(self, signals: StopSignals, watcher: asyncio.Task[None]) -> None:
        """Ingest goes first, and has its time; all else serves viewers meanwhile. A second signal ends that."""
        watcher.cancel()
        ingest = next(child for child in self._children if child.name == "ingest")
        stopping = asyncio.create_task(ingest.stop(within_s=self._settings.drain_s + _AFTER_DRAIN_S))
        if not await signals.unless_at_once(stopping):
            ingest.interrupt()

    async def _started_before(self, stop: asyncio.Task[Any]) -> bool:
        """Start everything; a Ctrl-C that comes first need not wait for that."""
        start = asyncio.create_task(self._start())
        await asyncio.wait((start, stop), return_when=asyncio.FIRST_COMPLETED)
        if not start.done():
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)
            return False
        await start
        return True

    async def _start(self) -> None:
        http = self._http = self._listen()
        # Ingest tells other nodes where the origin is, and starts before it.
        settings = self._settings_of_roles(http.getsockname()[1])
        redis: Child | None = None
        if self._embedded:
            redis = redis_child(self._forks, self._settings.data_dir, self._socket_path)
            self._children.append(redis)
            await redis.start()
        await wait_for_redis(self._redis_url, redis)
        stream = await self._prepare()
        # Ports given as 0 are settled by the first start; a restarted child takes the same ones again.
        environment = self._environment()
        web = RoleChild("web", self._forks, settings, environment, stop_s=3.0, http_fd=http.fileno())
        ingest = RoleChild("ingest", self._forks, settings, environment, stop_s=3.0)
        # Before ingest: what a run that was killed has left is recorded before ingest clears it away.
        recorder = RoleChild("recorder", self._forks, settings, environment, stop_s=3.0)
        self._children += [web, ingest, recorder]
        await recorder.start()
        await ingest.start()
        ports = ingest.ready
        web.settings = ingest.settings = settings.model_copy(update=ports)
        await web.start()
        http_port = web.ready["http_port"]
        run = {
            **ports,
            "http_port": http_port,
            "redis_url": self._redis_url,
            "pid": os.getpid(),
            "temporary": str(self._temporary),
        }
        self._files.write_json(RUN_FILE, run)
        made_api_key = None if self._settings.api_key else self._files.api_key()
        print(welcome(self._settings, stream, ports, http_port, made_api_key), flush=True)

    def _listen(self) -> socket.socket:
        try:
            return listen_http(self._settings)
        except OSError as error:
            raise StartFailed(listen_problem(self._settings, "HTTP_PORT", self._settings.http_port, error)) from error

    async def _prepare(self) -> ReadyStream:
        client = open_redis(self._redis_url)
        try:
            store = StreamStore(client, self._settings.redis_prefix)
            await store.add_api_key(DEFAULT_ENVIRONMENT, self._api_key)
            return await ready_stream(store, self._files, self._settings.reconnect_window_s)
        except RedisError as error:
            # It answers, and does not let us write: a replica, one whose memory is full, a user with fewer rights.
            raise StartFailed(f"cannot use Redis (ANTLIVE_REDIS_URL): {problem_of(error)}") from None
        finally:
            await client.aclose()

    async def _watch(self, child: Child) -> None:
        """Start a child again when it dies: at once, but one that dies early waits longer each time."""
        delay_s = 0.0
        while True:
            assert child.process is not None
            started_s = time.monotonic()
            code = await child.process.wait()
            lived_long = time.monotonic() - started_s > _LONG_LIFE_S
            delay_s = 0.0 if lived_long else min(_RESTART_DELAY_MAX_S, max(_RESTART_DELAY_S, 2 * delay_s))
            log.error("child_died", child=child.name, exit_code=code, restart_in_s=delay_s)
            await asyncio.sleep(delay_s)
            try:
                await child.start()
            except StartFailed as error:
                log.error("child_not_restarted", child=child.name, error=str(error))

    def _settings_of_roles(self, http_port: int) -> Settings:
        settled: dict[str, Any] = {"http_port": http_port, "media_dir": self._settings.effective_media_dir}
        if self._embedded:
            settled["redis_url"] = self._redis_url
        return self._settings.model_copy(update=settled)

    def _environment(self) -> dict[str, str]:
        """What a killed role leaves behind goes with the rest. Sockets lie in there, whose paths must be short."""
        is_short = len(str(self._temporary)) <= _TEMPORARY_MAX_CHARACTERS
        return {"TMPDIR": str(self._temporary)} if is_short else {}

    @property
    def _api_key(self) -> str:
        return self._settings.api_key or self._files.api_key()

"""A real Redis server of a test's own: on a unix socket in a temporary directory."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

START_TIMEOUT_S = 20.0


class RedisServer:
    """One redis-server process. It may be stopped and started again; what it held is gone then unless it `keeps` it."""

    def __init__(self, directory: Path, *, keeps: bool = False) -> None:
        self._directory = directory
        self._keeps = keeps
        self._socket = directory / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """`unix://…`, for `open_redis` and for the setting `redis_url`."""
        return f"unix://{self._socket}"

    def start(self) -> None:
        """Start the server and wait until it answers. Raises `RuntimeError` when it does not."""
        options = [
            "--port",
            "0",
            "--unixsocket",
            str(self._socket),
            "--save",
            "",
            "--appendonly",
            "yes" if self._keeps else "no",
        ]
        self._process = subprocess.Popen(
            ["redis-server", *options, "--dir", str(self._directory)], stdout=subprocess.DEVNULL
        )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        with Redis.from_url(self.url) as client:
            while not _answers(client):
                if self._process.poll() is not None or time.monotonic() > deadline_s:
                    self.stop()
                    raise RuntimeError(f"redis-server did not answer on {self._socket}")
                time.sleep(0.005)

    def freeze(self) -> None:
        """Let the server hang: connections are accepted by the system, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Stop the server at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._socket.unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("redis-server is not running")
        self._process.send_signal(number)


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisConnectionError:
        return False


@contextmanager
def redis_server(*, keeps: bool = False) -> Iterator[RedisServer]:
    """A started server; stopped, and its directory removed, at the end."""
    # Not pytest's own directory: the path of a unix socket is at most 107 bytes long.
    with tempfile.TemporaryDirectory(prefix="antlive-redis-") as directory:
        server = RedisServer(Path(directory), keeps=keeps)
        try:
            server.start()
            yield server
        finally:
            server.stop()

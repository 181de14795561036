"""The embedded Redis: a real redis-server on a Unix socket, its append-only file in the data directory."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Final

from redis.exceptions import RedisError

from antlive.children import Child, ProgramChild, StartFailed
from antlive.forks import Forks
from antlive.node_locks import told
from streams.connection import open_redis
from streams.problems import is_refused, problem_of

DIRECTORY = "redis"
"""Of its files, in the data directory."""
LOG_FILE = "redis.log"
"""In that directory."""
WAIT_S: Final = 5.0
WAIT_FOR_OWN_S: Final = 10.0
_LOOK_S: Final = 0.25
_LOOK_AT_OWN_S: Final = 0.02


def redis_child(forks: Forks, data_dir: Path, socket_path: Path) -> Child:
    """The child process.

    Raises `StartFailed` when no redis-server is installed, `DirectoryUnusable` when its files can't be written.
    """
    executable = shutil.which("redis-server")
    if executable is None:
        raise StartFailed("no redis-server on PATH: run `make setup`, or set ANTLIVE_REDIS_URL")
    directory = data_dir / DIRECTORY
    with told(directory):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)  # webhooks' secrets lie in there in clear
    command = [executable, "--port", "0", "--unixsocket", str(socket_path), "--unixsocketperm", "700"]
    command += ["--dir", str(directory.resolve()), "--appendonly", "yes", "--save", "", "--loglevel", "warning"]
    # What it has to say would only hide the welcome.
    command += ["--logfile", LOG_FILE]
    return ProgramChild("redis", forks, command, {"LC_ALL": "C"}, stop_s=1.5)


class RedisRefuses(StartFailed):
    """Redis answers, and does not let us in: no waiting mends that."""


async def wait_for_redis(url: str, child: Child | None = None, timeout_s: float = WAIT_S) -> None:
    """Return once the server, which may be a child of ours, answers a PING. Raises `StartFailed`.

    A child is waited for `WAIT_FOR_OWN_S`: it has its file to read.
    """
    timeout_s, look_s = (timeout_s, _LOOK_S) if child is None else (WAIT_FOR_OWN_S, _LOOK_AT_OWN_S)
    client = open_redis(url)
    problem = "no answer"
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    await client.ping()
                    return
                except (RedisError, OSError) as error:
                    problem = problem_of(error)
                    if is_refused(error):
                        raise RedisRefuses(f"cannot use Redis (ANTLIVE_REDIS_URL): {problem}") from None
                    code = child.process.returncode if child is not None and child.process is not None else None
                    if code is not None:
                        where = f"{DIRECTORY}/{LOG_FILE} in the data directory"
                        raise StartFailed(f"redis-server ended with exit code {code}: {where} says why") from None
                    await asyncio.sleep(look_s)
    except TimeoutError:
        text = f"cannot use Redis (ANTLIVE_REDIS_URL) within {timeout_s:g} s: {problem}"
        raise StartFailed(text) from None
    finally:
        await client.aclose()

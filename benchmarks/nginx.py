"""A real nginx of our own, as a peer and as an edge: one configuration file, one directory, gone at the end."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

_MAIN = """daemon off;
user {user};
worker_processes {workers};
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 8192; }}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{http}
}}
"""


class NginxFailed(RuntimeError):
    """nginx did not start. The message is what it said."""


@asynccontextmanager
async def running_nginx(directory: Path, http: str, *, workers: int = 1, user: str = "root") -> AsyncIterator[int]:
    """Run nginx with this text in its `http` block; yields its process id.

    `http` must listen on a Unix socket or a port of its own choosing. Raises `NginxFailed`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "nginx.conf"
    file.write_text(_MAIN.format(directory=directory, http=http, workers=workers, user=user))
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    command = [program, "-p", str(directory), "-e", str(directory / "error.log"), "-c", str(file)]
    check = await asyncio.create_subprocess_exec(*command, "-t", stderr=asyncio.subprocess.PIPE)
    _, said = await check.communicate()
    if check.returncode != 0:
        raise NginxFailed(said.decode())
    process = await asyncio.create_subprocess_exec(*command)
    try:
        async with asyncio.timeout(10):
            while not (directory / "nginx.pid").read_text().strip():
                if process.returncode is not None:
                    raise NginxFailed((directory / "error.log").read_text())
                await asyncio.sleep(0.01)
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def nginx_cpu_s(pid: int) -> float:
    """User and system time of nginx and its workers so far, in seconds."""
    main = psutil.Process(pid)
    times = [process.cpu_times() for process in [main, *main.children()]]
    return sum(spent.user + spent.system for spent in times)

"""`/metrics`: of a process, and of ingest and recorder of the same node if there are any, in one answer.

These have no HTTP port of their own (ingest only with `metrics_port`): each answers on an abstract Unix socket whose
name holds the node's id, and whoever serves HTTP for the node asks there.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from redis.asyncio import Redis

from antlive.metrics_text import joined
from antlive.node import NodeFiles
from antlive.node_locks import DirectoryBusy
from antlive.probes import add_probes, of_node
from antlive.process_metrics import ProcessMetrics
from antlive.redis_state import RedisState
from antlive.response_headers import add_response_headers
from config.rounds import served_at_once, stay_awake
from config.settings import ENV_PREFIX

PATH: Final = "/metrics"
_OTHERS_S: Final = 2.0
OTHERS: Final = ("ingest", "recorder")
"""The roles that answer on a socket."""


def role_socket(node_id: str, role: str) -> str:
    """The address at which a node's process of this role answers."""
    return f"\0antlive/{node_id}/{role}"


class MetricsPage:
    """The metrics of one process. `ask` is the node whose other roles' are joined in."""

    def __init__(self, role: str, redis: Redis | None, ask: str | None = None) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(ProcessMetrics(role))
        self.redis_state = None if redis is None else RedisState(role, redis)
        if self.redis_state is not None:
            self.registry.register(self.redis_state)
        self._ask = ask

    def add_to(self, app: web.Application) -> None:
        """Serve it, for as long as the application runs."""
        if self.redis_state is not None:
            app.cleanup_ctx.append(self.redis_state.kept)
        app.router.add_get(PATH, self._answer)

    async def _answer(self, request: web.Request) -> web.Response:
        roles = OTHERS if self._ask is not None else ()
        others = await asyncio.gather(*map(self._of_role, roles))
        own = generate_latest(self.registry).decode()
        up = "".join(_up(role, bool(page)) for role, page in zip(roles, others, strict=True))
        headers = {hdrs.CONTENT_TYPE: CONTENT_TYPE_PLAIN_0_0_4, hdrs.CACHE_CONTROL: "no-store"}
        return web.Response(body=joined([own, *others, up]).encode(), headers=headers)

    async def _of_role(self, role: str) -> str:
        """Its page; empty when it does not answer."""
        assert self._ask is not None
        try:
            async with asyncio.timeout(_OTHERS_S):
                return joined([await _get(role_socket(self._ask, role))])
        except (OSError, ValueError):
            return ""


async def serve_metrics(
    stack: AsyncExitStack,
    page: MetricsPage,
    role: str,
    files: NodeFiles,
    media_dir: Path,
    port: tuple[str, int] | None = None,
) -> int | None:
    """Answer on the role's socket, and at this address and port if there is one; its number.

    Raises `DirectoryBusy` when such a process runs on a copy of the data directory, `OSError` for a port that can't be
    had.
    """
    app = web.Application()
    add_response_headers(app)
    page.add_to(app)
    add_probes(app, of_node(files, media_dir))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    try:
        listener.bind(role_socket(files.node_id(), role))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        setting = f"{ENV_PREFIX}DATA_DIR={files.data_dir}"
        raise DirectoryBusy(f"another {role} process is {files.node_id()}, too: is {setting} a copy?") from error
    server = runner.server
    assert server is not None

    def accepted() -> asyncio.Protocol:
        stay_awake()
        return server()

    accepting = await asyncio.get_running_loop().create_server(accepted, sock=listener)
    stack.callback(accepting.close)
    stack.enter_context(served_at_once(listener.fileno()))
    if port is None:
        return None
    await web.TCPSite(runner, *port).start()
    return int(runner.addresses[-1][1])


def _up(role: str, is_up: bool) -> str:
    name = f"antlive_{role}_up"
    return f"# HELP {name} 1 if the node's {role} process answers\n# TYPE {name} gauge\n{name} {float(is_up)}\n"


async def _get(address: str) -> str:
    """The metrics page at an abstract Unix socket, which no HTTP client connects to on every event loop."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
        sock.connect(address)
        reader, writer = await asyncio.open_unix_connection(sock=sock)
        try:
            writer.write(f"GET {PATH} HTTP/1.0\r\n\r\n".encode())
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        finally:
            writer.close()
    if head.split()[1:2] != [b"200"]:
        raise ValueError(f"the answer was {head[:32]!r}")
    return body.decode()

"""Connections to receivers, each only to an address that was checked as it is connected to.

The check sits where the socket for one resolved address is made. There is no second look-up between check and
connection, so a name that resolves to something else the next time (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from control.webhooks.policy import WebhookPolicy
from control.webhooks.url_policy import is_public

TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 5.0
USER_AGENT: Final = "antlive-webhooks/1"

_KEEPALIVE_S: Final = 2.0
_LOOKUPS_MAX: Final = 16


class AddressRefused(OSError):
    """The host of a URL resolves to an address that no delivery may connect to."""


class Resolver(AbstractResolver):
    """Looks names up in threads of its own: a name server that is slow delays no other look-up of the process."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUPS_MAX, thread_name_prefix="webhook-dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises `OSError`."""
        found = await asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port, family)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=found_family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found_family, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Let go of the threads; a look-up that hangs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: int) -> list[Any]:
    return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)


@asynccontextmanager
async def open_session(policy: WebhookPolicy, *, timeout_s: float = TIMEOUT_S) -> AsyncIterator[ClientSession]:
    """A client for deliveries: bounded in time, without cookies, proxies and decompression."""

    def make_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not policy.allow_private and not is_public(ipaddress.ip_address(str(address[0]).partition("%")[0])):
            raise AddressRefused(errno.EACCES, f"the host resolves to {address[0]}, which is no public address")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    resolver = Resolver()
    # A connection is not kept for long: one that the receiver closes while it is used again costs an attempt.
    connector = TCPConnector(
        resolver=resolver, limit=0, keepalive_timeout=_KEEPALIVE_S, socket_factory=make_socket, ttl_dns_cache=10
    )
    try:
        async with ClientSession(
            connector=connector,
            timeout=ClientTimeout(total=timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            headers={"User-Agent": USER_AGENT},
            trust_env=False,
        ) as session:
            yield session
    finally:
        await resolver.close()

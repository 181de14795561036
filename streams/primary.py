"""Which Redis server to talk to now: asked of the Sentinels, or of the nodes of a cluster, at every new connection.

All keys of an installation are in one hash slot (see `streams.keys`), so on a cluster, too, it is one server. When that
is lost, or is not the master any more, connections are closed and the next ones are to the server that took over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.crc import key_slot
from redis.exceptions import RedisError

from config.redis_url import Kind, RedisUrl
from streams.problems import NoPrimary, problem_of
from streams.records import text

log = structlog.get_logger()

ASK_S: Final = 0.5
"""How long one of those that know may take to answer; another one is asked then."""


class Primary:
    """Finds the server. `connection_class` and `options` are those of its connections, `db` and login aside."""

    def __init__(self, url: RedisUrl, connection_class: type[AbstractConnection], options: Mapping[str, Any]) -> None:
        self._url = url
        self._hosts = list(url.hosts)
        self._connection_class = connection_class
        self._options = {name: value for name, value in options.items() if name not in ("host", "port", "db")}
        self._options |= {"socket_timeout": ASK_S, "socket_connect_timeout": ASK_S}
        if url.kind is Kind.SENTINEL:
            username, password = url.sentinel_login
            self._options |= {"username": username, "password": password}
        self._slot = key_slot(url.prefix.encode())
        self._last: tuple[str, int] | None = None

    async def find(self) -> tuple[str, int]:
        """Host and port of the server now. Raises `NoPrimary` when nobody can tell."""
        problems = []
        for host, port in list(self._hosts):
            # Another one is asked next time: this one may be cut off from the rest, and not know.
            self._hosts.append(self._hosts.pop(0))
            try:
                found = await self._ask(host, port)
            except (RedisError, OSError) as error:
                problem = problem_of(error)
                problems.append(problem if problem.startswith(f"{host}:") else f"{host}:{port}: {problem}")
                continue
            if found is not None:
                if found != self._last:
                    log.info("redis_primary", host=found[0], port=found[1], kind=self._url.kind.value)
                self._last = found
                return found
            problems.append(f"{host}:{port}: knows none")
        raise NoPrimary(f"no {self._url.kind.value} node names a master ({'; '.join(problems)})")

    async def _ask(self, host: str, port: int) -> tuple[str, int] | None:
        connection = self._connection_class(**{**self._options, "host": host, "port": port})
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            if self._url.kind is Kind.SENTINEL:
                await connection.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._url.service)
                answer: Any = await connection.read_response()
                return None if answer is None else (text(answer[0]), int(answer[1]))
            await connection.send_command("CLUSTER", "SLOTS")
            return self._master_in(await connection.read_response(), host)
        finally:
            await connection.disconnect()

    def _master_in(self, slots: Any, asked: str) -> tuple[str, int] | None:
        found = None
        for first, last, *nodes in slots:
            for node in nodes:
                # A node that does not know its own address leaves it out.
                address = text(node[0]) or asked, int(node[1])
                if address not in self._hosts:
                    self._hosts.append(address)
            if first <= self._slot <= last:
                found = text(nodes[0][0]) or asked, int(nodes[0][1])
        return found

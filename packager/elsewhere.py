"""Media that another node has: whose it is, and requests that are passed on to that node's origin."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import aiohttp
from aiohttp import hdrs, web
from yarl import URL

PROXIED: Final = "X-Antlive-Proxied"
"""Marks a request that one origin has passed on to another, which passes it no further."""

MISDIRECTED: Final = 421
"""What such a request is answered with when there is nothing of the session here (RFC 9110, 15.5.20)."""

_CONNECT_S: Final = 2.0
_LOOK_S: Final = 0.5
_PASSED_ON: Final = (
    hdrs.ACCEPT_ENCODING, hdrs.RANGE, hdrs.IF_RANGE, hdrs.IF_NONE_MATCH, hdrs.IF_MODIFIED_SINCE, hdrs.USER_AGENT,
)  # fmt: skip
# RFC 9110, 7.6.1; the length stays where there is one.
_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te"})


class OwnerAway(Exception):
    """The node that should have the media does not answer."""


class NotThere(OwnerAway):
    """It answers that it has nothing of the session: it has moved on, or is long over."""


class Owner(Protocol):
    """The node that has a stream's media."""

    @property
    def url(self) -> str:
        """Base URL of its origin; empty when it is not there."""

    @property
    def session_id(self) -> str:
        """The stream's latest session."""

    @property
    def is_live(self) -> bool:
        """Whether that session is live."""

    @property
    def is_here(self) -> bool:
        """Whether it is this node."""


class Owners(Protocol):
    """Knows who has which stream. Asked often: it remembers."""

    async def owner(self, edge_id: str) -> Owner | None:
        """Who has the media of this edge id."""


class Elsewhere:
    """Passes requests on."""

    def __init__(self, owners: Owners) -> None:
        self.owners = owners
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connections' pool. There are as many connections as requests that are held."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=10),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            auto_decompress=False,
            skip_auto_headers=(hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def pass_on(self, request: web.Request, url: str) -> web.StreamResponse:
        """The answer of the origin at this base URL, passed through as it comes. Raises `OwnerAway` before it begins.

        A request that is held there is given up when the stream gets another owner meanwhile.
        """
        asked = asyncio.ensure_future(self._ask(request, url))
        try:
            while not asked.done():
                await asyncio.wait((asked,), timeout=_LOOK_S)
                if not asked.done() and await self._has_moved(request.match_info["edge_id"], url):
                    raise OwnerAway(url)
            answer = asked.result()
        except BaseException as error:
            # Also when the viewer has left: the owner's wait is freed at once.
            asked.cancel()
            asked.add_done_callback(_dispose)
            if isinstance(error, aiohttp.ClientError | OSError):
                raise OwnerAway(url) from error
            raise
        async with answer:
            if answer.status == MISDIRECTED:
                raise NotThere(url)
            return await _passed_through(request, answer)

    async def _ask(self, request: web.Request, url: str) -> aiohttp.ClientResponse:
        if self._session is None or self._session.closed:
            raise OwnerAway(url)
        headers: dict[str, str] = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        headers[PROXIED] = "1"
        target = URL(url + request.raw_path, encoded=True)
        return await self._session.request(request.method, target, headers=headers, allow_redirects=False)

    async def _has_moved(self, edge_id: str, url: str) -> bool:
        owner = await self.owners.owner(edge_id)
        return owner is not None and (owner.is_here or owner.url != url)


async def _passed_through(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason)
    for name, value in answer.headers.items():
        if name.lower() not in _HOP_BY_HOP:
            response.headers[name] = value
    await response.prepare(request)
    try:
        async for data in answer.content.iter_any():
            await response.write(data)
    except (aiohttp.ClientError, OSError) as error:
        # The viewer's connection is closed with too few bytes, as the owner's was.
        raise ConnectionResetError("the answer broke off") from error
    await response.write_eof()
    return response


def _dispose(asked: asyncio.Future[aiohttp.ClientResponse]) -> None:
    if not asked.cancelled() and asked.exception() is None:
        asked.result().close()

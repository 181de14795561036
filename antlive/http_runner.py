"""aiohttp's server with things of ours in front of its parser: hot media, held requests, and malformed HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from antlive.malformed_http import malformed_answer

Shortcut = Callable[[bytes], tuple[bytes, bytes] | None]
"""The head and body of the answer to these bytes, if they are one request that it knows; else None."""


class Waiting(Protocol):
    """Where connections wait for an answer."""

    def leave(self, viewer: Any) -> None:
        """This one waits no more."""


Holding = Callable[[bytes, Any], tuple[bytes, bytes] | Waiting | None]
"""As a shortcut; it may also let the connection wait, and calls `answer` or `give_back` of it later."""


class _Handler(RequestHandler):
    __slots__ = ("_finished", "_holding", "_request", "_shortcut", "_waits_in", "_whole")

    def __init__(self, manager: _Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._shortcut = manager.shortcut
        self._holding = manager.holding
        self._waits_in: Waiting | None = None
        self._request = b""  # what waits
        self._finished = 0  # how many of the parsed requests are answered
        self._whole = True  # whether all bytes that the parser got so far were whole requests

    def data_received(self, data: bytes) -> None:
        """Bytes of the connection. One that is idle may be answered at once."""
        if self._waits_in is not None:
            # Another request follows the one that waits: the library keeps their order, and its own bounds.
            self.give_back()
        elif self._whole and self._idle:
            if self._shortcut is not None and (answer := self._shortcut(data)) is not None:
                self.answer(answer)
                return
            if self._holding is not None and (held := self._holding(data, self)) is not None:
                if isinstance(held, tuple):
                    self.answer(held)
                else:
                    self._waits_in, self._request = held, data
                return
        self._parse(data)

    @property
    def address(self) -> str | None:
        """Where the connection comes from, as `web.BaseRequest.remote` has it."""
        peername = self.peername
        return str(peername[0]) if isinstance(peername, (list, tuple)) else peername

    def answer(self, buffers: Sequence[bytes]) -> None:
        """Send the answer to the request that was not parsed."""
        self._waits_in, self._request = None, b""
        assert self.transport is not None
        self.transport.writelines(buffers)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout

    def give_back(self) -> None:
        """Let the library answer the request that waits."""
        request, self._request = self._request, b""
        self._leave()
        self._parse(request)

    def close(self) -> None:
        """No more requests; one that waits is answered first."""
        if self._waits_in is not None:
            self.give_back()
        super().close()

    def force_close(self) -> None:
        """Close the connection; whoever waits waits no more."""
        self._leave()
        super().force_close()

    def _leave(self) -> None:
        if self._waits_in is not None:
            self._waits_in.leave(self)
            self._waits_in = None

    def _parse(self, data: bytes) -> None:
        requests = self._request_count
        super().data_received(data)
        self._whole = self._request_count > requests and data.endswith(b"\r\n\r\n")

    def _process_keepalive(self) -> None:
        if self._waits_in is not None:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """See `aiohttp.web_protocol.RequestHandler`."""
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._finished += 1

    @property
    def _idle(self) -> bool:
        """Whether every request is answered, and every answer sent: a client that does not read gets no more.

        The library itself is ready for another request a turn of the loop later. When a thousand players are answered
        at once they ask again before that, and would be left to the routes for good.
        """
        waiter, transport = self._waiter, self.transport
        waits = waiter is not None and not waiter.done()
        return (
            (waits or 0 < self._finished == self._request_count)
            and not self._messages
            and not self._force_close
            and not self._close
            and transport is not None
            and transport.get_write_buffer_size() == 0
        )

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer, in the shape of all errors; it closes the connection."""
        response = super().handle_error(request, status, exc, message)
        return malformed_answer(status, exc) if isinstance(exc, HttpProcessingError) else response


class _Server(web.Server):
    shortcut: Shortcut | None = None
    holding: Holding | None = None

    def __call__(self) -> RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


class HttpRunner(web.AppRunner):
    """A runner whose connections ask `shortcut` first, then `holding`.

    It answers malformed requests as the API answers everything.
    """

    def __init__(
        self, app: web.Application, shortcut: Shortcut | None = None, holding: Holding | None = None, **options: Any
    ) -> None:
        super().__init__(app, **options)
        self._shortcut = shortcut
        self._holding = holding

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        # The library has no place to say which class handles connections.
        server.__class__ = _Server
        assert isinstance(server, _Server)
        server.shortcut, server.holding = self._shortcut, self._holding
        return server

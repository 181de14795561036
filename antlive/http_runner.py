"""aiohttp's server with two things of ours in front of its parser: hot media, and answers to what is no HTTP."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from antlive.malformed_http import malformed_answer

Shortcut = Callable[[bytes], tuple[bytes, bytes] | None]
"""The head and body of the answer to these bytes, if they are one request that it knows; else None."""


class _Handler(RequestHandler):
    __slots__ = ("_shortcut", "_whole")

    def __init__(self, manager: _Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._shortcut = manager.shortcut
        self._whole = True  # whether all bytes that the parser got so far were whole requests

    def data_received(self, data: bytes) -> None:
        """Bytes of the connection. One that is idle may be answered at once."""
        if self._shortcut is not None and self._whole and self._idle and (answer := self._shortcut(data)) is not None:
            assert self.transport is not None
            self.transport.writelines(answer)
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
            return
        requests = self._request_count
        super().data_received(data)
        self._whole = self._request_count > requests and data.endswith(b"\r\n\r\n")

    @property
    def _idle(self) -> bool:
        """Whether every request is answered, and every answer sent: a client that does not read gets no more."""
        waiter, transport = self._waiter, self.transport
        return (
            waiter is not None
            and not waiter.done()
            and not self._messages
            and not self._force_close
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

    def __call__(self) -> RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


class HttpRunner(web.AppRunner):
    """A runner whose connections ask `shortcut` first, and answer malformed requests as the API answers everything."""

    def __init__(self, app: web.Application, shortcut: Shortcut | None = None, **options: Any) -> None:
        super().__init__(app, **options)
        self._shortcut = shortcut

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        # The library has no place to say which class handles connections.
        server.__class__ = _Server
        assert isinstance(server, _Server)
        server.shortcut = self._shortcut
        return server

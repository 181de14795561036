"""Answers whose body is in memory once, however many viewers are getting it and however slowly they take it."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

_JOINED_MAX_BYTES = 64 << 10


def shared_answer(body: bytes, headers: Mapping[str, str]) -> web.Response:
    """An answer with this body, which others may be getting, too."""
    kind = web.Response if len(body) <= _JOINED_MAX_BYTES else _SharedBody
    return kind(body=body, headers=headers)


class _SharedBody(web.Response):
    async def write_eof(self, data: bytes = b"") -> None:
        """Send the headers by themselves: aiohttp would join them with the body, which is a copy for each viewer."""
        if self._payload_writer is not None:
            self._payload_writer.send_headers()
        await super().write_eof(data)

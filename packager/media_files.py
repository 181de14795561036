"""Media files over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter

from packager.growing_parts import GrowingPart
from packager.hot_media import HotMedia
from packager.ranges import with_sound_range
from packager.shared_body import shared_answer

HOT: Final = web.AppKey("hot_media", HotMedia)
_NEEDS_FILE_RESPONSE = (hdrs.RANGE, hdrs.IF_RANGE, hdrs.IF_NONE_MATCH, hdrs.IF_MODIFIED_SINCE)


def media_file(request: web.Request, path: Path, headers: Mapping[str, str]) -> web.StreamResponse | None:
    """The answer to a request for this file; None when there is no such file.

    What players ask for all the time, a whole part or segment that was just written, is in memory once for all of them:
    slow ones cost no more. aiohttp's file response, which knows ranges and conditions, takes twice the CPU time and
    sends any other file bit by bit.
    """
    if wants_whole_file(request) and (body := request.app[HOT].body(path)) is not None:
        return shared_answer(body, {**headers, hdrs.ACCEPT_RANGES: "bytes"})
    return _File(path, headers=headers) if path.is_file() else None


class _File(web.FileResponse):
    """A file, or the range of it that is asked for."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """See `aiohttp.web.FileResponse`."""
        if hdrs.RANGE in request.headers:
            try:
                stat = self._path.stat()
            except FileNotFoundError:
                return await super().prepare(request)
            request = with_sound_range(request, f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"')
        return await super().prepare(request)


def wants_whole_file(request: web.Request) -> bool:
    """Whether all that is asked for is the file: no range, no condition, not its headers alone."""
    return request.method == hdrs.METH_GET and not any(name in request.headers for name in _NEEDS_FILE_RESPONSE)


async def stream_part(request: web.Request, part: GrowingPart, headers: Mapping[str, str]) -> web.StreamResponse | None:
    """Deliver a part as it grows, in chunked encoding; None when there is nothing to stream (any more).

    A part that is given up half-way closes the connection, so that no cache takes it for whole.
    """
    chunks = await part.next_chunks(0)
    if not chunks or part.is_over or request.version < HttpVersion11:
        return None
    answer = web.StreamResponse(headers=headers)
    answer.enable_chunked_encoding()
    await answer.prepare(request)
    sent = 0
    while chunks:
        for chunk in chunks:
            await answer.write(chunk)
        sent += len(chunks)
        chunks = await part.next_chunks(sent)
    if part.is_whole:
        await answer.write_eof()
    elif request.transport is not None:
        request.transport.abort()
    return answer

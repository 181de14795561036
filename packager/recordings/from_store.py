"""Objects of the store over HTTP: a redirect to the store, or its bytes through this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import structlog
from aiohttp import hdrs, web

from packager.anywhere import error
from packager.ranges import NotSatisfiable, asked_range
from packager.recordings.object_store import SIGNED_S, NoObject, ObjectStore, StoreError

log = structlog.get_logger()

_REDIRECT: Final = f"public, max-age={SIGNED_S // 2}"
"""Whoever is given a redirect out of a cache has as much time again."""


async def from_store(
    request: web.Request, store: ObjectStore, name: str, headers: Mapping[str, str], *, redirects: bool
) -> web.StreamResponse:
    """The answer to a request for an object."""
    try:
        if redirects:
            location = await store.signed_url(name, request.method)
            return web.Response(status=302, headers={hdrs.LOCATION: location, hdrs.CACHE_CONTROL: _REDIRECT})
        wanted = asked_range(request)
        start, end, size_bytes, body = await store.stream(name, *(wanted or (None, None)))
    except NoObject:
        return error(404, "no such file")
    except NotSatisfiable:
        return error(416, "no such range")
    except StoreError as problem:
        if "InvalidRange" in str(problem):
            return error(416, "no such range")
        log.error("store_not_readable", error=str(problem))
        return error(502, "the store of recordings does not answer")
    answer = web.StreamResponse(headers={**headers, hdrs.ACCEPT_RANGES: "bytes"})
    if wanted is not None:
        answer.set_status(206)
        answer.headers[hdrs.CONTENT_RANGE] = f"bytes {start}-{end - 1}/{size_bytes}"
    answer.content_length = end - start
    await answer.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return answer
    try:
        async for piece in body:
            await answer.write(piece)
    except StoreError as problem:
        log.error("store_not_readable", error=str(problem))
        if request.transport is not None:
            request.transport.abort()
        return answer
    await answer.write_eof()
    return answer

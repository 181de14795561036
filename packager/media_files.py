"""Media files over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aiohttp import hdrs, web

MAX_IN_MEMORY_BYTES = 4 << 20
_NEEDS_FILE_RESPONSE = (hdrs.RANGE, hdrs.IF_RANGE, hdrs.IF_NONE_MATCH, hdrs.IF_MODIFIED_SINCE)


def media_file(request: web.Request, path: Path, headers: Mapping[str, str]) -> web.StreamResponse | None:
    """The answer to a request for this file; None when there is no such file.

    What a player asks for all the time, a whole part or segment, is read at once: the file was just written, and that
    takes half the CPU time of aiohttp's file response, which knows ranges, conditions and how to send large files.
    """
    try:
        size_bytes = path.stat().st_size
        if (
            request.method != hdrs.METH_GET
            or size_bytes > MAX_IN_MEMORY_BYTES
            or any(name in request.headers for name in _NEEDS_FILE_RESPONSE)
        ):
            return web.FileResponse(path, headers=headers)
        return web.Response(body=path.read_bytes(), headers={**headers, hdrs.ACCEPT_RANGES: "bytes"})
    except FileNotFoundError:
        return None

"""Range requests (RFC 9110, 14): of one range of bytes. What is no such range is ignored, as 14.2 allows."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import hdrs, web
from multidict import CIMultiDict

_RANGE: Final = re.compile(r"bytes=[ \t]*([0-9]{0,1000})-([0-9]{0,1000})[ \t]*", re.ASCII | re.IGNORECASE)
_LARGEST: Final = 1 << 62
"""No file has so many bytes, and no library trips over the number."""


class NotSatisfiable(Exception):
    """None of the bytes that are asked for is there (416)."""


def asked_range(request: web.BaseRequest) -> tuple[int, int | None] | None:
    """Where the range that is asked for begins, and the end after it, if it has one; None when all is asked for.

    A negative start counts from the end. Raises `NotSatisfiable` where no file of any size would do.
    """
    found = _RANGE.fullmatch(request.headers.get(hdrs.RANGE, ""))
    if found is None or found[0].strip().endswith("=-"):
        return None
    first, last = found.groups()
    if not first:
        if not int(last):
            raise NotSatisfiable
        return -min(int(last), _LARGEST), None
    if last and int(last) < int(first):
        return None
    return min(int(first), _LARGEST), min(int(last), _LARGEST) + 1 if last else None


def range_within(request: web.BaseRequest, size_bytes: int) -> tuple[int, int] | None:
    """The range of a file of this size that is asked for; None when all is. Raises `NotSatisfiable`."""
    wanted = asked_range(request)
    if wanted is None:
        return None
    start, end, _ = slice(*wanted).indices(size_bytes)
    if start >= end:
        raise NotSatisfiable
    return start, end


def with_sound_range(request: web.BaseRequest, etag: str) -> web.BaseRequest:
    """The request as aiohttp's file response is to see it, which answers an invalid range by 416, an empty suffix by
    everything, and takes only dates as conditions of a range.
    """
    if hdrs.RANGE not in request.headers:
        return request
    headers = CIMultiDict(request.headers)
    condition = headers.get(hdrs.IF_RANGE, "")
    try:
        is_ignored = asked_range(request) is None or (condition.endswith('"') and condition != etag)
    except NotSatisfiable:
        headers[hdrs.RANGE] = f"bytes={_LARGEST}-"
        return request.clone(headers=headers)
    if not is_ignored:
        return request
    del headers[hdrs.RANGE]
    return request.clone(headers=headers)

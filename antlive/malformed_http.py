"""Requests that are no HTTP: what strangers send is no fault of ours, and is repeated nowhere, for it may hold a key.

The library answers them with plain text that quotes them, and logs a trace that does.
"""

from __future__ import annotations

import logging
from typing import Final

import structlog
from aiohttp import hdrs, web
from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError, InvalidURLError, LineTooLong

from control.errors import ApiError, error_response

log = structlog.get_logger()

LINE_MAX_BYTES: Final = 8190
_COMPLAINTS: Final[tuple[tuple[type[HttpProcessingError], str], ...]] = (
    (LineTooLong, f"the request line or a header is longer than {LINE_MAX_BYTES} bytes"),
    (BadHttpMethod, "the request does not begin with a method of HTTP"),
    (InvalidURLError, "the path holds bytes that must be percent-encoded"),
    (HttpProcessingError, "the request is not well-formed HTTP/1.1"),
)


def quiet_malformed_http() -> None:
    """From now on a request that is no HTTP is one line in the log, without a trace."""
    logging.getLogger("aiohttp.server").addFilter(_is_ours)


def _is_ours(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, HttpProcessingError):
        return True
    log.info("http_request_malformed", error=type(error).__name__)
    return False


def malformed_answer(status: int, error: HttpProcessingError) -> web.Response:
    """The answer, in the shape of all errors; it closes the connection."""
    complaint = next(text for kind, text in _COMPLAINTS if isinstance(error, kind))
    response = error_response(ApiError(status, "malformed_request", complaint))
    response.headers[hdrs.SERVER] = "antlive"  # else the library names itself, and its version
    response.force_close()
    return response

"""Malformed HTTP in the log: what strangers send is no fault of ours."""

from __future__ import annotations

import logging

import structlog
from aiohttp.http_exceptions import HttpProcessingError

log = structlog.get_logger()


def quiet_malformed_http() -> None:
    """From now on a request that is no HTTP is one line without a trace, and without its bytes: they may hold a key."""
    logging.getLogger("aiohttp.server").addFilter(_is_ours)


def _is_ours(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, HttpProcessingError):
        return True
    log.info("http_request_malformed", error=type(error).__name__)
    return False

"""Errors of the API: one JSON shape, `{"error": {"code", "message", "field"}}`, for whatever goes wrong."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from redis.exceptions import RedisError

from control.schemas import ErrorBody, ErrorResource
from streams.problems import problem_of

log = structlog.get_logger()

RETRY_AFTER_S = 1


class ApiError(Exception):
    """A request that gets an error response. `field` names what was wrong in body or query."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.headers = dict(headers or {})


def invalid_field(field: str, message: str) -> ApiError:
    """400: one field of the body, or one query parameter, is wrong."""
    return ApiError(400, "invalid_field", message, field=field)


def not_found(message: str) -> ApiError:
    """404."""
    return ApiError(404, "not_found", message)


def conflict(code: str, message: str) -> ApiError:
    """409: the state that the resource is in forbids it."""
    return ApiError(409, code, message)


def unavailable() -> ApiError:
    """503: the store does not answer."""
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return ApiError(503, "unavailable", "the stream store does not answer; try again", headers=headers)


def error_response(error: ApiError) -> web.Response:
    """The response of an error."""
    headers = {"Cache-Control": "no-store", **error.headers}
    return web.Response(status=error.status, text=_body(error), content_type="application/json", headers=headers)


def _body(error: ApiError) -> str:
    body = ErrorResource(error=ErrorBody(code=error.code, message=error.message, field=error.field))
    return body.model_dump_json(by_alias=True, exclude_none=True)


async def refuse_expectation(request: web.Request) -> None:
    """Answer `Expect: 100-continue`. Raises `HTTPExpectationFailed` for any other expectation."""
    if request.headers.get("Expect", "").lower() != "100-continue":
        error = ApiError(417, "expectation_failed", "the only expectation that is met is 100-continue")
        # Outside of all middlewares: the body must be right as it is raised.
        raise web.HTTPExpectationFailed(text=_body(error), content_type="application/json")
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _code(reason: str) -> str:
    return reason.lower().replace(" ", "_")


@web.middleware
async def error_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns every way a handler can fail into a JSON error; the outermost middleware."""
    try:
        return await handler(request)
    except ApiError as error:
        return error_response(error)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{request.method} is not allowed here; allowed: {allowed}"
        return error_response(ApiError(405, "method_not_allowed", message, headers={"Allow": allowed}))
    except web.HTTPNotFound:
        return error_response(not_found("nothing is at this path"))
    except RedisError as error:
        log.warning("store_does_not_answer", path=request.path, error=problem_of(error))
        return error_response(unavailable())
    except web.HTTPException as error:
        return error_response(ApiError(error.status, _code(error.reason), error.text or error.reason))
    except Exception:
        log.exception("request_failed", method=request.method, path=request.path)
        return error_response(ApiError(500, "internal_error", "the request failed; the log says why"))

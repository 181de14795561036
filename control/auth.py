"""Who asks: an API key in the `Authorization` header, and the environment it acts for."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from control.context import ENVIRONMENT, STORE, store_deadline
from control.errors import ApiError

_CHALLENGE = 'Bearer realm="antlive"'


@web.middleware
async def auth_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets only requests with a known API key reach a route, and notes their environment. Raises `ApiError` 401."""
    if request.match_info.http_exception is not None:
        return await handler(request)  # no such route: a 404 or 405 for anybody
    key = _bearer_key(request)
    async with store_deadline():
        environment = await request.config_dict[STORE].environment_of_api_key(key)
    if environment is None:
        raise _unauthorized("the API key is unknown", f'{_CHALLENGE}, error="invalid_token"')
    request[ENVIRONMENT] = environment
    return await handler(request)


def _bearer_key(request: web.Request) -> str:
    values = request.headers.getall("Authorization", [])
    scheme, _, key = values[0].strip().partition(" ") if len(values) == 1 else ("", "", "")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise _unauthorized("send your API key in the header `Authorization: Bearer <api-key>`", _CHALLENGE)
    return key


def _unauthorized(message: str, challenge: str) -> ApiError:
    return ApiError(401, "unauthorized", message, headers={"WWW-Authenticate": challenge})

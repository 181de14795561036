"""Who asks: an API key in the `Authorization` header, its environment, and whether it asks too often."""

from __future__ import annotations

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from control.context import CALLER, ENVIRONMENT, OWN_KEY, QUOTA, RATE, STORE, store_deadline
from control.errors import ApiError
from control.rate_limit import too_many_requests
from control.routing import READ_METHODS
from streams.api_keys import DEFAULT_ENVIRONMENT, Scope
from streams.ids import key_hash

log = structlog.get_logger()

_CHALLENGE = 'Bearer realm="antlive"'


@web.middleware
async def auth_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets only requests with a valid API key reach a route, and notes whose they are.

    Raises `ApiError` 401 for an unknown or revoked key, 429 above its rate, 403 when it may only read.
    """
    if request.match_info.http_exception is not None:
        return await handler(request)  # no such route: a 404 or 405 for anybody
    key = bearer_key(request)
    api_keys, rate = request.config_dict[STORE].api_keys, request.config_dict[RATE]
    async with store_deadline():
        found = await api_keys.admit(key, rate)
        own_key = request.config_dict[OWN_KEY]
        if found is None and own_key and key_hash(key) == key_hash(own_key):
            # A Redis that has lost its data, or was replaced. One that was revoked stays revoked.
            await api_keys.add(DEFAULT_ENVIRONMENT, own_key)
            found = await api_keys.admit(key, rate)
            if found is not None:
                log.warning("api_key_put_back", env=DEFAULT_ENVIRONMENT)
    if found is None:
        raise _unauthorized("the API key is unknown or revoked", f'{_CHALLENGE}, error="invalid_token"')
    caller, quota = found
    request[CALLER], request[ENVIRONMENT], request[QUOTA] = caller, caller.env, quota
    if not quota.admitted:
        raise too_many_requests(rate, quota)
    if caller.scope is Scope.READ and request.method not in READ_METHODS:
        headers = {"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope"'}
        raise ApiError(403, "forbidden", f"this API key may only read; {request.method} writes", headers=headers)
    return await handler(request)


def bearer_key(request: web.Request) -> str:
    """The API key of a request. Raises `ApiError` 401."""
    values = request.headers.getall("Authorization", [])
    scheme, _, key = values[0].strip().partition(" ") if len(values) == 1 else ("", "", "")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise _unauthorized("send your API key in the header `Authorization: Bearer <api-key>`", _CHALLENGE)
    return key


def _unauthorized(message: str, challenge: str) -> ApiError:
    return ApiError(401, "unauthorized", message, headers={"WWW-Authenticate": challenge})

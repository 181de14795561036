"""How a rate limit is told: the headers of draft-ietf-httpapi-ratelimit-headers-10, and 429 with `Retry-After`."""

from __future__ import annotations

import math

from aiohttp import web

from control.context import QUOTA, RATE
from control.errors import ApiError
from streams.api_keys import Quota, Rate

POLICY = "api-key"


def too_many_requests(rate: Rate, quota: Quota) -> ApiError:
    """429."""
    message = f"more than {rate.burst} requests at once, or {rate.per_s:g} a second, with one API key"
    return ApiError(429, "rate_limited", message, headers={"Retry-After": str(math.ceil(quota.wait_s))})


async def add_rate_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Tell every caller whose key was counted what is left; a signal, so that it reaches streamed responses too."""
    quota = request.get(QUOTA)
    if quota is not None:
        rate = request.config_dict[RATE]
        window_s = math.ceil(rate.burst / rate.per_s)
        response.headers["RateLimit-Policy"] = f'"{POLICY}";q={rate.burst};w={window_s}'
        response.headers["RateLimit"] = f'"{POLICY}";r={quota.remaining};t={math.ceil(quota.full_after_s)}'

"""`/healthz` and `/readyz`: for load balancers and for whoever restarts processes. Neither asks Redis."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from antlive.node import NodeFiles

_HEADERS: Final = {hdrs.CACHE_CONTROL: "no-store"}


def add_probes(app: web.Application, files: NodeFiles) -> None:
    """Healthy is a process that answers; ready is a node that takes publishers: it does not drain, and has room."""

    async def healthz(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"}, headers=_HEADERS)

    async def readyz(request: web.Request) -> web.Response:
        if files.draining or files.full:
            status = "draining" if files.draining else "full"
            return web.json_response({"status": status}, status=503, headers=_HEADERS)
        return web.json_response({"status": "ready"}, headers=_HEADERS)

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)

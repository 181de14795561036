"""When a control plane is ready."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from antlive.probes import add_probes, of_control
from streams.connection import open_redis
from tests.redis.servers import Server, answers, servers, until


async def ask(client: TestClient[Any, Any]) -> tuple[int, dict[str, str]]:
    async with client.get("/readyz") as response:
        return response.status, await response.json()


async def test_control_is_ready_once_redis_lets_it_in(tmp_path: Path) -> None:
    with servers() as (stack, directory):
        server = Server(stack, directory / "redis")
        until(lambda: answers(server), "the server")
        redis = open_redis(f"redis://someone:secret@{server.address}", timeout_s=0.5)
        app = web.Application()
        add_probes(app, of_control(redis))
        async with TestClient(TestServer(app)) as client:
            status, body = await ask(client)
            assert (status, body["status"]) == (503, "no_redis")
            assert body["reason"].startswith("login refused") and "secret" not in str(body)
            server.ask("ACL", "SETUSER", "someone", "on", ">secret", "+@all", "~*")
            assert await ask(client) == (200, {"status": "ready"})
            server.kill()  # now it is for the API to say so, at each request
            assert await ask(client) == (200, {"status": "ready"})
        await redis.aclose()


@pytest.mark.parametrize("host", ["127.0.0.1:1", "nobody.invalid:6379"])
async def test_control_that_has_never_reached_redis_is_not_ready(host: str) -> None:
    redis = open_redis(f"redis://{host}", timeout_s=0.5)
    app = web.Application()
    add_probes(app, of_control(redis))
    async with TestClient(TestServer(app)) as client:
        status, body = await ask(client)
    await redis.aclose()
    assert status == 503 and body["reason"] and host.split(":")[0] not in body["reason"]

"""When a control plane is ready."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from antlive.node import NodeFiles
from antlive.probes import FREE_MIN_BYTES, add_probes, of_control, of_node
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
            server.process.send_signal(signal.SIGSTOP)
            for _ in range(2):
                status, body = await ask(client)
                assert (status, body["status"], body["reason"]) == (503, "no_redis", "no answer in time")
            server.process.send_signal(signal.SIGCONT)
            assert await ask(client) == (200, {"status": "ready"})
            server.kill()
            assert (await ask(client))[0] == 503
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


async def test_a_node_is_ready_while_its_media_directory_can_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media_dir = tmp_path / "media"
    app = web.Application()
    add_probes(app, of_node(NodeFiles(tmp_path), media_dir))
    real = os.statvfs

    def like(**changes: int) -> None:
        """A file system of which only this is different."""

        def changed(path: Path) -> SimpleNamespace:
            names = ("f_flag", "f_bavail", "f_frsize", "f_files", "f_favail")
            return SimpleNamespace(**{name: getattr(real(path), name) for name in names} | changes)

        monkeypatch.setattr(os, "statvfs", changed)

    async with TestClient(TestServer(app)) as client:
        with capture_logs() as logs:
            steps: list[tuple[Callable[[], object], str | None]] = [
                (lambda: None, "is gone"),
                (media_dir.mkdir, None),
                (lambda: like(f_flag=os.ST_RDONLY), "read-only"),
                (lambda: like(f_bavail=(FREE_MIN_BYTES - 1) // 4096, f_frsize=4096), "is full"),
                (lambda: like(f_files=1000, f_favail=0), "no more files"),
                (lambda: like(), None),
                (media_dir.rmdir, "is gone"),
            ]
            for prepare, reason in steps:
                prepare()
                status, body = await ask(client)
                if reason is None:
                    assert (status, body) == (200, {"status": "ready"})
                else:
                    assert (status, body["status"]) == (503, "no_media_directory") and reason in body["reason"]
                    assert str(tmp_path) not in body["reason"]
        assert [entry["event"] for entry in logs] == ["not_ready", "ready_again"] * 2 + ["not_ready"]

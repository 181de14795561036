"""When a node counts as gone."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import cast

import pytest
import structlog
from redis.exceptions import ConnectionError as RedisConnectionError

import control.reaper
from control.reaper import Reaper
from streams.nodes import LEASE_S, NodeRegistry


class FakeRegistry:
    def __init__(self) -> None:
        self.missing: dict[str, list[str]] = {}
        self.reaped: list[str] = []

    async def missing_hosts(self) -> dict[str, list[str]]:
        return self.missing

    async def reap(self, node_id: str, stream_ids: Collection[str]) -> None:
        self.reaped += stream_ids


async def test_a_node_is_gone_once_it_was_missing_for_a_whole_lease() -> None:
    registry = FakeRegistry()
    reaper = Reaper(cast(NodeRegistry, registry))
    registry.missing = {"a": ["ls_1"], "b": ["ls_2", "ls_3"]}
    await reaper.look(100.0)
    await reaper.look(100.0 + LEASE_S - 0.1)
    assert registry.reaped == []
    registry.missing = {"b": ["ls_2", "ls_3"]}
    await reaper.look(100.0 + LEASE_S)
    assert registry.reaped == ["ls_2", "ls_3"]
    # The other one was there for a while: its time counts anew.
    registry.missing = {"a": ["ls_1"]}
    await reaper.look(103.0 + LEASE_S)
    assert registry.reaped == ["ls_2", "ls_3"]


class AwayAtTimes(FakeRegistry):
    """Redis is away, comes back once, and is away again."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.seen_enough = asyncio.Event()

    async def missing_hosts(self) -> dict[str, list[str]]:
        self.looks += 1
        if self.looks > 20:
            self.seen_enough.set()
        if self.looks != 10:
            raise RedisConnectionError("Error 111 connecting to redis:6379. x.") from ConnectionRefusedError(111, "x")
        return {}


async def test_a_redis_that_is_away_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control.reaper, "_ROUND_S", 0)
    registry = AwayAtTimes()
    with structlog.testing.capture_logs() as lines:
        task = asyncio.create_task(Reaper(cast(NodeRegistry, registry)).run())
        await registry.seen_enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [(line["event"], line["error"]) for line in lines if line["log_level"] == "warning"] == 2 * [
        ("reaper_waits", "redis:6379: connection refused")
    ]

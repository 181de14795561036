"""When a node counts as gone."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

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

"""A node that carries one session: what is refused, where it shows, and that the session's own encoder comes back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from config.costs import session_units
from config.ladders import LADDERS
from streams.connection import open_redis
from streams.keys import Keys
from streams.nodes import NodeRegistry, NodeState
from tests.e2e.node import Node, pushing, running_node, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def readiness(node: Node) -> str:
    async with node.http.get(f"{node.base_url}/readyz") as response:
        status = (await response.json())["status"]
        assert response.status == (200 if status == "ready" else 503)
        return str(status)


async def test_a_full_node_refuses_newcomers_and_says_so(tmp_path: Path, tiny_clip: Path) -> None:
    units = session_units(LADDERS["standard"]) + 1
    async with running_node(tmp_path, ANTLIVE_CAPACITY_UNITS=str(units), ANTLIVE_RECONNECT_WINDOW_S="20") as node:
        first, second = await node.create(quality="standard"), await node.create(quality="standard")
        other = await node.create(quality="passthrough")
        assert await readiness(node) == "ready"
        async with pushing(tiny_clip, first["ingest"]["rtmpFullUrl"]):
            await node.wait_for_state(first["streamId"], "live")
            await wait_until(lambda: is_status(node, "full"), "readiness to fall")
            async with pushing(tiny_clip, second["ingest"]["rtmpFullUrl"]) as refused:
                assert await asyncio.wait_for(refused.wait(), 10) != 0
            async with pushing(tiny_clip, other["ingest"]["srtFullUrl"], container="mpegts") as rejected:
                assert await asyncio.wait_for(rejected.wait(), 10) != 0
            metrics = await node.text(f"{node.base_url}/metrics")
            assert 'antlive_publishers_refused_total{protocol="rtmp",reason="full"} 1.0' in metrics
            assert 'antlive_publishers_refused_total{protocol="srt",reason="full"} 1.0' in metrics
            assert "antlive_full 1.0" in metrics
            redis = open_redis(json.loads((node.data_dir / "serve.json").read_text())["redis_url"])
            (known,) = await NodeRegistry(redis, Keys()).nodes()
            await redis.aclose()
            assert known.state is NodeState.FULL and known.capacity_units == round(units, 1) and known.used_units > 0
        assert await readiness(node) == "full"  # the session waits for its encoder
        async with pushing(tiny_clip, first["ingest"]["rtmpFullUrl"]):
            await wait_until(lambda: logged(node, "rtmp_publisher_connected", 2), "the encoder's return")
        async with node.http.post(f"{node.api_url}/{first['streamId']}/end", headers=node.auth) as response:
            assert response.status == 200, await response.text()
        await wait_until(lambda: is_status(node, "ready"), "readiness to come back")
        assert sum("node_full" in line for line in node.log_lines) == 1
        assert "code=1402" in node.log_text() and "this node is full" in node.log_text()


async def is_status(node: Node, status: str) -> bool:
    return await readiness(node) == status


async def logged(node: Node, event: str, times: int) -> bool:
    return node.log_text().count(event) == times

"""Faults of a whole node, of two. The encoder comes back to the other one, at which all viewers watch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis

from benchmarks.reliability.faults import Inflict, fault
from benchmarks.reliability.scene import Encoder, Scene
from streams.keys import Keys
from streams.nodes import NodeRegistry
from tests.e2e.inside import processes_of
from tests.e2e.node import Node, running_node
from tests.redis_server import redis_server

_RETRY_S = 2.0
"""After this long OBS connects again."""
_LATE_S = 10.0

_DRAIN_S = 30.0


@asynccontextmanager
async def two_nodes(directory: Path, quality: str) -> AsyncIterator[Scene]:
    """The stream begins on `others[0]`; viewers ask `node`."""
    with redis_server() as server:
        async with AsyncExitStack() as stack:
            first, node = [
                await stack.enter_async_context(running_node(directory / name, ANTLIVE_REDIS_URL=server.url))
                for name in ("a", "b")
            ]
            stream = await first.create(quality=quality)
            encoder = Encoder(stream["ingest"]["rtmpFullUrl"])
            stack.push_async_callback(encoder.kill)
            await encoder.start()
            await first.wait_for_state(stream["streamId"], "live", timeout_s=30)
            hls_url = stream["playback"]["hlsUrl"].replace(first.base_url, node.base_url)
            yield Scene(node, {**stream, "playback": {"hlsUrl": hls_url}}, encoder, [first])


async def back_elsewhere(scene: Scene, away_s: float) -> None:
    """The encoder's connection has ended; it tries again, and the load balancer sends it to the other node."""
    await scene.encoder.process.wait()
    await asyncio.sleep(away_s)
    key = scene.encoder.url.rsplit("/", 1)[1]
    scene.encoder.url = f"{scene.node.rtmp_url}/{key}"
    await scene.encoder.start()


async def kill_node(scene: Scene) -> None:
    """A power cut: all processes of the node that has the stream are gone at once."""
    for process in processes_of(scene.others[0]):
        process.kill()


async def drain_node(scene: Scene) -> None:
    """`antlive drain`."""
    first: Node = scene.others[0]
    redis_url = json.loads((first.data_dir / "serve.json").read_text())["redis_url"]
    async with Redis.from_url(redis_url) as redis:
        assert await NodeRegistry(redis, Keys()).ask_to_drain((first.data_dir / "node_id").read_text(), _DRAIN_S)


def _add(what: str, inflict: Inflict, away_s: float, at_most_s: float) -> None:
    async def inflict_and_return(scene: Scene) -> None:
        await inflict(scene)
        await back_elsewhere(scene, away_s)

    for quality in ("standard", "passthrough"):
        name = f"node {what}, encoder on another after {away_s:g} s"
        fault(name, away_s=away_s, at_most_s=at_most_s, quality=quality, stage=two_nodes)(inflict_and_return)


for _away_s in (_RETRY_S, _LATE_S):
    _add("killed", kill_node, _away_s, 5)
    _add("drained", drain_node, _away_s, 4)

"""Webhooks of a whole node: what the receiver gets while the control process is killed again and again."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from aiohttp import web

from streams.events import decode_event
from tests.e2e.inside import redis_of, role
from tests.e2e.node import Node, running_node, wait_until

OPEN = {"ANTLIVE_WEBHOOK_ALLOW_HTTP": "true", "ANTLIVE_WEBHOOK_ALLOW_PRIVATE": "true"}
STREAMS = 5
KILLS = 4


@asynccontextmanager
async def receiver() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """An HTTP server that takes every event; its URL and what it got, in order."""
    got: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/", got
    finally:
        await runner.cleanup()


async def renames(node: Node, stream_id: str, stop: asyncio.Event) -> None:
    """Change a stream as fast as the API answers; each change is an event. A dead API is asked again."""
    count = 0
    while not stop.is_set():
        count += 1
        try:
            async with node.http.patch(
                f"{node.api_url}/{stream_id}", json={"name": f"name {count}"}, headers=node.auth
            ) as response:
                # 429: the API key has its rate; 503: Redis was asked by a process that had just begun.
                assert response.status in (200, 429, 503), await response.text()
        except (aiohttp.ClientError, OSError):
            await asyncio.sleep(0.05)


async def events_in_redis(node: Node) -> dict[str, list[tuple[int, str]]]:
    """Number and id of every event by stream: what there is to deliver."""
    async with redis_of(node) as redis:
        entries = await redis.xrange("antlive:events") or []
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for _, fields in entries:
        event = decode_event(fields or {})
        found[event.stream_id].append((event.seq, event.id))
    return found


async def test_a_killed_control_process_loses_no_event_and_changes_no_order(tmp_path: Path) -> None:
    chance = random.Random(4)
    async with running_node(tmp_path, **OPEN) as node, receiver() as (url, got):
        ready = set(await events_in_redis(node))
        body = {"url": url}
        async with node.http.post(f"{node.base_url}/v1/webhooks", json=body, headers=node.auth) as response:
            assert response.status == 201, await response.text()
        stream_ids = [(await node.create(name=f"stream {n}"))["streamId"] for n in range(STREAMS)]
        stop = asyncio.Event()
        busy = [asyncio.create_task(renames(node, stream_id, stop)) for stream_id in stream_ids]
        for _ in range(KILLS):
            already, more = len(got), chance.randint(5, 40)

            async def flowing(enough: int = already + more) -> bool:
                return len(got) >= enough

            await wait_until(flowing, "deliveries", 20)
            process = role(node, "web")
            process.kill()
            await asyncio.to_thread(psutil.wait_procs, [process])
        stop.set()
        await asyncio.gather(*busy)
        wanted = {key: events for key, events in (await events_in_redis(node)).items() if key not in ready}

        async def all_there() -> bool:
            return {event["id"] for event in got} >= {each for events in wanted.values() for _, each in events}

        await wait_until(all_there, "the last events", 30, lambda: f"{len(got)} deliveries")
        assert sum(map(len, wanted.values())) > 5 * KILLS
        for stream_id, events in wanted.items():
            first_times: list[tuple[int, str]] = []
            for event in got:
                if event["streamId"] == stream_id and (event["seq"], event["id"]) not in first_times:
                    first_times.append((event["seq"], event["id"]))
            assert first_times == events
            assert [seq for seq, _ in events] == list(range(1, len(events) + 1))
            newest = 0
            for event in got:
                if event["streamId"] == stream_id:
                    assert event["seq"] >= newest, "an event came after one that followed it"
                    newest = event["seq"]

"""A look inside a running node: its processes, its Redis, its events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
from redis.asyncio import Redis

from streams.events import StreamEvent, decode_event
from streams.records import text
from streams.state import EventType
from tests.e2e.node import Node, wait_until


def temporary_dir(node: Node) -> str:
    """The node's directory of sockets."""
    return str(json.loads((node.data_dir / "serve.json").read_text())["temporary"])


@asynccontextmanager
async def redis_of(node: Node) -> AsyncIterator[Redis]:
    """A client of the node's embedded Redis."""
    client = Redis.from_url(f"unix://{temporary_dir(node)}/redis.sock")
    try:
        yield client
    finally:
        await client.aclose()


async def events_of(node: Node, stream_id: str) -> list[StreamEvent]:
    """Everything that happened to a stream after it was created."""
    async with redis_of(node) as redis:
        entries = await redis.xrange("antlive:events") or []
    events = [decode_event(fields) for _, fields in entries if fields]
    return [event for event in events if event.stream_id == stream_id and event.type is not EventType.CREATED]


async def wait_for_events(node: Node, stream_id: str, *types: str, timeout_s: float = 15.0) -> list[StreamEvent]:
    """The stream's events, once these and only these have happened, in this order; `seq` counts them."""
    found: list[StreamEvent] = []

    async def happened() -> bool:
        found[:] = await events_of(node, stream_id)
        return names(found) == list(types)

    await wait_until(happened, f"events {types}", timeout_s, lambda: str(names(found)))
    assert [event.seq for event in found] == list(range(2, len(found) + 2))
    assert [event.at for event in found] == sorted(event.at for event in found)
    return found


def names(events: list[StreamEvent]) -> list[str]:
    """The types of events, without their common beginning."""
    return [event.type.value.removeprefix("stream.") for event in events]


async def dump(redis: Redis) -> str:
    """Every key of a Redis and every value, as text."""
    lines = []
    async for key in redis.scan_iter():
        kind = text(await redis.type(key))
        value: Any
        if kind == "string":
            value = await redis.get(key)
        elif kind == "hash":
            value = await redis.hgetall(key)
        elif kind == "zset":
            value = await redis.zrange(key, 0, -1)
        elif kind == "stream":
            value = await redis.xrange(key)
        else:
            raise AssertionError(f"{key!r} is a {kind}")
        lines.append(f"{key!r} {value!r}")
    return "\n".join(lines)


def processes_of(node: Node) -> list[psutil.Process]:
    """The supervisor and all below it."""
    root = psutil.Process(node.process.pid)
    return [root, *root.children(recursive=True)]


def role(node: Node, name: str) -> psutil.Process:
    """The process of a role: `web`, `ingest`, or `redis-server`."""
    for process in _alive(psutil.Process(node.process.pid).children()):
        command = process.cmdline()
        if command and (command[3:4] == [name] or name in command[0]):
            return process
    raise AssertionError(f"no {name} among {[process.cmdline() for process in processes_of(node)]}")


def workers(node: Node) -> dict[int, psutil.Process]:
    """The session workers by process id: what the fork server of ingest has forked."""
    return {
        worker.pid: worker for server in _alive(role(node, "ingest").children()) for worker in _alive(server.children())
    }


def _alive(processes: list[psutil.Process]) -> Iterator[psutil.Process]:
    for process in processes:
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            yield process


async def wait_for_exit(processes: list[psutil.Process], timeout_s: float) -> None:
    """Return once none of these processes is there."""

    async def gone() -> bool:
        return not list(_alive_of(processes))

    await wait_until(gone, "processes to end", timeout_s, lambda: str(list(_alive_of(processes))))


def _alive_of(processes: list[psutil.Process]) -> list[str]:
    found = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {process.cmdline()}")
        except psutil.NoSuchProcess:
            continue
    return found

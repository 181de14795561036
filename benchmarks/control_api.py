"""The REST API against a real Redis, beside a bare aiohttp handler in the same run.

The API runs in a process of its own. "per core" divides the requests by the CPU seconds that this process used: what
one core yields when nothing else needs it. Redis and the load have the other cores.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import uvloop
from aiohttp import web

from benchmarks.http_load import request_bytes, run_load
from benchmarks.report import Figure
from control.app import API_PREFIX, create_api
from control.urls import PublicUrls
from streams.api_keys import Rate
from streams.connection import open_redis
from streams.store import StreamStore
from tests.redis_server import redis_server

MANY = 100_000
CONNECTIONS = 16
REQUESTS = 4_000
_KEY = "ak_benchmark_0123456789"
_UNLIMITED = Rate(per_s=1_000_000.0, burst=1_000_000)
_ADD_BATCH = 500


async def run(directory: Path, quick: bool) -> list[Figure]:
    """Requests of each kind, one kind after the other."""
    with redis_server() as server:
        redis = open_redis(server.url)
        store = StreamStore(redis)
        for env in ("few", "many"):
            await store.add_api_key(env, f"{_KEY}_{env}")
        some, _ = await _create(store, "few")
        many = MANY // 10 if quick else MANY
        for _ in range(many // _ADD_BATCH):
            await asyncio.gather(*(_create(store, "many") for _ in range(_ADD_BATCH)))
        await redis.aclose()
        async with _api_process(server.url) as port:
            return await _measure(port, some, many)


async def _measure(port: int, stream_id: str, many_streams: int) -> list[Figure]:
    few, many = f"{_KEY}_few", f"{_KEY}_many"
    path = f"{API_PREFIX}live-streams"
    body = b'{"name": "benchmark", "recording": true}'
    of_many = f"of {many_streams:,}"
    far = f"{path}?limit=100&offset={many_streams - 1000}"
    cases = [
        # what, request, status, requests, connections, at least this many per core and second, p99 bound in ms
        ("bare handler", request_bytes("GET", "/bare", few), 200, REQUESTS, CONNECTIONS, None, None),
        ("GET a stream", request_bytes("GET", f"{path}/{stream_id}", few), 200, REQUESTS, CONNECTIONS, 1000, 50.0),
        ("POST a stream", request_bytes("POST", path, few, body), 201, REQUESTS // 2, CONNECTIONS, 300, 50.0),
        (f"list 20 {of_many}", request_bytes("GET", path, many), 200, REQUESTS // 8, 4, None, 50.0),
        (f"list 100 {of_many}", request_bytes("GET", f"{path}?limit=100", many), 200, 200, 1, None, 20.0),
        ("list 100 far below", request_bytes("GET", far, many), 200, 200, 1, None, 20.0),
    ]
    figures: list[Figure] = []
    for what, request, status, requests, connections, least_per_s, bound_ms in cases:
        await run_load("127.0.0.1", port, request, status, requests // 10, connections)
        cpu_before_s = await _cpu_s(port)
        load = await run_load("127.0.0.1", port, request, status, requests, connections)
        per_core = requests / (await _cpu_s(port) - cpu_before_s)
        note = f"{load.per_s:,.0f}/s by the clock"
        figures.append(Figure(name=f"{what}, per core", value=per_core, unit="1/s", at_least=least_per_s, note=note))
        if bound_ms is not None:
            note = f"p50 {load.quantile_ms(0.5):.1f} ms, {connections} connections"
            p99_ms = load.quantile_ms(0.99)
            figures.append(Figure(name=f"{what}, p99", value=p99_ms, unit="ms", at_most=bound_ms, note=note))
    return figures


async def _create(store: StreamStore, env: str) -> tuple[str, str]:
    stream, key = await store.create(
        env=env, name="benchmark", quality="standard", low_latency=True, recording=False, reconnect_window_s=60
    )
    return stream.stream_id, key


async def _cpu_s(port: int) -> float:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /cpu HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return float(answer.rsplit(b"\r\n", 1)[1])


@asynccontextmanager
async def _api_process(redis_url: str) -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.control_api", redis_url, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.terminate()
        await process.wait()


async def _serve(redis_url: str) -> None:
    redis = open_redis(redis_url)
    urls = PublicUrls(host="bench.example", http_port=8080, rtmp_port=1935)
    root = web.Application()
    root.router.add_get("/bare", _bare)
    root.router.add_get("/cpu", _cpu)
    root.add_subapp(API_PREFIX, create_api(StreamStore(redis), urls, reconnect_window_s=60, rate=_UNLIMITED))
    runner = web.AppRunner(root, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def _bare(request: web.Request) -> web.Response:
    return web.json_response({"streamId": "ls_00000000000000000000000000", "state": "idle"})


async def _cpu(request: web.Request) -> web.Response:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return web.Response(text=str(used.ru_utime + used.ru_stime))


if __name__ == "__main__":
    # As a service logs, but to nowhere: the output of the benchmark is its table.
    sink = open(os.devnull, "w")  # noqa: SIM115, PTH123 (open as long as the process)
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(sink))
    uvloop.run(_serve(sys.argv[1]))

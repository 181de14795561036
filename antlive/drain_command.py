"""`antlive drain`: let a node take no more publishers, and its live streams go on on other nodes."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from redis.exceptions import RedisError

from antlive.keys_command import url_of_serve
from antlive.node import NodeFiles
from config.logs import LogStyle, configure_logs
from config.settings import MAX_DRAIN_S, Settings
from streams.connection import open_redis
from streams.keys import Keys
from streams.nodes import NodeRegistry
from streams.problems import problem_of

_DEFAULT_S = 60.0
_LOOK_S = 0.5


def add_drain_parser(commands: Any) -> None:
    """Add the command to those of `antlive`."""
    drain = commands.add_parser("drain", help="take a node out: no new streams, live ones go on on other nodes")
    drain.add_argument("--node", help="id of the node (default: the one of this data directory)")
    drain.add_argument(
        "--seconds",
        type=float,
        help=f"how long it may take, up to {MAX_DRAIN_S} (default: drain_s, or 60 without it)",
    )
    drain.set_defaults(run=_drain)


def _drain(settings: Settings, options: argparse.Namespace) -> int:
    seconds = options.seconds if options.seconds is not None else settings.drain_s or _DEFAULT_S
    if not 0 < seconds <= MAX_DRAIN_S:
        print(f"antlive: --seconds {seconds:g} is not above 0 and at most {MAX_DRAIN_S}", file=sys.stderr)
        return 2
    configure_logs("drain", LogStyle(settings.log_format, "warning"))
    url = settings.full_redis_url or url_of_serve(settings.data_dir)
    if url is None:
        print(
            "antlive: no Redis: start `antlive serve` on this ANTLIVE_DATA_DIR, or set ANTLIVE_REDIS_URL",
            file=sys.stderr,
        )
        return 1
    files = NodeFiles(settings.data_dir)
    if options.node is None and not files.has_node:
        print(f"antlive: no node has run with ANTLIVE_DATA_DIR={settings.data_dir}; --node names one", file=sys.stderr)
        return 1
    node_id = options.node or files.node_id()
    try:
        return asyncio.run(_until_drained(url, Keys(settings.redis_prefix), node_id, seconds))
    except (RedisError, OSError) as error:
        print(f"antlive: cannot use Redis: {problem_of(error)}", file=sys.stderr)
        return 1


async def _until_drained(url: str, keys: Keys, node_id: str, seconds: float) -> int:
    """0 once the node hosts nothing, 1 when it still does after its time, or is not there."""
    redis = open_redis(url)
    registry = NodeRegistry(redis, keys)
    try:
        if not await registry.ask_to_drain(node_id, seconds):
            print(f"antlive: no node {node_id} is running", file=sys.stderr)
            return 1
        left: int | None = None
        try:
            async with asyncio.timeout(seconds):
                while (now := await _sessions_of(registry, node_id)) != 0:
                    if now != left:
                        print(
                            f"{node_id}: {'about to drain' if now is None else f'{now} live streams left'}", flush=True
                        )
                        left = now
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            print(f"antlive: {node_id} is not drained after {seconds:g} s", file=sys.stderr)
            return 1
        print(f"{node_id} is drained")
        return 0
    finally:
        await redis.aclose()


async def _sessions_of(registry: NodeRegistry, node_id: str) -> int | None:
    """How many sessions the node hosts; 0 when it has gone, None as long as it does not drain."""
    node = next((node for node in await registry.nodes() if node.node_id == node_id), None)
    if node is None:
        return 0
    return node.sessions if node.is_draining else None

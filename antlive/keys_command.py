"""`antlive keys`: create, list and revoke the API keys of an environment."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from antlive.node import NodeFiles
from config.logs import LogStyle, configure_logs
from config.settings import Settings
from streams.api_keys import ApiKey, Scope, check_environment
from streams.connection import open_redis
from streams.problems import problem_of
from streams.store import StreamStore
from streams.times import format_utc_s

Command = Callable[[StreamStore, argparse.Namespace], Awaitable[int]]

RUN_FILE = "serve.json"
_COLUMNS = ("ID", "ENVIRONMENT", "SCOPE", "KEY", "CREATED", "REVOKED", "LABEL")


def add_keys_parser(commands: Any) -> None:
    """Add `keys create|list|revoke` to the sub-parsers of `antlive`."""
    keys = commands.add_parser("keys", help="create, list and revoke API keys")
    actions = keys.add_subparsers(required=True, metavar="ACTION")

    create = actions.add_parser("create", help="make a key; it is printed this once, on standard output")
    create.add_argument("--env", required=True, help="environment that the key acts for; it need not exist yet")
    create.add_argument("--label", default="", help="what the key is for")
    create.add_argument("--read-only", action="store_true", help="the key may look and change nothing")
    create.set_defaults(run=_runner(_create))

    listing = actions.add_parser("list", help="show the keys, never in full")
    listing.add_argument("--env", help="only those of this environment")
    listing.set_defaults(run=_runner(_list))

    revoke = actions.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("--env", required=True, help="environment of the key")
    revoke.add_argument("id", metavar="ID", help="id of the key, kid_…, as `keys list` shows it")
    revoke.set_defaults(run=_runner(_revoke))


def _runner(command: Command) -> Callable[[Settings, argparse.Namespace], int]:
    def run(settings: Settings, options: argparse.Namespace) -> int:
        configure_logs("keys", LogStyle(settings.log_format, "warning"))
        url = settings.full_redis_url or url_of_serve(settings.data_dir)
        if url is None:
            return _fail("no Redis: start `antlive serve` on this ANTLIVE_DATA_DIR, or set ANTLIVE_REDIS_URL")
        try:
            if options.env is not None:
                check_environment(options.env)
            return asyncio.run(_with_store(command, options, url, settings.redis_prefix))
        except ValueError as error:
            return _fail(str(error), 2)
        except (RedisError, OSError) as error:
            return _fail(f"cannot use Redis: {problem_of(error)}")

    return run


async def _with_store(command: Command, options: argparse.Namespace, url: str, prefix: str) -> int:
    redis = open_redis(url)
    try:
        return await command(StreamStore(redis, prefix), options)
    finally:
        await redis.aclose()


async def _create(store: StreamStore, options: argparse.Namespace) -> int:
    scope = Scope.READ if options.read_only else Scope.FULL
    made, key = await store.api_keys.create(options.env, label=options.label, scope=scope)
    print(f"{made.key_id} for environment {made.env}, scope {made.scope.value}. Not shown again:", file=sys.stderr)
    print(key)
    return 0


async def _list(store: StreamStore, options: argparse.Namespace) -> int:
    rows = [_COLUMNS, *(_row(key) for key in await store.api_keys.list(options.env))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


async def _revoke(store: StreamStore, options: argparse.Namespace) -> int:
    revoked = await store.api_keys.revoke(options.id, options.env)
    if revoked is None:
        return _fail(f"environment {options.env} has no API key {options.id!r}")
    print(f"{revoked.key_id} is revoked", file=sys.stderr)
    return 0


def _row(key: ApiKey) -> tuple[str, ...]:
    revoked = "-" if key.revoked_at is None else format_utc_s(key.revoked_at)
    return (
        key.key_id, key.env, key.scope.value, f"{key.shown_prefix}…", format_utc_s(key.created_at), revoked, key.label
    )  # fmt: skip


def url_of_serve(data_dir: Path) -> str | None:
    """The Redis of the `antlive serve` that runs on this data directory."""
    if not data_dir.is_dir():
        return None
    running = NodeFiles(data_dir).read_json(RUN_FILE)
    return None if running is None else running.get("redis_url")


def _fail(message: str, code: int = 1) -> int:
    print(f"antlive: {message}", file=sys.stderr)
    return code

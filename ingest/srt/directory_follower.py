"""Keeps the key directory equal to Redis: a first copy, then Redis's own notice of every key that changes.

The notices are those of client-side caching in broadcast mode (`CLIENT TRACKING … BCAST`), so nobody who writes a key
has to know of this. They end with their connection: after a loss the directory is unsure until the next
copy is complete.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from redis.exceptions import RedisError

from ingest.srt.directory import KeyDirectory
from streams.problems import problem_of
from streams.records import text
from streams.store import StreamStore

log = structlog.get_logger()

_CHANNEL = "__redis__:invalidate"
_HEARTBEAT_S = 5.0
_RETRY_S = 1.0
_SCAN_COUNT = 1000


class DirectoryFollower:
    """A task that follows for as long as it runs."""

    def __init__(self, store: StreamStore, directory: KeyDirectory) -> None:
        self._redis = store.redis
        self._key_prefix = store.keys.key("")
        self._sessions_key = store.keys.sessions
        self._directory = directory
        self._task: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()
        """Set while the directory follows."""

    def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        said = False
        while True:
            try:
                await self._follow()
            except (RedisError, OSError) as error:
                if self._directory.following or not said:
                    log.warning("srt_key_directory_unsure", error=problem_of(error))
                    said = True
            finally:
                self._directory.following = False
                self.ready.clear()
            await asyncio.sleep(_RETRY_S)

    async def _follow(self) -> None:
        pool = self._redis.connection_pool
        # A connection of its own, in the older protocol, where notices are plain messages of a channel.
        connection = pool.connection_class(**{**pool.connection_kwargs, "protocol": 2})
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("CLIENT", "ID")
            client_id = await connection.read_response()
            prefixes = ("PREFIX", self._key_prefix, "PREFIX", self._sessions_key)
            await connection.send_command("CLIENT", "TRACKING", "ON", "REDIRECT", client_id, "BCAST", *prefixes)
            await connection.read_response()
            await connection.send_command("SUBSCRIBE", _CHANNEL)
            await connection.read_response()
            # Only now: what changes during the copy is noticed after it.
            await self._copy()
            self._directory.following = True
            self.ready.set()
            log.debug("srt_key_directory_follows")
            while True:
                await self._apply(await self._next_notice(connection))
        finally:
            await connection.disconnect()

    async def _next_notice(self, connection: Any) -> list[str] | None:
        """The names of changed Redis keys; None when all may have changed. A silent server is asked for a sign."""
        asked = False
        while True:
            reply = await connection.read_response(timeout=_HEARTBEAT_S)
            if reply is None:
                if asked:
                    raise TimeoutError("Redis is silent")
                await connection.send_command("PING")
                asked = True
            elif text(reply[0]) == "message":
                return None if reply[2] is None else [text(name) for name in reply[2]]
            else:
                asked = False

    async def _apply(self, names: list[str] | None) -> None:
        if names is None:
            self._directory.following = False
            await self._copy()
            self._directory.following = True
            return
        hashes = [name.removeprefix(self._key_prefix) for name in names if name.startswith(self._key_prefix)]
        self._directory.changing(hashes)
        if self._sessions_key in names:
            self._directory.hosts_changing()
            await self._copy_hosts()
        if hashes:
            stream_ids = await self._redis.mget([self._key_prefix + key_hash for key_hash in hashes])
            for key_hash, stream_id in zip(hashes, stream_ids, strict=True):
                self._directory.set_key(key_hash, None if stream_id is None else text(stream_id))

    async def _copy(self) -> None:
        streams: dict[str, str] = {}
        cursor = 0
        while True:
            # Braces in the prefix are no pattern, but brackets and stars would be: names are checked again.
            cursor, names = await self._redis.scan(cursor, match=self._key_prefix + "*", count=_SCAN_COUNT)
            keys = [name for name in map(text, names) if name.startswith(self._key_prefix)]
            values = await self._redis.mget(keys) if keys else []
            for name, value in zip(keys, values, strict=True):
                if value is not None:
                    streams[name.removeprefix(self._key_prefix)] = text(value)
            if cursor == 0:
                break
        self._directory.replace_keys(streams)
        await self._copy_hosts()

    async def _copy_hosts(self) -> None:
        hosts = await self._redis.hgetall(self._sessions_key)
        self._directory.replace_hosts({text(stream_id): text(node) for stream_id, node in hosts.items()})

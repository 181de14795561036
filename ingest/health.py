"""Ingest health: what the worker measures and the connection knows, told in Redis while the encoder is there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import structlog
from pydantic import ValidationError

from ingest.admission import PublishRequest
from ingest.health_warnings import WarningLights
from streams.health import HEALTH_TTL_S, IngestHealth
from streams.model import Stream
from streams.outage import Outage
from streams.scripts import script_text
from streams.store import StreamStore
from streams.times import format_utc_ms, utc_now

log = structlog.get_logger()

ENCODER_MAX_CHARACTERS = 128
_RETRY_S = 1.0
_STREAM_KEY = re.compile(r"sk_[0-9A-Za-z]+")


class ConnectionHealth:
    """The health of one encoder connection."""

    def __init__(self, request: PublishRequest, quality: str) -> None:
        self._protocol = request.protocol
        self._encoder = request.encoder
        self._transport = request.transport
        self._connected_at = format_utc_ms(utc_now())
        self._lights = WarningLights(quality)

    def update(self, measured: Mapping[str, Any]) -> tuple[IngestHealth, list[str], list[str]]:
        """The health with this report of the worker's, and the warnings that came and went. Raises `ValueError`."""
        encoder = clean_name(str(measured.get("encoder") or self._encoder))
        fields = {**measured, "encoder": encoder or None}
        health = IngestHealth(
            at=format_utc_ms(utc_now()),
            protocol=self._protocol,
            connected_at=self._connected_at,
            srt=self._transport(),
            **fields,
        )
        came, went = self._lights.update(health)
        return health.model_copy(update={"warnings": tuple(self._lights.on.values())}), came, went


def clean_name(name: str) -> str:
    """What an encoder calls itself, printable, short, and without what could be a stream key."""
    printable = "".join(character for character in name if character.isprintable())
    return _STREAM_KEY.sub("…", printable)[:ENCODER_MAX_CHARACTERS]


class HealthWriter:
    """Writes the newest health of every stream to Redis, all in one go. Redis away costs nobody anything."""

    def __init__(self, store: StreamStore) -> None:
        self._redis = store.redis
        self._keys = store.keys
        self._write_health = store.redis.register_script(script_text("health"))
        self._news: dict[str, tuple[int, str]] = {}
        self._has_news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def put(self, stream: Stream, health: IngestHealth | None) -> None:
        """The newest health of a stream's session; None when its encoder has left."""
        text = "" if health is None else health.model_dump_json(by_alias=True, exclude_none=True)
        self._news[stream.stream_id] = stream.epoch, text
        self._has_news.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop writing. What is not written is gone by itself soon."""
        # The client may lose a cancellation that comes while it takes a connection: the loop looks here too.
        self._closed = True
        self._has_news.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        outage = Outage("health_not_written")
        while not self._closed:
            await self._has_news.wait()
            self._has_news.clear()
            news, self._news = self._news, {}
            with outage.noted():
                await self._write(news)
            if outage.is_on:
                await asyncio.sleep(_RETRY_S)

    async def _write(self, news: Mapping[str, tuple[int, str]]) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            for stream_id, (epoch, text) in news.items():
                keys = [self._keys.stream(stream_id), self._keys.health(stream_id)]
                await self._write_health(keys=keys, args=[epoch, text, HEALTH_TTL_S], client=pipe)
            await pipe.execute()


def told(health: ConnectionHealth, measured: Mapping[str, Any], log_of_stream: Any) -> IngestHealth | None:
    """Update, and log each warning once as it comes and goes. None for a report that makes no sense."""
    try:
        now, came, went = health.update(measured)
    except (ValidationError, TypeError) as error:
        log_of_stream.error("health_not_understood", error=type(error).__name__)
        return None
    messages = {warning.code: warning.message for warning in now.warnings}
    for code in came:
        log_of_stream.warning("ingest_warning", code=code, message=messages[code])
    for code in went:
        log_of_stream.info("ingest_warning_over", code=code)
    return now

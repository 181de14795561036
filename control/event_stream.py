"""`GET /v1/events`: the events of an environment as they happen, as server-sent events."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiohttp import web
from redis.exceptions import RedisError, ResponseError

from control.auth import bearer_key
from control.context import ENVIRONMENT, STORE, store_deadline
from control.errors import ApiError, invalid_field
from control.event_hub import EntryId, EventHub, Interest, Subscriber, entry_id
from control.routing import Header, Routes
from control.schemas import Schema, StreamId
from control.validation import read_query
from streams.ids import key_hash
from streams.problems import problem_of
from streams.records import text
from streams.store import StreamStore

log = structlog.get_logger()

LAST_EVENT_ID: Final = "Last-Event-ID"
CONTENT_TYPE: Final = "text/event-stream"

HUB: Final = web.AppKey("event_hub", EventHub)
_ENTRY_ID = re.compile("[0-9]{1,18}(?:-[0-9]{1,18})?", re.ASCII)
# OpenAPI 3.1 has no word for a sequence of events; its tools take the schema of the media type as that of each event.
_EVENT_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "One server-sent event. `data` is the event as JSON, as webhooks get it.",
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
}
_HELLO: Final = b"retry: 2000\n: these are the events of your environment\n\n"
_HEARTBEAT: Final = b":\n\n"

routes = Routes("Events", "What happens to streams.")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTiming:
    """The bounds of one client."""

    heartbeat_s: float = 15.0
    key_check_s: float = 1.0  # no event is sent when it is longer ago that the API key was found good
    write_timeout_s: float = 30.0
    buffer_max: int = 1000  # events


TIMING: Final = web.AppKey("event_stream_timing", StreamTiming)


class EventsQuery(Schema):
    """Query parameters of `GET /v1/events`."""

    stream_id: StreamId | None = None


def add_event_stream(app: web.Application, store: StreamStore, timing: StreamTiming | None = None) -> None:
    """What the route needs, into the application of the API."""
    app[HUB] = EventHub(store)
    app[TIMING] = timing or StreamTiming()

    async def close(app: web.Application) -> None:
        await app[HUB].close()

    app.on_shutdown.append(close)


@routes.get(
    "/events",
    summary="Follow events",
    query=EventsQuery,
    response=None,
    response_description="Server-sent events, without end.",
    content_type=CONTENT_TYPE,
    content_schema=_EVENT_SCHEMA,
    request_headers=(
        Header(
            LAST_EVENT_ID,
            "`id` of the last event that you got: go on after it. Empty is none.",
            {"type": "string", "pattern": f"^(?:{_ENTRY_ID.pattern})?$"},
        ),
    ),
)
async def follow(request: web.Request) -> web.StreamResponse:
    """Server-sent events: `event` is the type, `data` the event as JSON, `id` what to send as `Last-Event-ID` to go on
    after it. Without `Last-Event-ID` it begins now. About 100,000 events are kept; when some after yours are gone
    already, an event `events.lost` comes first. A comment every 15 seconds keeps the connection alive; a client that
    reads too slowly is cut. `streamId` keeps to one stream."""
    interest = Interest(env=request[ENVIRONMENT], stream_id=read_query(request, EventsQuery).stream_id)
    after = _last_event_id(request)
    headers = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if request.method == "HEAD":
        return web.Response(headers=headers)
    hub = request.config_dict[HUB]
    if not hub.has_room(interest.env):
        message = f"your environment may follow events {hub.clients_per_env} times at once"
        raise ApiError(429, "too_many_event_streams", message, headers={"Retry-After": "5"})
    async with store_deadline():
        await hub.start()
        is_lost = after is not None and await _is_lost(request.config_dict[STORE], after)
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    client = _Client(request, response, hub, interest)
    try:
        await client.write(_HELLO)
        if is_lost and after is not None:
            await client.write(b'event: events.lost\ndata: {"after":"%d-%d"}\n\n' % after)
        await client.run(after)
    except (ConnectionError, TimeoutError) as error:
        log.debug("event_client_left", env=interest.env, error=type(error).__name__)
    except RedisError as error:
        # The status is sent already: the client comes back with the id of its last event.
        log.warning("event_client_ended", env=interest.env, error=type(error).__name__)
    return response


class _Client:
    """One connection."""

    def __init__(self, request: web.Request, response: web.StreamResponse, hub: EventHub, interest: Interest) -> None:
        self._timing = request.config_dict[TIMING]
        self._store = request.config_dict[STORE]
        self._key_hash = key_hash(bearer_key(request))
        self._request, self._response, self._hub, self._interest = request, response, hub, interest
        self._check_at_s = time.monotonic() + self._timing.key_check_s

    async def run(self, after: EntryId | None) -> None:
        """Write events until the client leaves, the server ends or the API key is revoked."""
        position = None if after is None else await self._write_past(after, None)
        subscriber = Subscriber(self._interest, self._timing.buffer_max, self._abort)
        with self._hub.subscribed(subscriber):
            # Between the last page and here the hub may have gone on; what it has not offered yet comes from it.
            joined_at = self._hub.position
            position = joined_at if position is None else max(joined_at, await self._write_past(position, joined_at))
            while not subscriber.is_over:
                messages = await subscriber.take(position, self._timing.heartbeat_s)
                if not await self._may_go_on():
                    return
                await self.write(b"".join(messages) or _HEARTBEAT)

    async def write(self, data: bytes) -> None:
        """Raises `ConnectionError`, and `TimeoutError` for a client that does not read."""
        try:
            async with asyncio.timeout(self._timing.write_timeout_s):
                await self._response.write(data)
        except TimeoutError:
            log.warning("event_client_cut", env=self._interest.env, why="it does not read")
            self._abort()
            raise

    async def _write_past(self, after: EntryId, until: EntryId | None) -> EntryId:
        """Write what is kept after one entry; where it ended."""
        position = after
        async for page_end, messages in self._hub.past(self._interest, after, until):
            position = page_end
            if messages:
                await self.write(b"".join(messages))
        return position

    async def _may_go_on(self) -> bool:
        if time.monotonic() < self._check_at_s:
            return True
        self._check_at_s = time.monotonic() + self._timing.key_check_s
        try:
            revoked_at = await self._store.redis.hget(self._store.keys.api_key(self._key_hash), "revoked_at")
        except (RedisError, OSError) as error:
            log.info("event_client_not_checked", error=problem_of(error))
            return True
        return revoked_at is None

    def _abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()


def _last_event_id(request: web.Request) -> EntryId | None:
    value = request.headers.get(LAST_EVENT_ID, "").strip()
    if not value:
        return None
    if not _ENTRY_ID.fullmatch(value):
        raise invalid_field(LAST_EVENT_ID, f"{LAST_EVENT_ID} must be the id of an event that came from here")
    return entry_id(value)


async def _is_lost(store: StreamStore, after: EntryId) -> bool:
    """Whether events after that one may be gone already."""
    try:
        info: Any = await store.redis.xinfo_stream(store.keys.events)
    except ResponseError:
        return False  # there never was an event
    first = info["first-entry"]
    is_trimmed = info["entries-added"] > info["length"]
    return bool(is_trimmed and (not first or after < entry_id(text(first[0]))))

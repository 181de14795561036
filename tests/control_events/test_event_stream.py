"""`GET /v1/events`: what a client gets, where it goes on, and when it is let go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientSession, StreamReader

from control.event_hub import Interest, Subscriber
from streams.ids import new_stream_id
from streams.store import StreamStore
from tests.control.helpers import KEY_BLUE, KEY_RED, Api, serve_api
from tests.control_events.helpers import WAIT_S, add_stream, go_live_and_end


@dataclass(slots=True)
class Feed:
    """The events of one connection, comments left out."""

    content: StreamReader

    async def next(self) -> dict[str, str]:
        """The fields of the next event; none at the end of the connection."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(WAIT_S):
            while "data" not in fields and (line := await self.content.readline()):
                name, _, value = line.decode().strip().partition(": ")
                if name in ("id", "event", "data"):
                    fields[name] = value
        return fields

    async def event(self) -> dict[str, Any]:
        """The next event, as webhooks get it."""
        event: dict[str, Any] = json.loads((await self.next())["data"])
        return event


@asynccontextmanager
async def follow(api: Api, query: str = "", *, key: str = KEY_RED, after: str | None = None) -> AsyncIterator[Feed]:
    """A connection that is subscribed."""
    headers = {"Authorization": f"Bearer {key}"} | ({} if after is None else {"Last-Event-ID": after})
    async with ClientSession() as session, session.get(f"{api.base}/v1/events{query}", headers=headers) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        assert (await response.content.readline()).startswith(b"retry: ")
        yield Feed(response.content)


@pytest.fixture
async def api(store: StreamStore) -> AsyncIterator[Api]:
    await store.add_api_key("red", KEY_RED)
    await store.add_api_key("blue", KEY_BLUE)
    async with serve_api(store) as served:
        yield served


async def test_events_come_as_they_happen_and_only_those_of_the_environment(api: Api, store: StreamStore) -> None:
    await add_stream(store)  # before anybody listened
    async with follow(api) as feed, follow(api, key=KEY_BLUE) as blue:
        await asyncio.gather(add_stream(store, "blue"), add_stream(store, "blue"))
        stream = await add_stream(store)
        fields = await feed.next()
        assert (fields["event"], json.loads(fields["data"])["streamId"]) == ("stream.created", stream.stream_id)
        await go_live_and_end(store, stream)
        events = [await feed.event() for _ in range(3)]
        assert [(event["type"], event["seq"]) for event in events] == [
            ("stream.connecting", 2),
            ("stream.live", 3),
            ("stream.ended", 4),
        ]
        assert stream.stream_id not in {(await blue.event())["streamId"] for _ in range(2)}


async def test_one_stream(api: Api, store: StreamStore) -> None:
    stream = await add_stream(store)
    async with follow(api, f"?streamId={stream.stream_id}", after="0") as feed:
        assert (await feed.event())["streamId"] == stream.stream_id
        await add_stream(store)
        await go_live_and_end(store, stream)
        assert [(await feed.event())["seq"] for _ in range(3)] == [2, 3, 4]


async def test_it_goes_on_without_a_gap_or_a_repeat_while_more_happens(api: Api, store: StreamStore) -> None:
    names: list[str] = []
    is_over = False

    async def happen() -> None:
        while not is_over:
            names.append((await add_stream(store)).stream_id)

    going_on = asyncio.create_task(happen())
    got: list[str] = []
    last = "0"
    while len(got) < 600:
        async with follow(api, after=last) as feed:
            for _ in range(90):
                fields = await feed.next()
                last = fields["id"]
                got.append(json.loads(fields["data"])["streamId"])
    is_over = True
    await going_on
    assert got == names[: len(got)]


async def test_events_that_are_gone_are_told(api: Api, store: StreamStore) -> None:
    for _ in range(3):
        await add_stream(store)
    await store.redis.xtrim(store.keys.events, maxlen=1, approximate=False)
    async with follow(api, after="1-0") as feed:
        assert (await feed.next())["event"] == "events.lost"
        assert (await feed.event())["type"] == "stream.created"


async def test_a_revoked_key_is_let_go_at_the_next_event(api: Api, store: StreamStore) -> None:
    async with follow(api) as feed:
        await add_stream(store)
        assert (await feed.event())["type"] == "stream.created"
        [key] = await store.api_keys.list("red")
        await store.api_keys.revoke(key.key_id, "red")
        async with asyncio.timeout(5):  # far less than the time between heartbeats
            await add_stream(store)
            while await feed.next():
                await add_stream(store)


async def test_an_empty_id_is_none(api: Api, store: StreamStore) -> None:
    await add_stream(store)
    async with follow(api, after="") as feed:
        stream = await add_stream(store)
        assert (await feed.event())["streamId"] == stream.stream_id


@pytest.mark.parametrize("after", ["x", "1-", "-1", "1-2-3", "9" * 19, "١"])
async def test_a_wrong_id_is_refused(api: Api, after: str) -> None:
    reply = await api.get("/v1/events", headers={"Last-Event-ID": after})
    assert (reply.status, reply.error["field"]) == (400, "Last-Event-ID")


async def test_other_wrong_requests(api: Api) -> None:
    assert (await api.get("/v1/events?streamId=ls_1")).error["field"] == "streamId"
    assert (await api.get("/v1/events?since=1")).error["field"] == "since"
    assert (await api.get("/v1/events", key=None)).status == 401
    reply = await api.request("HEAD", f"/v1/events?streamId={new_stream_id()}")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/event-stream")


def test_a_client_that_does_not_read_is_cut() -> None:
    cut: list[str] = []
    subscriber = Subscriber(Interest(env="red"), 2, lambda: cut.append("cut"))
    assert [subscriber.offer((1, number), b"x") for number in range(3)] == [True, True, False]
    assert subscriber.is_over and cut == ["cut"]

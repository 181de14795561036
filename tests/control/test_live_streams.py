"""Create, list and get, against the reference."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from streams.ids import is_edge_id, is_stream_id, is_stream_key, new_session_id
from streams.state import Event
from streams.store import StreamStore
from tests.control.helpers import KEY_BLUE, KEY_RED, RECONNECT_WINDOW_S, Api

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def _expected(created: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The reference's response to a create, with what this one generated."""
    key, edge_id = created["ingest"]["streamKey"], created["edgeId"]
    return {
        "streamId": created["streamId"],
        "edgeId": edge_id,
        "name": "My Live Show",
        "state": "idle",
        "quality": "standard",
        "recording": False,
        "lowLatency": True,
        "reconnectWindowSeconds": RECONNECT_WINDOW_S,
        "createdAt": created["createdAt"],
        "ingest": {
            "rtmpUrl": "rtmp://ingest.example/live",
            "srtUrl": "srt://ingest.example:9000",
            "streamKey": key,
            "rtmpFullUrl": f"rtmp://ingest.example/live/{key}",
            "srtFullUrl": f"srt://ingest.example:9000?streamid=#!::r=live/{key},m=publish",
        },
        "playback": {"hlsUrl": f"http://ingest.example:8080/live/{edge_id}/master.m3u8", "edgeId": edge_id},
        **fields,
    }


def _without_key(created: dict[str, Any]) -> dict[str, Any]:
    ingest = {name: created["ingest"][name] for name in ("rtmpUrl", "srtUrl")}
    return {**created, "ingest": ingest}


async def test_create_with_defaults_answers_as_the_reference_says(api: Api) -> None:
    reply = await api.create(name="My Live Show")
    assert reply.status == 201
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    assert reply.headers["Cache-Control"] == "no-store"
    created = reply.body
    assert created == _expected(created)
    assert is_stream_id(created["streamId"])
    assert is_edge_id(created["edgeId"])
    assert is_stream_key(created["ingest"]["streamKey"])
    assert TIME.fullmatch(created["createdAt"])


@pytest.mark.parametrize("window_s", [0, 5, 3600])
async def test_a_stream_has_a_reconnect_window_of_its_own(api: Api, window_s: int) -> None:
    reply = await api.create(name="show", reconnectWindowSeconds=window_s)
    assert (reply.status, reply.body["reconnectWindowSeconds"]) == (201, window_s)


async def test_a_whole_number_is_an_integer_however_it_is_written(api: Api) -> None:
    reply = await api.post(b'{"name": "show", "reconnectWindowSeconds": 6.0e1}')
    assert (reply.status, reply.body["reconnectWindowSeconds"]) == (201, 60)


@pytest.mark.parametrize("quality", ["standard", "high", "passthrough"])
@pytest.mark.parametrize(("low_latency", "recording"), [(True, True), (False, False), (False, True)])
async def test_create_with_all_four_fields(api: Api, quality: str, low_latency: bool, recording: bool) -> None:
    fields = {"name": "Ünïcode 🎥 👩‍🚀", "quality": quality, "lowLatency": low_latency, "recording": recording}
    reply = await api.create(**fields)
    assert reply.status == 201
    assert reply.body == _expected(reply.body, **fields)
    got = await api.get(f"/v1/live-streams/{reply.body['streamId']}")
    assert (got.status, got.body) == (200, _without_key(reply.body))


@pytest.mark.parametrize("name", ["x", "x" * 200, " spaced ", "0", "日本語" * 60])
async def test_names_at_the_bounds(api: Api, name: str) -> None:
    reply = await api.create(name=name)
    assert (reply.status, reply.body["name"]) == (201, name)


async def test_the_key_is_in_the_create_response_alone(api: Api) -> None:
    created = (await api.create(name="show")).body
    key = created["ingest"]["streamKey"]
    got = await api.get(f"/v1/live-streams/{created['streamId']}")
    listed = await api.get()
    assert got.body == _without_key(created)
    assert listed.body == {"streams": [_without_key(created)], "total": 1}
    assert key not in repr((got, listed))


async def test_times_appear_once_they_exist(api: Api, store: StreamStore) -> None:
    created = (await api.create(name="show")).body
    path = f"/v1/live-streams/{created['streamId']}"
    stream = await store.get("red", created["streamId"])
    assert stream is not None
    session_id = new_session_id()
    claim = await store.begin_session(
        stream.stream_id, key_hash=stream.key_hash, session_id=session_id, node_id="node-a"
    )

    async def seen() -> tuple[str, str | None, str | None]:
        body = (await api.get(path)).body
        return body["state"], body.get("startedAt"), body.get("endedAt")

    async def apply(event: Event, minute: int) -> None:
        at = datetime(2026, 3, 15, 10, minute, 0, 900_000, UTC)
        await store.apply(stream.stream_id, event, session_id=session_id, epoch=claim.epoch, at=at)

    assert await seen() == ("connecting", None, None)
    assert (await api.get(path)).body == {**_without_key(created), "state": "connecting"}
    await apply(Event.RENDITIONS_READY, 1)
    assert await seen() == ("live", "2026-03-15T10:01:00Z", None)
    await apply(Event.WINDOW_OVER, 2)
    assert await seen() == ("ended", "2026-03-15T10:01:00Z", "2026-03-15T10:02:00Z")


async def test_list_pages_newest_first_with_defaults(api: Api) -> None:
    created = [_without_key((await api.create(name=str(number))).body) for number in range(23)][::-1]
    first = (await api.get()).body
    assert first == {"streams": created[:20], "total": 23, "nextCursor": first["nextCursor"]}
    assert (await api.get(params={"cursor": first["nextCursor"]})).body == {"streams": created[20:], "total": 23}
    assert (await api.get(params={"limit": "100"})).body == {"streams": created, "total": 23}
    assert (await api.get(params={"limit": "1"})).body["streams"] == created[:1]
    assert (await api.get(params={"limit": "5", "offset": "20"})).body == {"streams": created[20:], "total": 23}
    assert (await api.get(params={"offset": "2147483647"})).body == {"streams": [], "total": 23}


async def test_an_environment_sees_its_own_streams_only(api: Api) -> None:
    red = (await api.create(name="red")).body
    assert (await api.get(key=KEY_BLUE)).body == {"streams": [], "total": 0}
    hidden = await api.get(f"/v1/live-streams/{red['streamId']}", key=KEY_BLUE)
    missing = await api.get("/v1/live-streams/ls_00000000000000000000000000", key=KEY_BLUE)
    assert (hidden.status, hidden.error) == (404, missing.error)
    assert (await api.get(f"/v1/live-streams/{red['streamId']}", key=KEY_RED)).status == 200

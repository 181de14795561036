"""Change, rotate, end and delete over the API."""

from __future__ import annotations

from typing import Any

import pytest

from streams.ids import is_stream_key, key_hash, new_session_id
from streams.model import Claim
from streams.state import Event
from streams.store import StreamStore
from tests.control.helpers import KEY_BLUE, Api, Reply

STREAMS = "/v1/live-streams"
NOBODY = "ls_00000000000000000000000000"
OPERATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("PATCH", "", {"json": {"name": "now"}}),
    ("POST", "/rotate-key", {}),
    ("POST", "/end", {}),
    ("DELETE", "", {}),
]


async def _publish(store: StreamStore, created: dict[str, Any]) -> Claim:
    return await store.begin_session(
        created["streamId"],
        key_hash=key_hash(created["ingest"]["streamKey"]),
        session_id=new_session_id(),
        node_id="node-a",
    )


async def _go_live(store: StreamStore, created: dict[str, Any]) -> None:
    claim = await _publish(store, created)
    assert claim.stream.session_id is not None
    await store.apply(
        claim.stream.stream_id, Event.RENDITIONS_READY, session_id=claim.stream.session_id, epoch=claim.epoch
    )


async def test_rotate_answers_as_the_reference_says(api: Api, store: StreamStore) -> None:
    created = (await api.create(name="show")).body
    old = created["ingest"]["streamKey"]
    reply = await api.request("POST", f"{STREAMS}/{created['streamId']}/rotate-key")
    assert reply.status == 200
    assert reply.headers["Cache-Control"] == "no-store"
    key = reply.body["streamKey"]
    assert is_stream_key(key) and key != old
    assert reply.body == {
        "streamKey": key,
        "rtmpFullUrl": f"rtmp://ingest.example/live/{key}",
        "srtFullUrl": f"srt://ingest.example:9000?streamid=#!::r=live/{key},m=publish",
    }
    assert await store.find_by_key(key_hash(old)) is None
    found = await store.find_by_key(key_hash(key))
    assert found is not None and found.stream_id == created["streamId"]
    assert key not in repr((await api.get(), await api.get(f"{STREAMS}/{created['streamId']}")))


async def test_delete_is_204_and_then_404(api: Api) -> None:
    created = (await api.create(name="show")).body
    path = f"{STREAMS}/{created['streamId']}"
    reply = await api.request("DELETE", path)
    assert (reply.status, reply.body) == (204, "")
    assert "Content-Type" not in reply.headers or reply.headers.get("Content-Length") in (None, "0")
    assert (await api.get()).body == {"streams": [], "total": 0}
    for method, suffix, more in [*OPERATIONS, ("GET", "", {})]:
        reply = await api.request(method, path + suffix, **more)
        assert (reply.status, reply.error["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Ünïcode"},
        {"quality": "passthrough"},
        {"lowLatency": False},
        {"recording": True},
        {"reconnectWindowSeconds": 0},
        {"name": "all", "quality": "high", "lowLatency": False, "recording": True},
    ],
)
async def test_patch_sets_what_it_names(api: Api, fields: dict[str, Any]) -> None:
    created = (await api.create(name="show")).body
    path = f"{STREAMS}/{created['streamId']}"
    before = (await api.get(path)).body
    reply = await api.request("PATCH", path, json=fields)
    assert (reply.status, reply.body) == (200, {**before, **fields})
    assert (await api.get(path)).body == reply.body


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"quality": None}, "quality"),
        ({"lowLatency": None}, "lowLatency"),
        ({"recording": "yes"}, "recording"),
        ({"state": "live"}, "state"),
        ({"streamKey": "sk_mine"}, "streamKey"),
        ({"reconnectWindowSeconds": None}, "reconnectWindowSeconds"),
        ({"reconnectWindowSeconds": 3601}, "reconnectWindowSeconds"),
    ],
)
async def test_a_wrong_patch_changes_nothing(api: Api, fields: dict[str, Any], field: str) -> None:
    created = (await api.create(name="show")).body
    path = f"{STREAMS}/{created['streamId']}"
    before = (await api.get(path)).body
    reply = await api.request("PATCH", path, json={"name": "new", **fields})
    assert (reply.status, reply.error["code"], reply.error["field"]) == (400, "invalid_field", field)
    assert (await api.get(path)).body == before


async def test_a_patch_of_nothing_says_what_could_be_changed(api: Api) -> None:
    created = (await api.create(name="show")).body
    reply = await api.request("PATCH", f"{STREAMS}/{created['streamId']}", json={})
    assert (reply.status, reply.error["code"]) == (400, "nothing_to_change")
    assert "name, quality, lowLatency, recording, reconnectWindowSeconds" in reply.error["message"]


@pytest.mark.parametrize("is_live", [False, True])
async def test_with_a_session_only_end_is_allowed(api: Api, store: StreamStore, is_live: bool) -> None:
    created = (await api.create(name="show")).body
    await (_go_live if is_live else _publish)(store, created)
    path = f"{STREAMS}/{created['streamId']}"
    before = (await api.get(path)).body
    for method, suffix, more in OPERATIONS:
        if suffix == "/end":
            continue
        reply = await api.request(method, path + suffix, **more)
        assert (reply.status, reply.error["code"]) == (409, "stream_busy")
        assert before["state"] in reply.error["message"]
    assert (await api.get(path)).body == before
    ended = await api.request("POST", path + "/end")
    assert ended.status == 200
    assert ended.body == {**before, "state": "ended", "endedAt": ended.body["endedAt"], "playback": created["playback"]}
    again = await api.request("POST", path + "/end")
    assert (again.status, again.error["code"]) == (409, "no_session")
    # The key is still good, and everything else is allowed again.
    claim = await _publish(store, created)
    assert claim.epoch == 2
    await api.request("POST", path + "/end")
    replies: list[Reply] = [await api.request(method, path + suffix, **more) for method, suffix, more in OPERATIONS]
    assert [reply.status for reply in replies] == [200, 200, 409, 204]


@pytest.mark.parametrize(("method", "suffix", "more"), OPERATIONS)
async def test_another_environment_has_no_such_stream(
    api: Api, store: StreamStore, method: str, suffix: str, more: dict[str, Any]
) -> None:
    created = (await api.create(name="show")).body
    if suffix == "/end":
        await _publish(store, created)
    before = await store.get("red", created["streamId"])
    hidden = await api.request(method, f"{STREAMS}/{created['streamId']}{suffix}", key=KEY_BLUE, **more)
    missing = await api.request(method, f"{STREAMS}/{NOBODY}{suffix}", key=KEY_BLUE, **more)
    malformed = await api.request(method, f"{STREAMS}/x{suffix}", key=KEY_BLUE, **more)
    assert (hidden.status, hidden.error) == (404, missing.error) == (404, malformed.error)
    assert await store.get("red", created["streamId"]) == before


async def test_a_list_by_state(api: Api, store: StreamStore) -> None:
    created = [(await api.create(name=str(number))).body for number in range(5)]
    await _go_live(store, created[1])
    await _go_live(store, created[3])

    async def names(state: str) -> tuple[list[str], int]:
        body = (await api.get(params={"state": state})).body
        return [stream["name"] for stream in body["streams"]], body["total"]

    assert await names("live") == (["3", "1"], 2)
    assert await names("idle") == (["4", "2", "0"], 3)
    assert await names("error") == ([], 0)
    page = (await api.get(params={"state": "idle", "limit": "2"})).body
    rest = (await api.get(params={"state": "idle", "limit": "2", "cursor": page["nextCursor"]})).body
    assert [stream["name"] for stream in page["streams"] + rest["streams"]] == ["4", "2", "0"]
    assert "nextCursor" not in rest


async def test_a_live_stream_says_how_many_watch_it_on_all_nodes(api: Api, store: StreamStore) -> None:
    created = (await api.create(name="show")).body
    path, edge_id = f"{STREAMS}/{created['streamId']}", created["edgeId"]
    await store.viewers.write("node-a", {edge_id: 3})
    assert "viewers" not in (await api.get(path)).body["playback"], "not while it is idle"
    await _go_live(store, created)
    await store.viewers.write("node-b", {edge_id: 4, "lse_other": 9})
    assert (await api.get(path)).body["playback"] == {**created["playback"], "viewers": 7}
    assert all("viewers" not in stream["playback"] for stream in (await api.get()).body["streams"])

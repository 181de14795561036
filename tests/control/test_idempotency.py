"""`Idempotency-Key`: asked twice, created once, and what is kept for the answer tells nobody anything."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streams.records import text
from streams.store import StreamStore
from tests.control.helpers import KEY_BLUE, KEY_RED, Api, Reply

NAME = "6f1c0a52-4d0e-4c3b-9a0f-6a2a1f6f7b11"


async def _create(api: Api, name: str = NAME, key: str = KEY_RED, **fields: Any) -> Reply:
    body = {"name": "show", **fields}
    return await api.request("POST", "/v1/live-streams", key=key, json=body, headers={"Idempotency-Key": name})


async def test_the_same_again_gets_the_same_answer(api: Api) -> None:
    first = await _create(api)
    assert first.status == 201 and "Idempotency-Replayed" not in first.headers
    same: list[dict[str, Any]] = [{}, {"quality": "standard", "recording": False}]
    for fields in same:
        again = await _create(api, **fields)
        assert (again.status, again.body) == (201, first.body)
        assert again.headers["Idempotency-Replayed"] == "true"
    assert (await api.get()).body["total"] == 1


async def test_another_name_or_none_creates_another(api: Api) -> None:
    replies = [await _create(api), await _create(api, "another"), await api.create(name="show")]
    replies.append(await api.create(name="show"))
    assert len({reply.body["streamId"] for reply in replies}) == 4


async def test_another_body_is_409(api: Api) -> None:
    await _create(api)
    reply = await _create(api, recording=True)
    assert (reply.status, reply.error["code"], reply.error["field"]) == (
        409, "idempotency_key_reused", "Idempotency-Key",
    )  # fmt: skip
    assert (await api.get()).body["total"] == 1


async def test_duplicates_at_once_create_one_stream(api: Api) -> None:
    for number in range(10):
        replies = await asyncio.gather(*(_create(api, f"{NAME}-{number}") for _ in range(8)))
        assert {reply.status for reply in replies} == {201}
        assert len({reply.body["ingest"]["streamKey"] for reply in replies}) == 1
        assert sum("Idempotency-Replayed" in reply.headers for reply in replies) == 7
    assert (await api.get()).body["total"] == 10


async def test_a_name_belongs_to_its_api_key(api: Api, store: StreamStore) -> None:
    _, second_key = await store.api_keys.create("red")
    replies = [await _create(api, key=key) for key in (KEY_RED, KEY_BLUE, second_key)]
    assert [reply.status for reply in replies] == [201, 201, 201]
    assert len({reply.body["streamId"] for reply in replies}) == 3


async def test_what_is_kept_reveals_nothing_and_goes_after_a_day(api: Api, store: StreamStore) -> None:
    created = (await _create(api)).body
    (name,) = await store.redis.keys(f"{store.keys.prefix}answer:*")
    kept = repr(await store.redis.hgetall(name))
    for secret in (created["ingest"]["streamKey"], KEY_RED, NAME, created["edgeId"]):
        assert secret not in kept and secret not in text(name)
    assert 86_000 < await store.redis.ttl(name) <= 86_400


async def test_a_deleted_stream_is_not_answered_as_created(api: Api) -> None:
    created = (await _create(api)).body
    assert (await api.request("DELETE", f"/v1/live-streams/{created['streamId']}")).status == 204
    reply = await _create(api)
    assert (reply.status, reply.error["code"]) == (409, "idempotency_key_reused")
    assert "deleted" in reply.error["message"]
    assert (await api.get()).body["total"] == 0


async def test_a_bad_request_uses_no_name_up(api: Api) -> None:
    assert (await _create(api, quality="ultra")).status == 400
    assert (await _create(api)).status == 201


@pytest.mark.parametrize("name", ["", " ", "a b", "x" * 256, "ä"])
async def test_a_wrong_name(api: Api, name: str) -> None:
    reply = await _create(api, name)
    assert (reply.status, reply.error["code"], reply.error["field"]) == (400, "invalid_field", "Idempotency-Key")
    assert (await api.get()).body["total"] == 0

"""Who may ask."""

from __future__ import annotations

import pytest

from streams.store import StreamStore
from tests.control.helpers import KEY_RED, Api, serve_api


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Basic cmVkOnJlZA==", KEY_RED, f"Bearer{KEY_RED}", f"Token {KEY_RED}"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_without_a_bearer_key(api: Api, authorization: str | None, method: str) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    reply = await api.request(method, "/v1/live-streams", key=None, headers=headers)
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == 'Bearer realm="antlive"'
    assert reply.error["code"] == "unauthorized"


@pytest.mark.parametrize("key", ["wrong", KEY_RED + "0", KEY_RED[:-1], "schlüssel", "a b", "x" * 4000])
async def test_an_unknown_key(api: Api, key: str) -> None:
    reply = await api.get(key=key)
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == 'Bearer realm="antlive", error="invalid_token"'
    assert key not in repr(reply)


@pytest.mark.parametrize("authorization", [f"bearer {KEY_RED}", f"BEARER   {KEY_RED} "])
async def test_the_scheme_is_read_leniently(api: Api, authorization: str) -> None:
    assert (await api.get(key=None, headers={"Authorization": authorization})).status == 200


async def test_a_refused_create_creates_nothing(api: Api, store: StreamStore) -> None:
    reply = await api.request("POST", "/v1/live-streams", key="wrong", json={"name": "show"})
    assert reply.status == 401
    assert await store.redis.keys(store.keys.stream("*")) == []


async def test_the_key_of_the_settings_comes_back_into_a_redis_that_has_lost_it(store: StreamStore) -> None:
    own = "ak_of_the_settings"
    async with serve_api(store, own_key=own) as api:
        assert (await api.get(key="ak_of_somebody_else")).status == 401
        assert (await api.get(key=own)).status == 200  # it never was there, or is lost
        (known,) = await store.api_keys.list("default")
        await store.api_keys.revoke(known.key_id, "default")
        assert (await api.get(key=own)).status == 401

"""API keys in a real Redis: environments, scopes, revocation, rates."""

from __future__ import annotations

import asyncio

import pytest

from streams.api_keys import Rate, Scope
from streams.records import text
from streams.store import StreamStore

RATE = Rate(per_s=1000.0, burst=1000)


async def _env_of(store: StreamStore, key: str) -> str | None:
    found = await store.api_keys.admit(key, RATE)
    return None if found is None else found[0].env


async def test_a_key_acts_for_its_environment(store: StreamStore) -> None:
    keys = [await store.api_keys.create(env) for env in ("red", "red", "blue")]
    assert len({key for _, key in keys}) == 3
    assert [await _env_of(store, key) for _, key in keys] == ["red", "red", "blue"]
    assert [await _env_of(store, key) for key in ("", keys[0][1][:-1], keys[0][1] + "0")] == [None] * 3
    # Keys of one millisecond are listed in any order.
    assert sorted(await store.api_keys.list(), key=str) == sorted((key for key, _ in keys), key=str)
    assert sorted(await store.api_keys.list("red"), key=str) == sorted((key for key, _ in keys[:2]), key=str)
    assert await store.api_keys.list("green") == []


async def test_what_is_kept_of_a_key(store: StreamStore) -> None:
    made, key = await store.api_keys.create("red", label="the console", scope=Scope.READ)
    assert (made.env, made.label, made.scope, made.revoked_at) == ("red", "the console", Scope.READ, None)
    assert key.startswith(made.shown_prefix) and len(made.shown_prefix) == 7 < len(key) - 24
    found = await store.api_keys.admit(key, RATE)
    assert found is not None
    assert (found[0].key_id, found[0].scope) == (made.key_id, Scope.READ)
    for name in await store.redis.keys(f"{store.keys.prefix}*"):
        assert key not in text(name)
        if await store.redis.type(name) == b"hash":
            assert key not in repr(await store.redis.hgetall(name))


async def test_a_short_key_shows_little_of_itself(store: StreamStore) -> None:
    assert (await store.api_keys.add("red", "12345678")).shown_prefix == "12"


async def test_a_revoked_key_is_refused_and_cannot_come_back(store: StreamStore) -> None:
    made, key = await store.api_keys.create("red")
    other, other_key = await store.api_keys.create("red")
    assert await store.api_keys.revoke(made.key_id, "blue") is None
    assert await store.api_keys.revoke("kid_unknown", "red") is None
    assert await _env_of(store, key) == "red"
    revoked = await store.api_keys.revoke(made.key_id, "red")
    assert revoked is not None and revoked.revoked_at is not None
    assert await _env_of(store, key) is None
    assert await store.api_keys.add("red", key) == revoked
    assert await _env_of(store, key) is None
    assert await store.api_keys.revoke(made.key_id, "red") == revoked
    # Made within a millisecond, they have no order.
    listed = await store.api_keys.list("red")
    assert len(listed) == 2 and revoked in listed and other in listed
    assert await _env_of(store, other_key) == "red"


async def test_a_known_key_stays_as_it_is(store: StreamStore) -> None:
    first = await store.api_keys.add("red", "ak_bootstrap_key", label="one")
    assert await store.api_keys.add("blue", "ak_bootstrap_key", label="two", scope=Scope.READ) == first


@pytest.mark.parametrize("env", ["", "-a", "A", "a b", "a:b", "ä", "a" * 64, "a\n"])
async def test_a_wrong_name_of_an_environment(store: StreamStore, env: str) -> None:
    with pytest.raises(ValueError, match="environment"):
        await store.api_keys.create(env)
    assert await store.api_keys.list() == []


@pytest.mark.parametrize("label", ["a\nb", "x" * 101, "\0"])
async def test_a_wrong_label(store: StreamStore, label: str) -> None:
    with pytest.raises(ValueError, match="label"):
        await store.api_keys.create("red", label=label)


async def test_a_rate_admits_its_burst_and_then_its_refill(store: StreamStore) -> None:
    _, key = await store.api_keys.create("red")
    _, other = await store.api_keys.create("red")
    rate = Rate(per_s=0.01, burst=5)  # refills in minutes: nothing of it within this test
    answers = await asyncio.gather(*(store.api_keys.admit(key, rate) for _ in range(8)))
    quotas = [answer[1] for answer in answers if answer is not None]
    assert sorted(quota.remaining for quota in quotas if quota.admitted) == [0, 1, 2, 3, 4]
    refused = [quota for quota in quotas if not quota.admitted]
    assert len(refused) == 3
    assert all(quota.remaining == 0 and 95 < quota.wait_s <= 100 < quota.full_after_s <= 500 for quota in refused)
    # Another key has a bucket of its own, and the bucket goes when it is full again.
    found = await store.api_keys.admit(other, rate)
    assert found is not None and found[1].admitted
    fast = Rate(per_s=500.0, burst=1)
    _, third = await store.api_keys.create("red")
    async with asyncio.timeout(20):
        admitted = 0
        while admitted < 3:
            found = await store.api_keys.admit(third, fast)
            assert found is not None
            admitted += found[1].admitted

"""Viewers over all nodes: what each origin counts is added up, and forgotten when it says nothing more."""

from __future__ import annotations

from antlive.viewer_reports import ViewerReports
from packager.viewers import WITHIN_S, Viewers
from streams.connection import open_redis
from streams.keys import Keys
from streams.store import StreamStore
from streams.viewers import ViewerCounts

EDGE_ID = "lse_" + "e" * 26


async def test_counts_of_origins_are_added_up(store: StreamStore) -> None:
    viewers = store.viewers
    assert await viewers.of(EDGE_ID) == 0
    await viewers.write("node-a", {EDGE_ID: 2, "lse_other": 5})
    await viewers.write("node-b", {EDGE_ID: 3})
    await viewers.write("node-a", {EDGE_ID: 1})
    assert await viewers.of(EDGE_ID) == 4
    assert await viewers.of("lse_other") == 5
    await viewers.write("node-a", {})


async def test_what_an_origin_said_that_is_gone_does_not_count(store: StreamStore) -> None:
    key = store.keys.viewers(EDGE_ID)
    await store.viewers.write("node-b", {EDGE_ID: 3})
    assert 0 < await store.redis.ttl(key) <= 10
    # It has said something at the beginning of 1970, and others have kept the hash alive since.
    await store.redis.hset(key, "node-a", "1000 10")
    assert await store.viewers.of(EDGE_ID) == 3


async def test_many_streams_are_written_at_once(store: StreamStore) -> None:
    counts = {f"lse_{number}": number for number in range(1200)}
    await store.viewers.write("node-a", counts)
    assert [await store.viewers.of(edge_id) for edge_id in ("lse_1", "lse_600", "lse_1199")] == [1, 600, 1199]


async def test_reports_say_what_is_counted_and_that_nobody_is_left(store: StreamStore) -> None:
    now_s = [0.0]
    viewers = Viewers(lambda: now_s[0])
    viewers.seen("a", EDGE_ID, "720p")
    reports = ViewerReports(viewers, store.viewers, "node-a")
    await reports.report()
    assert await store.viewers.of(EDGE_ID) == 1
    now_s[0] = WITHIN_S + 1
    await reports.report()
    assert await store.viewers.of(EDGE_ID) == 0


async def test_reports_go_on_while_redis_is_away() -> None:
    redis = open_redis("redis://127.0.0.1:1/0", timeout_s=0.3)
    viewers = Viewers()
    viewers.seen("a", EDGE_ID)
    reports = ViewerReports(viewers, ViewerCounts(redis, Keys()), "node-a")
    await reports.report()
    reports.start()
    await reports.close()
    await redis.aclose()

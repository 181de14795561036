"""What the metrics are made of: durations, the meter of a session, the tally of a node, viewers, requests."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from antlive.metrics_page import MetricsPage
from antlive.redis_state import RedisState
from antlive.request_meter import LOGGER, RequestMeter
from config.measures import Durations
from config.session import Stats, decode_message, encode_message
from ingest.tally import Tally
from ingest.usage import Usage
from packager.viewers import WITHIN_S, Viewers
from streams.connection import open_redis
from tests.e2e.node import wait_until
from tests.redis_server import redis_server
from transcode.meter import SessionMeter


def test_durations_fall_into_the_bucket_of_their_bound() -> None:
    durations = Durations()
    for duration_s in (0.0, 0.001, 0.0011, 99.0):
        durations.observe(duration_s)
    rows = dict(durations.cumulative())
    assert (rows["0.001"], rows["0.0025"], rows["10.0"], rows["+Inf"]) == (2, 3, 3, 4)
    assert durations.sum_s == pytest.approx(99.0021)


def test_durations_of_other_buckets_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        Durations().add([1, 2], 3.0)


def _stats(meter: SessionMeter) -> Stats:
    message = decode_message(encode_message(meter.take("se_1", backlog=3, av_drift_s=-0.01, cpu_s=0.5)))
    assert isinstance(message, Stats)
    return message


def test_a_meter_tells_each_thing_once_and_the_tally_adds_up() -> None:
    meter, tally = SessionMeter(), Tally()
    for _ in range(2):
        meter.encoded(0.04, 0.01, 0.02)
        meter.count("frames_dropped", 2)
        meter.spend("frozen", 1.5)
        tally.take("high", _stats(meter))
    assert _stats(meter).counts == {} and _stats(meter).durations == {}
    assert tally.counts == {("high", "frames_encoded"): 2, ("high", "frames_dropped"): 4}
    assert tally.seconds["high", "frozen"] == 3.0 and tally.seconds["high", "cpu"] == 1.0
    assert tally.seconds["high", "encoded"] / tally.seconds["high", "encoding"] == pytest.approx(4)
    assert sum(tally.durations["high", "encode"].counts) == 2


def test_the_first_part_of_a_rendition_is_never_late() -> None:
    meter = SessionMeter()
    meter.published("720p", 0.3)
    assert "lateness" not in _stats(meter).durations
    meter.published("720p", -1.0)
    counts, sum_s = _stats(meter).durations["lateness"]
    assert sum(counts) == 1 and 1.0 <= sum_s < 2.0


def test_stats_of_another_version_are_left_out() -> None:
    tally = Tally()
    tally.take(
        "high",
        Stats(
            session_id="se_1", counts={}, seconds={}, durations={"part": ([1], 1.0)}, backlog=0, av_drift_s=0, cpu_s=0
        ),
    )
    assert sum(tally.durations["high", "part"].counts) == 0


def test_bytes_and_packets_of_a_connection_are_counted_once() -> None:
    measured: dict[str, int | float] = {"rtt_ms": 12.5, "packets_lost": 3, "packets_received": 100}

    def transport() -> Mapping[str, int | float] | None:
        return measured

    tally = Tally()
    usage = Usage("srt", transport)
    usage.count(1000, tally)
    measured["packets_lost"] = 5
    usage.count(1500, tally)
    usage.count(1500, tally)
    assert tally.media_bytes == {"srt": 1500}
    assert tally.srt_packets == {"lost": 5, "received": 100}
    assert usage.rtt_ms == 12.5


def test_viewers_are_those_seen_lately() -> None:
    now_s = [0.0]
    viewers = Viewers(lambda: now_s[0])
    for player in ("a", "b", "a"):
        viewers.seen(player, "lse_1")
    assert viewers.count == 2
    now_s[0] = WITHIN_S - 1
    viewers.seen("a", "lse_1")
    now_s[0] = WITHIN_S + 1
    assert viewers.count == 1
    assert viewers.by_stream() == {"lse_1": 1}
    now_s[0] += WITHIN_S
    assert viewers.by_stream() == viewers.by_rendition() == {}


def test_viewers_are_counted_by_stream_and_by_the_video_that_they_follow() -> None:
    viewers = Viewers(lambda: 0.0)
    for player, edge_id, rendition in (
        ("a", "lse_1", ""), ("a", "lse_1", "720p"), ("a", "lse_1", "audio"), ("a", "lse_1", ""),
        ("b", "lse_1", "720p"), ("b", "lse_1", "480p"),
        ("c", "lse_2", "audio"),
        ("d", "lse_2", ""),
    ):  # fmt: skip
        viewers.seen(player, edge_id, rendition)
    assert viewers.by_stream() == {"lse_1": 2, "lse_2": 2}
    assert viewers.by_rendition() == {"720p": 1, "480p": 1, "audio": 1, "": 1}


async def test_only_who_gets_a_live_playlist_here_is_a_viewer() -> None:
    async def playlist(request: web.Request) -> web.Response:
        return web.Response(status=404 if "absent" in request.path else 200)

    app, meter = web.Application(), RequestMeter()
    app.router.add_get("/{tail:.*}", playlist)
    server = TestServer(app)
    await server.start_server(access_log=LOGGER, access_log_class=meter.access_logger())
    async with TestClient(server) as http:
        await http.get("/live/absent/master.m3u8")
        await http.get("/vod/rec_1/master.m3u8")
        await http.get("/live/lse_1/se_1/720p/media.m3u8", headers={"X-Antlive-Proxied": "1"})
        assert meter.viewers.by_stream() == {}
        for address in ("192.0.2.1", "192.0.2.2"):
            await http.get("/live/lse_1/se_1/720p/media.m3u8", headers={"X-Forwarded-For": address})
    assert meter.viewers.by_stream() == {"lse_1": 2}
    assert meter.viewers.by_rendition() == {"720p": 2}


async def test_requests_are_counted_by_kind_and_bytes_as_sent() -> None:
    async def media(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1000)

    app, meter = web.Application(), RequestMeter()
    app.router.add_get("/live/{tail:.*}", media)
    server = TestServer(app)
    await server.start_server(access_log=LOGGER, access_log_class=meter.access_logger())
    async with TestClient(server) as http:
        for path in ("/live/lse_1/master.m3u8", "/live/lse_1/se_1/v/1.m4s", "/nothing"):
            await (await http.get(path)).read()
        await (await http.head("/live/lse_1/se_1/v/1.m4s")).read()
    registry = CollectorRegistry()
    registry.register(meter)
    value = registry.get_sample_value
    assert value("antlive_http_requests_total", {"kind": "media", "status": "2xx"}) == 2
    assert value("antlive_http_requests_total", {"kind": "other", "status": "4xx"}) == 1
    assert value("antlive_http_sent_bytes_total", {"kind": "media"}) == 1000
    assert value("antlive_http_sent_bytes_total", {"kind": "playlist"}) == 1000
    assert meter.viewers.count == 1


async def test_without_redis_and_ingest_the_page_says_so() -> None:
    redis = open_redis("redis://127.0.0.1:1/0", timeout_s=0.3)
    page = MetricsPage("origin", redis, "nobody")
    app = web.Application()
    page.add_to(app)
    async with TestClient(TestServer(app)) as http:

        async def is_down() -> bool:
            text = await (await http.get("/metrics")).text()
            assert "antlive_ingest_up 0.0" in text
            return 'antlive_redis_up{role="origin"} 0.0' in text

        await wait_until(is_down, "Redis to be known as away")
    await redis.aclose()


async def test_what_is_known_of_redis_follows_it_and_a_scrape_asks_nobody() -> None:
    with redis_server() as server:
        redis = open_redis(server.url)
        state = RedisState("origin", redis, every_s=0.02)
        assert not [sample for family in state.collect() for sample in family.samples], "nothing is known yet"
        app = web.Application()
        app.cleanup_ctx.append(state.kept)
        async with TestServer(app):
            for change, is_up in ((server.thaw, 1), (server.freeze, 0), (server.thaw, 1)):
                change()

                async def is_seen(is_up: int = is_up) -> bool:
                    # Not awaited: whoever collects gets what is known.
                    return [sample.value for family in state.collect() for sample in family.samples][:1] == [is_up]

                await wait_until(is_seen, f"redis_up {is_up}")
        await redis.aclose()

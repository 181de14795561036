"""A real cluster and a real Sentinel set that lose their master, a login with least rights, TLS."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from redis.exceptions import RedisError

from config.redis_url import CLUSTER_PREFIX, complete_redis_url
from config.settings import Settings
from streams.api_keys import Scope
from streams.connection import open_redis
from streams.events import decode_event
from streams.ids import key_hash, new_session_id
from streams.keys import Keys
from streams.nodes import NodeRegistry
from streams.recordings import RecordingStore
from streams.state import Event
from streams.store import StreamStore
from tests.certificates import write_certificate
from tests.clips import synthetic_clip
from tests.e2e.node import Node, pushing, running_node, wait_until
from tests.e2e.test_webhooks import OPEN, receiver
from tests.ingest.fakes import node_of
from tests.redis.servers import Cluster, SentinelSet, Server, in_sync, is_master, listens, servers, until

ROOT = Path(__file__).parent.parent.parent
PASSWORD = "hunter22-hunter22"


def acl_line(prefix: str) -> list[str]:
    """The command that the documentation gives, for keys of this prefix."""
    line: str
    (line,) = re.findall(r"^ACL SETUSER .*$", (ROOT / "docs/redis.md").read_text(), re.MULTILINE)
    return line.replace("PASSWORD", PASSWORD).replace("~antlive:", f"~{prefix}").split()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with servers() as (stack, directory):
        yield Cluster(stack, directory, CLUSTER_PREFIX, acl_line(CLUSTER_PREFIX))


def as_user(url: str) -> str:
    return complete_redis_url(url, username="antlive", password=PASSWORD, ca_file=None, prefix=CLUSTER_PREFIX)


@asynccontextmanager
async def store_at(url: str, prefix: str = CLUSTER_PREFIX) -> AsyncIterator[StreamStore]:
    redis = open_redis(url, timeout_s=0.5)
    try:
        yield StreamStore(redis, prefix)
    finally:
        await redis.aclose()


def test_each_command_of_a_script_is_in_the_documented_rights() -> None:
    allowed = {word[1:] for word in acl_line("x") if word.startswith("+")}
    lua = "".join(path.read_text() for path in (ROOT / "streams/lua").glob("*.lua"))
    used = {command.lower() for command in re.findall(r"redis\.call\('(\w+)'", lua)}
    assert len(used) > 30 and used <= allowed


async def new_stream(store: StreamStore) -> tuple[str, str]:
    stream, key = await store.create(
        env="default", name="x", quality="high", low_latency=True, recording=False, reconnect_window_s=9
    )
    return stream.stream_id, key_hash(key)


async def test_a_connection_to_a_master_that_was_demoted_goes_to_the_new_one(cluster: Cluster) -> None:
    async with store_at(as_user(cluster.url)) as store:
        stream_id, hashed = await new_stream(store)
        connections = [store.redis.ping() for _ in range(5)]
        await asyncio.gather(*connections)
        cluster.replica.ask("CLUSTER", "FAILOVER")
        await asyncio.to_thread(until, lambda: is_master(cluster.replica), "the change")
        cluster.master, cluster.replica = cluster.replica, cluster.master
        claim = await store.begin_session(
            stream_id, key_hash=hashed, session_id=new_session_id(), node_id="node"
        )  # the first write after the change: no error
        assert claim.stream.seq == 2
        await store.apply(stream_id, Event.RENDITIONS_READY, session_id=str(claim.stream.session_id), epoch=claim.epoch)
        await store.changes.end_session("default", stream_id)
        await store.changes.delete("default", stream_id)
    await asyncio.to_thread(until, lambda: in_sync(cluster.master), "the demoted master")


async def test_a_node_with_least_rights_on_a_cluster_outlives_the_master(cluster: Cluster, tmp_path: Path) -> None:
    clip = synthetic_clip(tmp_path / "clip.flv", size="320x180")
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    login = {"ANTLIVE_REDIS_USERNAME": "antlive", "ANTLIVE_REDIS_PASSWORD_FILE": str(secret)}
    settings = {"ANTLIVE_REDIS_URL": cluster.url, **login, **OPEN}
    async with receiver() as (webhook_url, got), running_node(tmp_path, **settings) as node:
        webhooks = node.api_url.replace("live-streams", "webhooks")
        async with node.http.post(webhooks, json={"url": webhook_url}, headers=node.auth) as made:
            assert made.status == 201, await made.text()
        stream = await node.create(quality="standard", recording=True)
        stream_id = stream["streamId"]
        async with pushing(clip, stream["ingest"]["rtmpFullUrl"]):
            await node.wait_for_state(stream_id, "live")
            await asyncio.to_thread(until, lambda: in_sync(cluster.master), "the replica")
            cluster.master.kill()
            before = await newest_msn(node, stream)
            await wait_until(lambda: is_past(node, stream, before + 2), "media while there is no master", 15)
            await asyncio.to_thread(
                until, lambda: cluster.replica.info("replication")["role"] == "master", "the change"
            )
            assert (await node.wait_for_state(stream_id, "live", timeout_s=10))["state"] == "live"
        await wait_until(lambda: happened(cluster.replica, stream_id, "disconnected"), "the event after it", 15)
        async with node.http.post(f"{node.api_url}/{stream_id}/end", headers=node.auth) as response:
            assert response.status == 200, await response.text()
        await wait_until(lambda: happened(cluster.replica, stream_id, "ended"), "the end", 15)
        await wait_until(lambda: is_told(got, stream_id, "stream.ended"), "the webhook", 15)
        seqs = [event.seq for event in events_of(cluster.replica, stream_id)]
        assert seqs == list(range(1, len(seqs) + 1))  # none is missing
        assert PASSWORD not in node.log_text()
    await whatever_else_uses_redis(as_user(cluster.url))
    for server in cluster.servers:
        if server.process.poll() is None:
            assert server.ask("ACL", "LOG") == []


async def newest_msn(node: Node, stream: dict[str, Any]) -> int:
    master_url = stream["playback"]["hlsUrl"]
    master = await node.playlist(master_url)
    playlist = await node.playlist(urljoin(master_url, str(master.playlists[0].uri)))
    return int(playlist.media_sequence or 0) + len(playlist.segments)


async def is_past(node: Node, stream: dict[str, Any], msn: int) -> bool:
    return await newest_msn(node, stream) >= msn


async def is_told(got: list[dict[str, Any]], stream_id: str, kind: str) -> bool:
    return any(event["type"] == kind and event["streamId"] == stream_id for event in got)


def events_of(server: Server, stream_id: str) -> list[Any]:
    entries = server.ask("XRANGE", Keys(CLUSTER_PREFIX).events, "-", "+")
    events = [decode_event(fields) for _, fields in entries]
    return [event for event in events if event.stream_id == stream_id]


async def happened(server: Server, stream_id: str, kind: str) -> bool:
    try:
        return any(event.type.value == f"stream.{kind}" for event in events_of(server, stream_id))
    except RedisError:
        return False


async def whatever_else_uses_redis(url: str) -> None:
    """What a node does on occasion: commands of the operator, lists, nodes that are gone."""
    async with store_at(url) as store:
        key, _ = await store.api_keys.create("other", label="x", scope=Scope.READ)
        assert [found.key_id for found in await store.api_keys.list("other")] == [key.key_id]
        assert await store.api_keys.revoke(key.key_id, "other") is not None
        registry = NodeRegistry(store.redis, store.keys)
        await registry.nodes()
        for node_id, stream_ids in (await registry.missing_hosts()).items():
            await registry.reap(node_id, stream_ids)
        assert not await registry.ask_to_drain("nobody", 1)
        await store.list("default", limit=10)
        recordings = RecordingStore(store.redis, store.keys)
        await recordings.of_environment("default", limit=10)


async def test_a_sentinel_set_that_loses_its_master_loses_no_event(tmp_path: Path) -> None:
    with servers() as (stack, directory):
        live = await asyncio.to_thread(SentinelSet, stack, directory)
        async with store_at(live.url, "test:") as store, node_of(store, tmp_path, reconnect_window_s=60) as node:
            encoder = await node.publish()
            node.worker.goes_live()
            await node.wait_for_events("connecting", "live")
            await asyncio.to_thread(until, lambda: in_sync(live.master), "the replica")
            live.master.kill()
            encoder.leave("peer_lost")
            await node.publish()  # back at once: Redis is not asked
            await asyncio.to_thread(until, live.has_changed, "the change")
            await node.wait_for_events("connecting", "live", "disconnected", "reconnected")
            assert await node.state() == "live"


async def test_tls_needs_the_certificate_authority(tmp_path: Path) -> None:
    certificate, key = tmp_path / "redis.crt", tmp_path / "redis.key"
    write_certificate(certificate, key, "redis.test")
    files = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(certificate))
    with servers() as (stack, directory):
        server = Server(stack, directory / "tls", "--tls-auth-clients", "no", *files, tls=True)
        until(lambda: listens(server), "the server")
        url = f"rediss://{server.address}"
        settings = Settings(redis_url=url, redis_ca=certificate)
        async with store_at(str(settings.full_redis_url), "test:") as store:
            await new_stream(store)
        async with store_at(url) as store:
            with pytest.raises(RedisError):
                await store.redis.ping()

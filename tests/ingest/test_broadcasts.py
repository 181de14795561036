"""Admission: keys, claims, Redis away and back, and what a node leaves to its next run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ingest import broadcasts
from ingest.admission import PublishRefused, Refusal
from streams.ids import key_hash, new_session_id
from streams.nodes import Node, NodeRegistry
from streams.store import StreamStore
from tests.ingest.fakes import NODE_ID, new_stream, node_of, wait_until
from tests.redis_server import RedisServer


async def test_a_wrong_key_is_refused_and_not_repeated(store: StreamStore, tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with node_of(store, tmp_path) as node:
            with pytest.raises(PublishRefused) as refused:
                await node.publish("sk_wrongwrongwrong")
    assert refused.value.refusal is Refusal.WRONG_KEY
    assert "wrongwrong" not in f"{refused.value}{logs}"
    assert node.pool.workers == []


async def test_of_many_publishers_at_once_one_is_accepted(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path) as node:
        results = await asyncio.gather(*(node.publish() for _ in range(20)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, PublishRefused)]
        assert len(refused) == 19
        assert {error.refusal for error in refused} == {Refusal.ALREADY_PUBLISHING}
        assert len(node.pool.workers) == 1
        await node.wait_for_events("connecting")


async def test_a_stream_of_another_node_is_refused(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path) as node:
        hashed = key_hash(node.key)
        await store.begin_session(
            node.stream.stream_id, key_hash=hashed, session_id=new_session_id(), node_id="another"
        )
        with pytest.raises(PublishRefused, match="another node") as refused:
            await asyncio.gather(node.publish(), heartbeat_soon(store, "another"))
        assert refused.value.refusal is Refusal.ALREADY_PUBLISHING
        await node.wait_for_events("connecting")


async def heartbeat_soon(store: StreamStore, node_id: str) -> None:
    """As another node does: it is alive, a moment after it was asked about."""
    await asyncio.sleep(0.3)
    await NodeRegistry(store.redis, store.keys).heartbeat(Node(node_id=node_id, url=""), [])


async def test_without_redis_an_encoder_is_told_to_try_again(
    server: RedisServer, store: StreamStore, tmp_path: Path
) -> None:
    async with node_of(store, tmp_path) as node:
        server.stop()
        with pytest.raises(PublishRefused) as refused:
            await node.publish()
        assert refused.value.refusal is Refusal.TRY_AGAIN


@pytest.mark.parametrize("error", [OSError("no memory"), EOFError()])
async def test_without_a_worker_the_stream_is_in_error_and_the_next_try_works(
    store: StreamStore, tmp_path: Path, error: Exception
) -> None:
    async with node_of(store, tmp_path) as node:
        node.pool.error = error
        with pytest.raises(PublishRefused) as refused:
            await node.publish()
        assert refused.value.refusal is Refusal.TRY_AGAIN
        node.pool.error = None
        await node.publish()
        events = await node.wait_for_events("connecting", "error", "connecting")
        assert events[1].reason == "worker_not_started"


async def test_a_session_goes_on_while_redis_hangs_and_its_states_follow_in_order(
    server: RedisServer, store: StreamStore, tmp_path: Path
) -> None:
    with capture_logs() as logs:
        async with node_of(store, tmp_path, reconnect_window_s=60) as node:
            encoder = await node.publish()
            server.freeze()
            node.worker.goes_live()
            await wait_until(lambda: _logged(logs, "transition_delayed"), lambda: "the first try to fail")
            encoder.send(b"still here")
            encoder.leave("clean")
            assert await asyncio.get_running_loop().sock_recv(node.worker.media[0], 100) == b"still here"
            server.thaw()
            events = await node.wait_for_events("connecting", "live", "disconnected")
            assert len({event.id for event in events}) == 3
            assert [event.at for event in events] == sorted(event.at for event in events)
            # The times are those of what happened, not of what was written when.
            assert (events[2].at - events[1].at).total_seconds() < 5


async def test_a_stream_that_is_gone_from_redis_ends_its_transitions(
    server: RedisServer, store: StreamStore, tmp_path: Path
) -> None:
    with capture_logs() as logs:
        async with node_of(store, tmp_path) as node:
            encoder = await node.publish()
            server.stop()
            node.worker.goes_live()
            await wait_until(lambda: _logged(logs, "transition_delayed"), lambda: "the first try to fail")
            server.start()  # without what it held
            encoder.leave()
            await wait_until(lambda: _logged(logs, "transition_refused", 3), lambda: "three refusals")
            assert await node.events() == []


async def test_a_claim_whose_answer_was_lost_is_dropped_at_the_next_publish(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path) as node:
        hashed = key_hash(node.key)
        await store.begin_session(node.stream.stream_id, key_hash=hashed, session_id=new_session_id(), node_id=NODE_ID)
        await node.publish()
        events = await node.wait_for_events("connecting", "ended", "connecting")
        assert events[1].reason == "claim_lost"
        assert events[1].session_id != events[2].session_id == node.worker.session_id


async def test_a_publisher_right_after_the_end_waits_until_the_end_is_in_redis(
    server: RedisServer, store: StreamStore, tmp_path: Path
) -> None:
    with capture_logs() as logs:
        async with node_of(store, tmp_path, reconnect_window_s=60) as node:
            await node.publish()
            server.freeze()
            node.worker.fails("pipeline_failed")
            await wait_until(lambda: _logged(logs, "transition_delayed"), lambda: "the first try to fail")
            server.thaw()
            await node.publish()
            await node.wait_for_events("connecting", "error", "connecting")


async def test_recover_ends_what_the_last_run_left_and_removes_its_media(store: StreamStore, tmp_path: Path) -> None:
    left, key = await new_stream(store)
    other, other_key = await new_stream(store)
    for stream, secret, node_id in ((left, key, NODE_ID), (other, other_key, "another")):
        await store.begin_session(
            stream.stream_id, key_hash=key_hash(secret), session_id=new_session_id(), node_id=node_id
        )
    (tmp_path / left.edge_id / "se_old").mkdir(parents=True)
    (tmp_path / "somebody_elses").mkdir()
    async with node_of(store, tmp_path, recover=True):
        found = [await store.get("default", stream.stream_id) for stream in (left, other)]
        assert [(stream.state.value, stream.reason) for stream in found if stream] == [
            ("ended", "node_restarted"),
            ("connecting", "publish_accepted"),
        ]
        assert [path.name for path in await asyncio.to_thread(lambda: list(tmp_path.iterdir()))] == ["somebody_elses"]


async def test_close_ends_every_session_and_waits_for_its_state(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path, reconnect_window_s=60) as node:
        encoder = await node.publish()
        node.worker.goes_live()
        await node.broadcasts.close()
        assert encoder.closed == ["node_stopped"]
        assert [event.type.value for event in await node.events()] == [
            "stream.connecting",
            "stream.live",
            "stream.ended",
        ]
        assert await node.state() == "ended"


async def test_close_waits_neither_for_redis_nor_for_a_worker_that_hangs(
    server: RedisServer, store: StreamStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcasts, "_CLOSE_S", 0.05)
    with capture_logs() as logs:
        async with node_of(store, tmp_path) as node:
            await node.publish()
            node.worker.hangs = True
            server.freeze()
            await asyncio.wait_for(node.broadcasts.close(), 5)
            server.thaw()
    assert [line["sessions"] for line in logs if line["event"] == "sessions_cut"][:1] == [1]


async def test_a_worker_that_does_not_end_its_session_is_given_up(
    store: StreamStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcasts, "_END_S", 0.05)
    with capture_logs() as logs:
        async with node_of(store, tmp_path) as node:
            encoder = await node.publish()
            node.worker.hangs = True
            encoder.leave()
            await wait_until(lambda: _logged(logs, "session_not_ended"), lambda: "the session to be given up")
            assert node.pool.given_up == [node.worker] and node.pool.released == []
            await node.publish()


async def test_media_of_an_ended_session_go_after_the_retention(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path, retention_s=0) as node:
        for _ in range(5):
            encoder = await node.publish()
            session_dir = tmp_path / node.stream.edge_id / node.worker.session_id
            session_dir.mkdir(parents=True)
            (session_dir.parent / "current").write_text(node.worker.session_id)
            encoder.leave()
            await wait_until(lambda: _gone(session_dir), lambda: f"{session_dir} to go")  # noqa: B023
        await wait_until(lambda: _gone(tmp_path / node.stream.edge_id), lambda: "the stream's directory to go")


async def test_a_new_session_keeps_its_media_when_the_old_one_goes(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path, retention_s=0.2) as node:
        edge_dir = tmp_path / node.stream.edge_id
        encoder = await node.publish()
        old_dir = edge_dir / node.worker.session_id
        old_dir.mkdir(parents=True)
        encoder.leave()
        await node.wait_for_events("connecting", "disconnected", "ended")
        await node.publish()
        (edge_dir / "current").write_text(node.worker.session_id)
        await wait_until(lambda: _gone(old_dir), lambda: f"{old_dir} to go")
        assert (edge_dir / "current").read_text() == node.worker.session_id


async def _logged(logs: Sequence[Mapping[str, Any]], event: str, times: int = 1) -> bool:
    return len([line for line in logs if line["event"] == event]) >= times


async def _gone(path: Path) -> bool:
    return not await asyncio.to_thread(path.exists)

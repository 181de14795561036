"""Admission: keys, claims, Redis away and back, and what a node leaves to its next run."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from config.session import Ended, Hosting
from ingest import broadcasts
from ingest.admission import PublishRefused, Refusal
from ingest.workers import WORKER_DIED
from streams.events import StreamEvent, decode_event
from streams.ids import key_hash, new_session_id
from streams.model import Claim
from streams.nodes import Node, NodeRegistry
from streams.state import Event
from streams.store import StreamStore
from tests.ingest.fakes import NODE_ID, FakePool, FakeWorker, new_stream, node_of, wait_until
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


async def begun(store: StreamStore, window_s: int = 60, node_id: str = NODE_ID) -> Claim:
    """A live session of a node that is gone."""
    stream, key = await new_stream(store, window_s)
    claim = await store.begin_session(
        stream.stream_id, key_hash=key_hash(key), session_id=new_session_id(), node_id=node_id
    )
    session_id = str(claim.stream.session_id)
    await store.apply(stream.stream_id, Event.RENDITIONS_READY, session_id=session_id, epoch=claim.epoch)
    return claim


def leave_journal(media_dir: Path, claim: Claim, age_s: float = 0) -> Path:
    """The session's files as far as ingest looks at them."""
    directory = media_dir / claim.stream.edge_id / str(claim.stream.session_id)
    directory.mkdir(parents=True)
    journal = directory / "journal.jsonl"
    journal.touch()
    os.utime(journal, (time.time() - age_s,) * 2)
    return directory


async def test_recover_ends_what_can_not_go_on_and_removes_its_media(store: StreamStore, tmp_path: Path) -> None:
    lost, late, elsewhere = await begun(store), await begun(store, window_s=20), await begun(store, node_id="another")
    leave_journal(tmp_path, late, age_s=21)
    (tmp_path / lost.stream.edge_id / "se_old").mkdir(parents=True)
    (tmp_path / "somebody_elses").mkdir()
    async with node_of(store, tmp_path, recover=True) as node:
        found = [await store.get("default", claim.stream.stream_id) for claim in (lost, late, elsewhere)]
        assert [(stream.state.value, stream.reason) for stream in found if stream] == [
            ("ended", "node_restarted"),
            ("ended", "node_restarted"),
            ("live", "renditions_ready"),
        ]
        assert [path.name for path in await asyncio.to_thread(lambda: list(tmp_path.iterdir()))] == ["somebody_elses"]
        assert node.pool.workers == []


async def test_recover_goes_on_with_sessions_whose_worker_is_there(store: StreamStore, tmp_path: Path) -> None:
    was_connected, was_away, over = [await begun(store, window_s=1 + index) for index in range(3)]
    directory = leave_journal(tmp_path, was_connected)
    await store.apply(
        over.stream.stream_id, Event.ENDED_BY_API, session_id=str(over.stream.session_id), epoch=over.epoch
    )
    pool, worker = FakePool(), FakeWorker()
    for claim, connected in ((was_connected, True), (was_away, False), (over, False)):
        session_id = str(claim.stream.session_id)
        hosting = Hosting(
            session_id=session_id,
            edge_id=claim.stream.edge_id,
            quality="standard",
            live=True,
            away_s=1.9 * (not connected),
            was_connected=connected,
        )
        pool.hosted[session_id] = worker, hosting
        worker.reports[session_id] = lambda _report: None
    async with node_of(store, tmp_path, recover=True, pool=pool):
        assert worker.ended == [over.stream.session_id]
        assert directory.is_dir() and worker.specs == [] == pool.workers
        # One has a whole window from now on, the other the rest of its window.
        await wait_until(lambda: _state_is(store, was_away, "ended"), lambda: "the rest of a window", 1)
        await wait_until(lambda: _state_is(store, was_connected, "ended"), lambda: "a window")
        names = {}
        for claim in (was_connected, was_away):
            events = await _events(store, claim)
            names[claim.stream.stream_id] = [(event.type.value, event.reason) for event in events][-2:]
        assert names[was_connected.stream.stream_id] == [
            ("stream.disconnected", "ingest_restarted"),
            ("stream.ended", "window_over"),
        ]
        assert names[was_away.stream.stream_id] == [
            ("stream.live", "renditions_ready"),
            ("stream.ended", "window_over"),
        ]


async def test_recover_gives_sessions_whose_files_are_there_another_worker(store: StreamStore, tmp_path: Path) -> None:
    claim = await begun(store)
    leave_journal(tmp_path, claim)
    async with node_of(store, tmp_path, recover=True) as node:
        assert node.worker.session_id == claim.stream.session_id
        await wait_until(lambda: _last_reason_is(store, claim, "ingest_restarted"), lambda: "the event")
        # What it finds may be over: nothing follows.
        node.worker.reports[node.worker.session_id](Ended(session_id=node.worker.session_id))
        await wait_until(lambda: _state_is(store, claim, "ended"), lambda: "the state")


async def _events(store: StreamStore, claim: Claim) -> list[StreamEvent]:
    entries = await store.redis.xrange(store.keys.events) or []
    events = [decode_event(fields) for _, fields in entries if fields]
    return [event for event in events if event.stream_id == claim.stream.stream_id]


async def _last_reason_is(store: StreamStore, claim: Claim, reason: str) -> bool:
    return (await _events(store, claim))[-1].reason == reason


async def _state_is(store: StreamStore, claim: Claim, state: str) -> bool:
    stream = await store.get("default", claim.stream.stream_id)
    return stream is not None and stream.state.value == state


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
            node.worker.fails(WORKER_DIED)  # the pool ends its workers next
            await asyncio.sleep(0)
            assert len(node.pool.workers) == 1
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

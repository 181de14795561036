"""One stream's sessions: window, take-over, failures, and the events of each, in order."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from config.session import Failed
from ingest.admission import PublishRefused, Refusal
from streams.store import StreamStore
from tests.ingest.fakes import QUICK, OneStreamNode, closed, node_of, wait_until


async def test_a_session_from_publish_to_the_end_of_its_window(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path) as node:
        encoder = await node.publish()
        node.worker.goes_live()
        node.worker.goes_live()
        encoder.send(b"one")
        encoder.send(b"two")
        encoder.leave("clean")
        assert await closed(node.worker.media[0]) == b"onetwo"
        events = await node.wait_for_events("connecting", "live", "disconnected", "ended")
        assert [event.reason for event in events[2:]] == ["clean", "window_over"]
        assert {event.session_id for event in events} == {node.worker.session_id}
        stream = await store.get("default", node.stream.stream_id)
        assert stream is not None and stream.started_at is not None and stream.ended_at is not None
        assert stream.started_at <= stream.ended_at
        assert node.worker.ended == [node.worker.session_id]


async def test_an_encoder_that_is_back_within_the_window_goes_on_with_its_session(
    store: StreamStore, tmp_path: Path
) -> None:
    async with node_of(store, tmp_path, reconnect_window_s=60) as node:
        (await node.publish()).leave("connection_broken")
        node.worker.goes_live()
        (await node.publish()).leave("connection_broken")
        await node.publish()
        events = await node.wait_for_events(
            "connecting", "disconnected", "live", "reconnected", "disconnected", "reconnected"
        )
        assert len({event.session_id for event in events}) == 1
        assert len(node.pool.workers) == 1 and len(node.worker.media) == 3


async def test_after_the_window_the_next_publish_begins_a_new_session(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path) as node:
        for _ in range(3):
            encoder = await node.publish()
            encoder.leave()
            await wait_until(lambda: _is(node.state, "ended"), lambda: "ended")
        events = await node.wait_for_events(*("connecting", "disconnected", "ended") * 3)
        assert len({event.session_id for event in events}) == 3
        await wait_until(lambda: _true(len(node.pool.released) == 3), lambda: "three workers released")


async def test_the_end_of_a_window_waits_for_no_encoder_that_came_back_in_time(
    store: StreamStore, tmp_path: Path
) -> None:
    async with node_of(store, tmp_path, reconnect_window_s=1) as node:
        node_encoder = await node.publish()
        node.worker.goes_live()
        node_encoder.leave()
        back = await node.publish()
        other, other_key = await store.create(
            env="default", name="other", quality="standard", low_latency=True, recording=False, reconnect_window_s=1
        )
        (await node.publish(other_key)).leave()
        # Its window began after the first one's, so a timer that was left running would have fired by then.
        await wait_until(lambda: _ended(store, other.stream_id), lambda: "the other stream's end")
        assert await node.state() == "live" and back.closed == []


async def test_a_second_publisher_is_refused_while_the_first_delivers(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path, limits=replace(QUICK, takeover_silence_s=60)) as node:
        first = await node.publish()
        first.send()
        with pytest.raises(PublishRefused, match="another encoder") as refused:
            await node.publish()
        assert refused.value.refusal is Refusal.ALREADY_PUBLISHING
        assert first.closed == [] and len(node.worker.media) == 1


async def test_a_silent_publisher_is_taken_over_without_an_event(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path) as node:
        first = await node.publish()
        node.worker.goes_live()
        second = None

        async def accepted() -> bool:
            nonlocal second
            try:
                second = await node.publish()
            except PublishRefused as refused:
                assert refused.refusal is Refusal.ALREADY_PUBLISHING
            return second is not None

        await wait_until(accepted, lambda: "a take-over")
        assert second is not None
        assert first.closed == ["taken_over"]
        first.send(b"late")
        first.leave("peer_closed")
        second.send(b"new")
        second.leave()
        assert await closed(node.worker.media[0]) == b""
        assert await closed(node.worker.media[1]) == b"new"
        await node.wait_for_events("connecting", "live", "disconnected", "ended")


async def test_encoders_that_fall_silent_in_turn_swap_more_slowly(store: StreamStore, tmp_path: Path) -> None:
    limits = replace(QUICK, takeover_silence_s=0.1)
    async with node_of(store, tmp_path, limits=limits, reconnect_window_s=60) as node:
        await node.publish(address="10.0.0.1:1")
        node.worker.goes_live()
        waited_s = []
        for turn in range(4):
            began_s = asyncio.get_running_loop().time()
            await _take_over(node, f"10.0.0.{turn % 2}:1")
            waited_s.append(asyncio.get_running_loop().time() - began_s)
        assert waited_s[1] >= 0.2 and min(waited_s[2:]) >= 0.4
        began_s = asyncio.get_running_loop().time()
        await _take_over(node, "10.0.0.1:2")
        assert asyncio.get_running_loop().time() - began_s < 0.4, "an encoder that returns to its own stream waited"
        await node.wait_for_events("connecting", "live")


async def _take_over(node: OneStreamNode, address: str) -> None:
    async def accepted() -> bool:
        with suppress(PublishRefused):
            await node.publish(address=address)
            return True
        return False

    await wait_until(accepted, lambda: "a take-over")


@pytest.mark.parametrize(("reason", "events"), [("clean", ["ended"]), ("connection_broken", ["disconnected"])])
async def test_a_clean_stop_may_end_the_session_at_once(
    store: StreamStore, tmp_path: Path, reason: str, events: list[str]
) -> None:
    async with node_of(store, tmp_path, reconnect_window_s=60, clean_stop_ends=True) as node:
        encoder = await node.publish()
        node.worker.goes_live()
        encoder.leave(reason)
        found = await node.wait_for_events("connecting", "live", *events)
        assert found[-1].reason == ("clean_stop" if reason == "clean" else reason)


async def test_by_default_a_clean_stop_is_waited_for_like_any_other(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path, reconnect_window_s=60) as node:
        encoder = await node.publish()
        node.worker.goes_live()
        encoder.leave("clean")
        await node.wait_for_events("connecting", "live", "disconnected")


async def test_no_usable_media_is_an_error(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path, limits=replace(QUICK, no_usable_media_s=0.05)) as node:
        encoder = await node.publish()
        events = await node.wait_for_events("connecting", "error")
        assert events[-1].reason == "no_usable_media"
        assert encoder.closed == ["no_usable_media"]
        assert node.worker.ended == [node.worker.session_id]


async def test_a_live_session_may_be_without_new_pictures(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path, limits=replace(QUICK, no_usable_media_s=0.05)) as node:
        await node.publish()
        node.worker.goes_live()
        other, other_key = await store.create(
            env="default", name="other", quality="standard", low_latency=True, recording=False, reconnect_window_s=0
        )
        await node.publish(other_key)
        await wait_until(lambda: _ended(store, other.stream_id, "error"), lambda: "the other stream's error")
        assert await node.state() == "live"


@pytest.mark.parametrize("code", ["unsupported_codec", "bad_media", "pipeline_failed"])
@pytest.mark.parametrize("live", [False, True])
async def test_a_failure_ends_in_error_with_its_reason(
    store: StreamStore, tmp_path: Path, code: str, live: bool
) -> None:
    with capture_logs() as logs:
        async with node_of(store, tmp_path, reconnect_window_s=60) as node:
            encoder = await node.publish()
            if live:
                node.worker.goes_live()
            node.worker.fails(code)
            events = await node.wait_for_events(*["connecting", "live", "error"][:: 1 if live else 2])
            assert events[-1].reason == code
            assert encoder.closed == [code]
            await node.publish()
            assert len(node.pool.workers) == 2
            assert await node.state() == "connecting"
    failed = [line for line in logs if line["event"] == "session_failed"]
    assert [line["code"] for line in failed] == [code]
    assert not [line for line in logs if line["event"] == "transition_refused"]


async def test_a_failure_while_the_encoder_is_away_is_an_error_at_once(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path, reconnect_window_s=60) as node:
        (await node.publish()).leave()
        node.worker.fails("pipeline_failed")
        await node.wait_for_events("connecting", "disconnected", "error")


async def test_a_worker_that_dies_is_replaced_and_the_encoder_stays(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path, reconnect_window_s=60) as node:
        encoder = await node.publish()
        node.worker.goes_live()
        for buffers in (FILE_HEADER, AVC_CONFIG, AAC_CONFIG, PICTURE, PICTURE):
            encoder.send_buffers(buffers)
        first = node.worker
        first.fails("worker_died")
        first.media[0].close()
        encoder.send_buffers(PICTURE)  # to nobody
        await wait_until(lambda: _true(bool(node.worker is not first and node.worker.media)), lambda: "a new worker")
        assert node.worker.session_id == first.session_id
        node.worker.goes_live()
        encoder.send_buffers(LAST_PICTURE)
        encoder.leave()
        told = await closed(node.worker.media[0])
        assert told == b"".join(map(b"".join, (FILE_HEADER, AVC_CONFIG, AAC_CONFIG, LAST_PICTURE)))
        await node.wait_for_events("connecting", "live", "disconnected")
        assert encoder.closed == []


async def test_a_worker_that_dies_again_and_again_is_an_error(store: StreamStore, tmp_path: Path) -> None:
    limits = replace(QUICK, worker_restarts=2)
    async with node_of(store, tmp_path, reconnect_window_s=60, limits=limits) as node:
        encoder = await node.publish()
        node.worker.goes_live()
        for count in (1, 2, 3):
            assert encoder.closed == []
            node.worker.fails("worker_died")
            await wait_until(lambda: _true(len(node.pool.workers) == count + 1), lambda: "another worker")  # noqa: B023
        events = await node.wait_for_events("connecting", "live", "error")
        assert events[-1].reason == "worker_died" and encoder.closed == ["worker_died"]
        assert {worker.session_id for worker in node.pool.workers} == {events[-1].session_id}
        # The last one only closes the playlists.
        await wait_until(lambda: _true(bool(node.pool.released)), lambda: "release")
        assert node.worker.ended == [node.worker.session_id] and not node.worker.media


async def test_a_worker_that_fails_may_still_write_its_last_bytes(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path) as node:
        await node.publish()
        worker = node.worker
        worker.hangs = True
        worker.fails("pipeline_failed")
        await node.wait_for_events("connecting", "error")
        assert node.pool.released == []
        worker.hangs = False
        worker.end(worker.session_id)
        await wait_until(lambda: _true(node.pool.released == [worker]), lambda: "release")


async def test_what_the_worker_said_last_is_the_reason_when_its_socket_breaks(
    store: StreamStore, tmp_path: Path
) -> None:
    async with node_of(store, tmp_path, reconnect_window_s=60) as node:
        encoder = await node.publish()
        worker = node.worker
        failed = Failed(session_id=worker.session_id, code="unsupported_codec", message="as the test wants")

        def read_reports() -> None:
            worker.reports[worker.session_id](failed)

        worker.read_reports = read_reports  # type: ignore[method-assign]
        worker.media[0].close()
        encoder.send()
        await node.wait_for_events("connecting", "error")
        assert encoder.closed == ["unsupported_codec"]


async def test_reports_after_the_end_change_nothing(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path) as node:
        (await node.publish()).leave()
        worker = node.worker
        await node.wait_for_events("connecting", "disconnected", "ended")
        worker.goes_live()
        worker.reports[worker.session_id](Failed(session_id=worker.session_id, code="worker_died", message=""))
        await node.broadcasts.close()
        await node.wait_for_events("connecting", "disconnected", "ended")


def flv_tag(tag_type: int, body: bytes) -> list[bytes]:
    return [bytes((tag_type, 0, 0, len(body), 0, 0, 0, 0, 0, 0, 0)), body, (11 + len(body)).to_bytes(4, "big")]


FILE_HEADER = [b"FLV\1\5\0\0\0\11\0\0\0\0"]
AVC_CONFIG = flv_tag(9, b"\x17\0\0\0\0configuration")
AAC_CONFIG = flv_tag(8, b"\xaf\0\x11\x90")
PICTURE = flv_tag(9, b"\x17\1\0\0\0picture")
LAST_PICTURE = flv_tag(9, b"\x17\1\0\0\0last picture")


async def _true(value: bool) -> bool:
    return value


async def _is(state: object, expected: str) -> bool:
    assert callable(state)
    return bool(await state() == expected)


async def _ended(store: StreamStore, stream_id: str, state: str = "ended") -> bool:
    stream = await store.get("default", stream_id)
    return stream is not None and stream.state.value == state

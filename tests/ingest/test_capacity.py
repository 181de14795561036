"""What fits on a node: costs by tier and source, admission, and readiness with hysteresis."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from config.costs import PASSTHROUGH_UNITS, session_units
from config.ladders import LADDERS
from config.session import Health
from ingest.admission import PublishRefused, Refusal
from ingest.capacity import Capacity
from streams.ids import key_hash, new_session_id
from streams.store import StreamStore
from tests.ingest.fakes import new_stream, node_of


def test_a_session_costs_by_the_pixels_that_it_encodes() -> None:
    standard, high = LADDERS["standard"], LADDERS["high"]
    assert session_units(None) == PASSTHROUGH_UNITS
    assert session_units(standard) == session_units(standard, 720, 30)
    assert 1.8 < session_units(high) / session_units(standard) < 2.5
    assert session_units(standard, 720, 60) > 1.4 * session_units(standard, 720, 30)
    assert session_units(standard, 720, 60) == session_units(standard, 720, 240)  # dropped before they are encoded
    assert session_units(standard, 360, 30) < session_units(standard, 480, 30) < session_units(standard, 720, 30)
    assert session_units(standard, 1080, 30) > session_units(standard, 720, 30)  # more to decode


class Node:
    """Capacity of 100 units beside what a test says is used; tiers cost 40 and 10, `huge` more than all of it."""

    def __init__(self) -> None:
        self.in_use = 0.0
        self.changes: list[bool] = []
        costs = {"ladder": 40.0, "small": 10.0, "huge": 500.0, "passthrough": 1.0}
        self.capacity = Capacity(costs, lambda: self.in_use)
        self.capacity.on_change = lambda: self.changes.append(self.capacity.is_full)

    def use(self, units: float) -> None:
        self.in_use = units
        self.capacity.look()


def test_a_session_fits_while_its_units_are_free() -> None:
    node = Node()
    assert node.capacity.has_room("ladder")  # not known yet: nobody is refused
    node.capacity.units = 100
    node.use(60)
    assert node.capacity.has_room("ladder")
    with node.capacity.reserved("small"):
        assert not node.capacity.has_room("ladder") and node.capacity.free == 30
    assert node.capacity.has_room("ladder") and not node.capacity.has_room("huge")
    assert not node.capacity.has_room("a tier that nobody knows")  # costs as much as the dearest
    node.use(130)
    assert node.capacity.free == 0 and not node.capacity.has_room("passthrough")


def test_a_node_without_work_tries_what_is_asked_of_it() -> None:
    node = Node()
    node.capacity.units = 1
    assert node.capacity.has_room("huge") and not node.capacity.takes_no_ladder and not node.capacity.is_full
    with node.capacity.reserved("huge"):
        assert not node.capacity.has_room("passthrough")
    node.use(0.5)
    assert not node.capacity.has_room("small") and node.capacity.is_full


def test_readiness_falls_when_a_tier_does_not_fit_and_comes_back_with_hysteresis() -> None:
    node = Node()
    node.capacity.units = 100
    with capture_logs() as logs:
        for units, is_full in ((60, False), (61, True), (60, True), (55, True), (50, False), (60, False), (90, True)):
            node.use(units)
            assert node.capacity.is_full is is_full, units
        node.use(95)
    assert node.changes == [True, False, True, True]
    assert [line["event"] for line in logs] == ["node_full", "node_has_room", "node_full"]


def test_a_node_that_can_carry_one_session_only_is_ready_again_when_it_is_empty() -> None:
    node = Node()
    node.capacity.units = 41
    assert not node.capacity.is_full
    node.use(40)
    assert node.capacity.is_full and node.capacity.takes_no_ladder
    node.use(0)
    assert not node.capacity.is_full


async def test_a_full_node_refuses_what_is_new_and_nothing_else(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path, reconnect_window_s=60) as node:
        capacity = node.broadcasts.capacity
        capacity.units = session_units(LADDERS["standard"]) + 1
        encoder = await node.publish()
        other, other_key = await new_stream(store)
        with pytest.raises(PublishRefused, match="full") as refused:
            await node.publish(other_key)
        assert refused.value.stream_id == other.stream_id
        assert refused.value.refusal is Refusal.FULL
        assert node.broadcasts.tally.refused["rtmp", "full"] == 1
        encoder.leave("peer_lost")
        await node.publish()  # it is back
        assert capacity.is_full and node.worker.media[1:]

        moved, moved_key = await new_stream(store)
        await store.begin_session(
            moved.stream_id, key_hash=key_hash(moved_key), session_id=new_session_id(), node_id="gone"
        )
        await store.redis.hset(store.keys.session(moved.stream_id), "delivering", "0")
        await node.publish(moved_key)  # the session of another node that goes on here
        assert capacity.used > capacity.units


async def test_what_a_session_costs_is_known_better_once_its_source_is(store: StreamStore, tmp_path: Path) -> None:
    async with node_of(store, tmp_path) as node:
        await node.publish()
        expected = node.broadcasts.capacity.used
        video = {"codec": "h264", "width_px": 640, "height_px": 360, "fps_measured": 30.0, "bitrate_bps": 1}
        fields = {"bitrate_bps": 1, "video": video, "timestamp_jumps": 0}
        node.worker.reports[node.worker.session_id](Health(session_id=node.worker.session_id, fields=fields))
        assert node.broadcasts.capacity.used == session_units(LADDERS["standard"], 360, 30) < expected

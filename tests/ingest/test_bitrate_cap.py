"""The cap on what an encoder may send."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from config.ladders import LADDERS
from config.limits import LIMITS
from ingest.bitrate_cap import BitrateCap, cap_bps
from streams.store import StreamStore
from tests.ingest.fakes import QUICK, closed, node_of, wait_until

LIMIT_BPS = 8_000_000


@pytest.mark.parametrize(
    ("quality", "expected_bps"),
    [("standard", 3 * 5_128_000), ("high", 3 * 9_328_000), ("passthrough", 60_000_000)],
)
def test_the_cap_is_three_times_the_tier(quality: str, expected_bps: int) -> None:
    assert cap_bps(LADDERS.get(quality), LIMITS) == expected_bps


@pytest.mark.parametrize(
    ("name", "each_second_bytes", "exceeded"),
    [
        ("at the cap for an hour", [1_000_000] * 3600, False),
        ("a little above it", [1_130_000] * 70, True),
        ("a burst after a stall", [1_000_000] * 5 + [0] * 8 + [9_000_000] + [1_000_000] * 60, False),
        ("far above it at once", [1_000_000, 12_000_000], True),
    ],
)
def test_what_is_too_much(name: str, each_second_bytes: list[int], exceeded: bool) -> None:
    cap = BitrateCap(LIMIT_BPS, window_s=10)
    total_bytes, found = 0, []
    for second, size_bytes in enumerate(each_second_bytes):
        total_bytes += size_bytes
        found.append(cap.exceeded(total_bytes, float(second)))
    assert any(found[:-1]) is False
    assert found[-1] is exceeded, name


async def test_an_encoder_above_the_cap_is_cut_with_a_reason(
    store: StreamStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.bitrate_cap.CHECK_EVERY_S", 0.02)
    limits = replace(QUICK, bitrate_times_tier=0.001, bitrate_window_s=1.0)
    async with node_of(store, tmp_path, limits=limits) as node:
        encoder = await node.publish()
        node.worker.goes_live()
        encoder.send(bytes(100))
        encoder.send(bytes(10_000))
        await wait_until(lambda: _is(encoder.closed == ["bitrate_too_high"]), lambda: str(encoder.closed))
        encoder.leave("bitrate_too_high")
        assert await closed(node.worker.media[0]) == bytes(10_100)
        events = await node.wait_for_events("connecting", "live", "disconnected", "ended")
        assert events[2].reason == "bitrate_too_high"


async def _is(condition: bool) -> bool:
    return condition

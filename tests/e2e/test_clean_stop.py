"""An encoder that stops properly, over both protocols: held like any other, or the end of its session."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.inside import wait_for_events
from tests.e2e.node import Node, pushing, running_node

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROTOCOLS = [("rtmpFullUrl", "flv"), ("srtFullUrl", "mpegts")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict_node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """A node on which a clean stop ends the session; its window is longer than any test."""
    directory = tmp_path_factory.mktemp("strict-node")
    async with running_node(directory, ANTLIVE_CLEAN_STOP_ENDS="true", ANTLIVE_RECONNECT_WINDOW_S="600") as running:
        yield running


async def push_and_stop(node: Node, clip: Path, protocol: tuple[str, str], how: signal.Signals) -> str:
    """The id of a stream that was live and whose ffmpeg got this signal; Ctrl-C's is a clean stop."""
    stream = await node.create()
    url, container = protocol
    async with pushing(clip, stream["ingest"][url], container=container) as encoder:
        await node.wait_for_state(stream["streamId"], "live")
        encoder.send_signal(how)
        await encoder.wait()
    return str(stream["streamId"])


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=["rtmp", "srt"])
async def test_a_clean_stop_is_waited_for(node: Node, tiny_clip: Path, protocol: tuple[str, str]) -> None:
    stream_id = await push_and_stop(node, tiny_clip, protocol, signal.SIGINT)
    events = await wait_for_events(node, stream_id, "connecting", "live", "disconnected")
    assert events[-1].reason == "clean"
    assert (await node.stream(stream_id))["state"] == "live"


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=["rtmp", "srt"])
async def test_where_it_is_configured_a_clean_stop_ends_the_session(
    strict_node: Node, tiny_clip: Path, protocol: tuple[str, str]
) -> None:
    stream_id = await push_and_stop(strict_node, tiny_clip, protocol, signal.SIGINT)
    events = await wait_for_events(strict_node, stream_id, "connecting", "live", "ended")
    assert events[-1].reason == "clean_stop"
    assert (await strict_node.stream(stream_id))["state"] == "ended"


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=["rtmp", "srt"])
async def test_an_encoder_that_is_lost_is_waited_for_all_the_same(
    strict_node: Node, tiny_clip: Path, protocol: tuple[str, str]
) -> None:
    stream_id = await push_and_stop(strict_node, tiny_clip, protocol, signal.SIGKILL)
    events = await wait_for_events(strict_node, stream_id, "connecting", "live", "disconnected")
    assert events[-1].reason in ("peer_closed", "connection_broken", "peer_lost")

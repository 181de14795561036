"""Ingest health of real encoders, as the API shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clips import synthetic_clip
from tests.e2e.inside import role
from tests.e2e.node import Node, pushing, running_node, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def health_of(node: Node, stream: dict[str, Any], *codes: str) -> dict[str, Any]:
    """The health of a stream once it has a frame rate and these warnings, and only these."""
    found: dict[str, Any] = {}

    async def told() -> bool:
        found.clear()
        found.update((await node.stream(stream["streamId"]))["ingest"].get("health", {}))
        warnings = [warning["code"] for warning in found.get("warnings", [])]
        return found.get("video", {}).get("fpsMeasured") is not None and warnings == list(codes)

    await wait_until(told, f"health with warnings {codes}", 25, lambda: str(found))
    return found


@pytest.mark.parametrize("protocol", ["rtmp", "srt"])
async def test_health_tells_what_the_encoder_sends(node: Node, small_clip: Path, protocol: str) -> None:
    stream = await node.create(quality="passthrough")
    url = stream["ingest"][f"{protocol}FullUrl"]
    async with pushing(small_clip, url, container="flv" if protocol == "rtmp" else "mpegts"):
        health = await health_of(node, stream)
        assert health["protocol"] == protocol
        video, audio = health["video"], health["audio"]
        assert (video["codec"], video["widthPx"], video["heightPx"]) == ("h264", 640, 360)
        assert video["fpsMeasured"] == pytest.approx(30, rel=0.05)
        assert (audio["codec"], audio["sampleRateHz"]) == ("aac", 48000)
        assert 0 < video["bitrateBps"] + audio["bitrateBps"] <= health["bitrateBps"] * 1.01
        assert ("srt" in health) == (protocol == "srt")
        if protocol == "srt":
            assert health["srt"]["packetsReceived"] > 0 and health["encoder"].startswith("libsrt")
        else:
            assert "Lavf" in health["encoder"]
        listed = await node.http.get(node.api_url, headers=node.auth)
        assert all("health" not in each["ingest"] for each in (await listed.json())["streams"])

    async def gone() -> bool:
        return "health" not in (await node.stream(stream["streamId"]))["ingest"]

    await wait_until(gone, "no health without an encoder")


async def test_a_long_gop_and_no_sound_are_warned_of(node: Node, clips: Path) -> None:
    clip = synthetic_clip(clips / "long-gop.flv", size="320x180", seconds=20, gop_frames=600, audio=None)
    stream = await node.create(quality="standard")
    async with pushing(clip, stream["ingest"]["rtmpFullUrl"], loop=False):
        health = await health_of(node, stream, "NO_AUDIO", "GOP_TOO_LONG")
    assert "set the encoder's keyframe interval to 2 s or less" in health["warnings"][1]["message"]
    assert any("GOP_TOO_LONG" in line for line in node.log_lines)


async def test_health_goes_with_the_ingest_process(tmp_path: Path, tiny_clip: Path) -> None:
    async with running_node(tmp_path) as node:
        stream = await node.create(quality="passthrough")
        async with pushing(tiny_clip, stream["ingest"]["rtmpFullUrl"]):
            await health_of(node, stream)
            role(node, "ingest").kill()

            async def gone() -> bool:
                return "health" not in (await node.stream(stream["streamId"]))["ingest"]

            await wait_until(gone, "no health of a dead ingest", 12)

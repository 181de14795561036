"""`antlive check` against a running node: the ladder breaks no rule; progressive parts break the one that they must."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.e2e.node import Node, pushing, running_node

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def check(node: Node, clip: Path, quality: str = "standard") -> tuple[int | None, str]:
    """Exit code and report for a stream that is live."""
    stream = await node.create(quality=quality)
    async with pushing(clip, stream["ingest"]["rtmpFullUrl"]):
        await node.wait_for_state(stream["streamId"], "live")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "antlive", "check", stream["playback"]["hlsUrl"], "--seconds", "5",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _error = await process.communicate()
    return process.returncode, out.decode()


async def test_a_ladder_breaks_no_rule(node: Node, small_clip: Path) -> None:
    code, report = await check(node, small_clip)
    assert code == 0 and "no rule is broken" in report, report
    assert all(f" {what}" in report for what in ("hinted parts", "segments", "probes")), report


async def test_progressive_parts_break_the_rule_that_parts_are_sent_whole_and_no_other(
    tmp_path: Path, tiny_clip: Path
) -> None:
    async with running_node(tmp_path, ANTLIVE_CHUNK_S="0.05") as node:
        code, report = await check(node, tiny_clip, quality="passthrough")
    broken = [line for line in report.splitlines() if line.startswith(("MUST", "SHOULD", "PLAYER"))]
    assert code == 1 and len(broken) == 1 and "a-part-is-sent-when-it-is-whole" in broken[0], report

"""docs/api-guide.md, run line by line against a node."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from tests.clips import FFMPEG
from tests.e2e.node import Node

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = (Path(__file__).parents[2] / "docs/api-guide.md").read_text()


def blocks(language: str) -> str:
    """All code of the page in this language, in order."""
    return "".join(re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL))


@pytest.mark.parametrize(
    ("language", "command", "seen"),
    [
        ("sh", ["bash", "-euo", "pipefail", "-c"], ["RESOLUTION=640x360", "the encoder was cut", "not_found"]),
        ("python", [sys.executable, "-c"], ["stream.connecting", "stream.live", "409 stream_busy: "]),
    ],
)
async def test_the_guide_does_what_it_says(
    node: Node, tmp_path: Path, language: str, command: list[str], seen: list[str]
) -> None:
    (tmp_path / "ffmpeg").symlink_to(FFMPEG)
    variables = {"API": node.base_url, "API_KEY": node.api_key, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    process = await asyncio.create_subprocess_exec(
        *command, blocks(language), env=os.environ | variables, cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    text = output.decode()
    assert process.returncode == 0, text
    assert all(part in text for part in seen), text

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.clips import synthetic_clip
from tests.e2e.node import Node, running_node


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """One node for all tests that don't disturb it."""
    async with running_node(tmp_path_factory.mktemp("node"), ANTLIVE_RECONNECT_WINDOW_S="20") as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def quick_node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """A node whose sessions end soon after their encoder has left, and whose media go soon after that."""
    directory = tmp_path_factory.mktemp("quick-node")
    limits = {"ANTLIVE_RECONNECT_WINDOW_S": "1", "ANTLIVE_ENDED_RETENTION_S": "2"}
    async with running_node(directory, **limits) as running:
        yield running


@pytest.fixture(scope="session")
def small_clip(clips: Path) -> Path:
    """640x360, 30 frames/s, a 1 s GOP, a 440 Hz tone; 4 s, to be looped."""
    return synthetic_clip(clips / "small.flv", size="640x360")


@pytest.fixture(scope="session")
def tiny_clip(clips: Path) -> Path:
    """320x180, as `small_clip` otherwise."""
    return synthetic_clip(clips / "tiny.flv", size="320x180")


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for generated clips, made once."""
    return tmp_path_factory.mktemp("clips")

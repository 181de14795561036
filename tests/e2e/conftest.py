from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.node import Node, running_node


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """One node for all tests that don't disturb it."""
    async with running_node(tmp_path_factory.mktemp("node"), ANTLIVE_RECONNECT_WINDOW_S="20") as running:
        yield running


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for generated clips, made once."""
    return tmp_path_factory.mktemp("clips")

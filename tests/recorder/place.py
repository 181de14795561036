"""A node's directories and its Redis, for tests of the whole recorder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from config.settings import Settings
from recorder.service import recording
from streams.model import Stream
from streams.recording_model import RecordingEntry, RecordingState
from streams.recordings import RecordingStore
from streams.state import Event
from streams.store import StreamStore
from tests.recorder.helpers import RecordedWriter
from tests.streams.helpers import begin, new_stream, session_of


@dataclass(slots=True)
class Place:
    """A node's directories and its Redis."""

    settings: Settings
    url: str
    store: StreamStore
    recordings: RecordingStore

    @asynccontextmanager
    async def recorder(self, node_id: str = "node_a") -> AsyncIterator[None]:
        async with recording(self.settings, node_id, self.url):
            yield

    async def session(self) -> tuple[Stream, int, RecordedWriter]:
        """A stream that is live and recorded, its epoch, and its publisher."""
        stream, _ = await new_stream(self.store)
        claim = await begin(self.store, stream)
        session_id = session_of(claim.stream)
        await self.store.apply(stream.stream_id, Event.RENDITIONS_READY, session_id=session_id, epoch=claim.epoch)
        writer = RecordedWriter(self.settings.effective_media_dir, edge_id=stream.edge_id, session_id=session_id)
        return claim.stream, claim.epoch, writer

    async def wait_for(self, stream: Stream, state: RecordingState, duration_s: float) -> RecordingEntry:
        found: list[RecordingEntry] = []

        async def reached() -> bool:
            found[:] = (await self.recordings.of_stream(stream.stream_id, limit=1)).recordings
            return bool(found) and (found[0].progress.state, found[0].progress.duration_s) == (state, duration_s)

        await until(reached)
        return found[0]

    def beside(self, name: str) -> Place:
        """Another node of the same Redis, with directories of its own."""
        own = {
            key: path.with_name(f"{path.name}-{name}")
            for key in ("data_dir", "media_dir", "recordings_dir")
            if isinstance(path := getattr(self.settings, key), Path)
        }
        return replace(self, settings=self.settings.model_copy(update=own))

    def directory(self, stream: Stream) -> Path:
        return self.settings.effective_recordings_dir / session_of(stream).replace("se_", "rec_")


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(15):
        while not await condition():  # noqa: ASYNC110 (what is waited for is on disk or in Redis)
            await asyncio.sleep(0.02)

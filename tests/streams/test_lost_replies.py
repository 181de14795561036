"""A reply that is lost on its way: the client asks again, and what it asks for happens once."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from streams.connection import open_redis
from streams.state import Event, State
from streams.store import StreamStore
from tests.redis_server import RedisServer
from tests.streams.helpers import begin, events_of, new_stream, read, session_of


class LossyProxy:
    """Passes bytes between a client and Redis; may swallow the next reply and close that connection instead."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._loses_next_reply = False
        self.lost = 0

    def lose_next_reply(self) -> None:
        self._loses_next_reply = True

    async def serve(self, client_reader: asyncio.StreamReader, client_writer: asyncio.StreamWriter) -> None:
        redis_reader, redis_writer = await asyncio.open_unix_connection(self._target)
        requests = asyncio.create_task(self._pump(client_reader, redis_writer))
        try:
            while reply := await redis_reader.read(65536):
                if self._loses_next_reply:
                    self._loses_next_reply = False
                    self.lost += 1
                    return
                client_writer.write(reply)
        finally:
            requests.cancel()
            client_writer.close()
            redis_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


@asynccontextmanager
async def lossy_store(server: RedisServer, prefix: str) -> AsyncIterator[tuple[StreamStore, LossyProxy]]:
    proxy = LossyProxy(server.url.removeprefix("unix://"))
    with tempfile.TemporaryDirectory(prefix="antlive-proxy-") as directory:
        path = Path(directory) / "proxy.sock"
        listener = await asyncio.start_unix_server(proxy.serve, path)
        redis = open_redis(f"unix://{path}")
        try:
            yield StreamStore(redis, prefix=prefix), proxy
        finally:
            await redis.aclose()
            listener.close()
            await listener.wait_closed()


async def test_every_write_happens_once(server: RedisServer, store: StreamStore) -> None:
    async with lossy_store(server, store.keys.prefix) as (lossy, proxy):
        # Scripts known to the server first, so that the lost replies are those of the writes.
        warm, _ = await new_stream(lossy)
        warm_claim = await begin(lossy, warm)
        await lossy.apply(
            warm.stream_id, Event.WINDOW_OVER, session_id=session_of(warm_claim.stream), epoch=warm_claim.epoch
        )

        proxy.lose_next_reply()
        stream, _ = await new_stream(lossy)
        assert proxy.lost == 1
        page = await store.list("default", limit=20)
        assert (page.streams, page.total) == ((stream, await read(store, warm)), 2)

        proxy.lose_next_reply()
        claim = await begin(lossy, stream)
        assert proxy.lost == 2
        assert claim.epoch == 1
        assert await read(store, stream) == claim.stream

        session_id = session_of(claim.stream)
        for count, event in enumerate((Event.RENDITIONS_READY, Event.ENCODER_LOST, Event.PIPELINE_FAILED), start=3):
            proxy.lose_next_reply()
            await lossy.apply(stream.stream_id, event, session_id=session_id, epoch=claim.epoch)
            assert proxy.lost == count

        assert [event.seq for event in await events_of(store, stream)] == [2, 3, 4, 5]
        assert (await read(store, stream)).state is State.ERROR

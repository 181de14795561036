"""The stream that `serve` keeps ready, so that a newcomer can publish before reading about the API."""

from __future__ import annotations

from dataclasses import dataclass

from antlive.node import NodeFiles
from streams.api_keys import DEFAULT_ENVIRONMENT
from streams.ids import key_hash
from streams.store import StreamStore

FILE = "ready_stream.json"
NAME = "My first stream"


@dataclass(frozen=True, slots=True)
class ReadyStream:
    """A stream and its key, which is why this never goes into a log."""

    edge_id: str
    key: str


async def ready_stream(store: StreamStore, files: NodeFiles, reconnect_window_s: int) -> ReadyStream:
    """The stream of the last run if its key still works, else a new one."""
    known = files.read_json(FILE)
    if known is not None:
        stream = await store.find_by_key(key_hash(str(known["key"])))
        if stream is not None:
            return ReadyStream(stream.edge_id, str(known["key"]))
    stream, key = await store.create(
        env=DEFAULT_ENVIRONMENT,
        name=NAME,
        quality="standard",
        low_latency=True,
        recording=False,
        reconnect_window_s=reconnect_window_s,
    )
    files.write_json(FILE, {"key": key})
    return ReadyStream(stream.edge_id, key)

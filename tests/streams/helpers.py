"""Short cuts of the store's tests."""

from __future__ import annotations

from streams.events import StreamEvent, decode_event
from streams.ids import key_hash, new_session_id
from streams.model import Claim, Stream
from streams.state import Event, EventType, State
from streams.store import StreamStore

ENV = "default"
NODE = "node-a"

# Events that lead from a begun session to each state.
PATHS: dict[State, tuple[Event, ...]] = {
    State.CONNECTING: (),
    State.LIVE: (Event.RENDITIONS_READY,),
    State.ENDED: (Event.RENDITIONS_READY, Event.WINDOW_OVER),
    State.ERROR: (Event.PIPELINE_FAILED,),
}


async def new_stream(store: StreamStore, env: str = ENV, name: str = "show") -> tuple[Stream, str]:
    return await store.create(
        env=env, name=name, quality="standard", low_latency=True, recording=False, reconnect_window_s=60
    )


async def begin(store: StreamStore, stream: Stream, node_id: str = NODE) -> Claim:
    return await store.begin_session(
        stream.stream_id, key_hash=stream.key_hash, session_id=new_session_id(), node_id=node_id
    )


async def stream_in(store: StreamStore, state: State) -> Stream:
    """A stream that was led to `state` by events."""
    stream, key = await new_stream(store)
    assert stream.key_hash == key_hash(key)
    if state is not State.IDLE:
        claim = await begin(store, stream)
        for event in PATHS[state]:
            await store.apply(stream.stream_id, event, session_id=session_of(claim.stream), epoch=claim.epoch)
    return await read(store, stream)


async def read(store: StreamStore, stream: Stream) -> Stream:
    found = await store.get(stream.env, stream.stream_id)
    assert found is not None
    return found


def session_of(stream: Stream) -> str:
    assert stream.session_id is not None
    return stream.session_id


async def events_of(store: StreamStore, stream: Stream) -> list[StreamEvent]:
    """The events of a stream after the one of its creation."""
    created, *later = await all_events_of(store, stream)
    assert (created.type, created.seq) == (EventType.CREATED, 1)
    return later


async def all_events_of(store: StreamStore, stream: Stream) -> list[StreamEvent]:
    entries = await store.redis.xrange(store.keys.events) or []
    events = [decode_event(fields) for _, fields in entries if fields]
    return [event for event in events if event.stream_id == stream.stream_id]

"""Why the store refuses. Errors of Redis itself are `redis.exceptions.RedisError` and pass through."""

from __future__ import annotations

from streams.state import State


class KeyRevoked(Exception):
    """The stream no longer accepts this key: it was rotated, or the stream was deleted."""

    def __init__(self, stream_id: str) -> None:
        super().__init__(f"stream {stream_id} no longer accepts the key that was shown")
        self.stream_id = stream_id


class AlreadyPublishing(Exception):
    """The stream has a session already, on a node that was last heard of at this time (Unix, by the clock of Redis)."""

    def __init__(self, stream_id: str, state: State, node_id: str, heard_s: float) -> None:
        super().__init__(f"stream {stream_id} has a session already (state {state.value!r})")
        self.stream_id = stream_id
        self.state = state
        self.node_id = node_id
        self.heard_s = heard_s


class StaleSession(Exception):
    """The writer's session is no longer the stream's: a later one has begun, or the stream is gone."""

    def __init__(self, stream_id: str, session_id: str, epoch: int) -> None:
        super().__init__(f"session {session_id} (epoch {epoch}) is not the present session of stream {stream_id}")
        self.stream_id = stream_id
        self.session_id = session_id
        self.epoch = epoch


class StreamNotFound(Exception):
    """The environment has no such stream."""

    def __init__(self, stream_id: str) -> None:
        super().__init__(f"there is no stream {stream_id} in this environment")
        self.stream_id = stream_id


class StreamBusy(Exception):
    """The stream has a session, which forbids the change."""

    def __init__(self, stream_id: str, state: State) -> None:
        super().__init__(f"stream {stream_id} has a session (state {state.value!r})")
        self.stream_id = stream_id
        self.state = state

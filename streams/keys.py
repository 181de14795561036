"""The name of every Redis key, in one place.

All keys begin with the same prefix (setting `redis_prefix`, default `antlive:`). The scripts touch several keys at
once, which Redis Cluster allows only for keys of one hash slot: there, the default is `{antlive}:`. The braces are a
hash tag, so all keys of this installation share one slot.
"""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_PREFIX = "antlive:"


@dataclass(frozen=True, slots=True)
class Keys:
    """Redis key names below one prefix."""

    prefix: str = DEFAULT_PREFIX

    def stream(self, stream_id: str) -> str:
        """Hash: one stream."""
        return f"{self.prefix}stream:{stream_id}"

    def key(self, key_hash: str) -> str:
        """String: the stream id that a stream key's SHA-256 belongs to."""
        return f"{self.prefix}key:{key_hash}"

    def edge(self, edge_id: str) -> str:
        """String: the stream id of an edge id."""
        return f"{self.prefix}edge:{edge_id}"

    def api_key(self, key_hash: str) -> str:
        """Hash: the API key of this SHA-256."""
        return f"{self.prefix}apikey:{key_hash}"

    @property
    def api_keys(self) -> str:
        """Hash: the id of every API key to its SHA-256."""
        return f"{self.prefix}apikeys"

    def rate(self, key_hash: str) -> str:
        """String that expires: how much of its rate an API key has used."""
        return f"{self.prefix}rate:{key_hash}"

    def environment_streams(self, env: str, state: str | None = None) -> str:
        """Sorted set: the stream ids of an environment, all or those in a state, by position.

        Positions are creation times in microseconds, made unique. The scripts build this name too.
        """
        return f"{self.prefix}env:{env}:streams" + (f":{state}" if state else "")

    def answer(self, name_hash: str) -> str:
        """Hash that expires: the encrypted answer to a request with an idempotency key, and what it created."""
        return f"{self.prefix}answer:{name_hash}"

    def request(self, event_id: str) -> str:
        """String that expires: a request was carried out, should it be sent again."""
        return f"{self.prefix}request:{event_id}"

    def session(self, stream_id: str) -> str:
        """Hash, while a session runs: session id, node id, epoch, start; whether its encoder delivers, checkpoint."""
        return f"{self.prefix}session:{stream_id}"

    def health(self, stream_id: str) -> str:
        """String that expires: ingest health of a stream whose encoder is connected, as JSON."""
        return f"{self.prefix}health:{stream_id}"

    def viewers(self, edge_id: str) -> str:
        """Hash that expires: how many players each origin counts of a stream, and until when that holds."""
        return f"{self.prefix}viewers:{edge_id}"

    @property
    def sessions(self) -> str:
        """Hash: the stream id of every running session to the id of the node that hosts it."""
        return f"{self.prefix}sessions"

    def of_stream(self, stream_id: str) -> tuple[str, str, str, str]:
        """What a script needs to change a stream: its hash, its session, all sessions, the events."""
        return self.stream(stream_id), self.session(stream_id), self.sessions, self.events

    def recording(self, recording_id: str) -> str:
        """Hash: one recording."""
        return f"{self.prefix}recording:{recording_id}"

    def environment_recordings(self, env: str) -> str:
        """Sorted set: the recording ids of an environment by position. The scripts build this name too."""
        return f"{self.prefix}env:{env}:recordings"

    def stream_recordings(self, stream_id: str) -> str:
        """Sorted set: the recording ids of a stream by position. The scripts build this name too."""
        return f"{self.prefix}stream:{stream_id}:recordings"

    @property
    def open_recordings(self) -> str:
        """Set: the recordings that are not closed."""
        return f"{self.prefix}recordings:open"

    @property
    def closed_recordings(self) -> str:
        """Sorted set: the recordings that are closed, by when that was, in Unix seconds."""
        return f"{self.prefix}recordings:closed"

    @property
    def deleted_recordings(self) -> str:
        """Sorted set: the recordings that were deleted, by when, in Unix seconds; for whoever has files of them."""
        return f"{self.prefix}recordings:deleted"

    def node(self, node_id: str) -> str:
        """Hash with a time to live: one media node."""
        return f"{self.prefix}node:{node_id}"

    @property
    def nodes(self) -> str:
        """Sorted set: the ids of all media nodes by when they were last heard of, in Unix seconds."""
        return f"{self.prefix}nodes"

    @property
    def events(self) -> str:
        """Stream: what happened to all streams, read by consumer groups."""
        return f"{self.prefix}events"

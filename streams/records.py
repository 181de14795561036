"""A stream as a Redis hash: text fields, snake_case, absent when unset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from streams.model import Stream
from streams.state import State
from streams.times import format_utc_s, parse_utc


def text(value: bytes | str) -> str:
    """A reply of Redis as text, whether or not the client decodes replies."""
    return value.decode() if isinstance(value, bytes) else value


def new_record(stream: Stream) -> dict[str, str | int]:
    """The hash of a stream that was just created."""
    return {
        "stream_id": stream.stream_id,
        "edge_id": stream.edge_id,
        "env": stream.env,
        "name": stream.name,
        "quality": stream.quality,
        "low_latency": int(stream.low_latency),
        "recording": int(stream.recording),
        "reconnect_window_s": stream.reconnect_window_s,
        "state": stream.state.value,
        "created_at": format_utc_s(stream.created_at),
        "key_hash": stream.key_hash,
        "epoch": stream.epoch,
    }


def running_record(stream: Stream) -> dict[str, str | int]:
    """The hash of a stream that has a session, as that session's node knows it."""
    record = new_record(stream) | {
        "seq": stream.seq,
        "session_id": str(stream.session_id),
        "node_id": str(stream.node_id),
        "position": stream.position,
        "reason": str(stream.reason),
    }
    return record | ({} if stream.started_at is None else {"started_at": format_utc_s(stream.started_at)})


def changed_fields(fields: Mapping[str, str | int]) -> list[str]:
    """Fields of a stream, by their names in `Stream`, as a flat list for a script."""
    return [item for name, value in fields.items() for item in (name, _text_of(value))]


def _text_of(value: str | int) -> str:
    return value if isinstance(value, str) else str(int(value))


def read_record(record: Mapping[bytes, bytes] | Mapping[str, str] | Mapping[bytes | str, bytes | str]) -> Stream:
    """The stream of a hash as `HGETALL` returns it. Raises `KeyError` for a hash that is no stream."""
    fields = {text(name): text(value) for name, value in record.items()}
    return Stream(
        stream_id=fields["stream_id"],
        edge_id=fields["edge_id"],
        env=fields["env"],
        name=fields["name"],
        quality=fields["quality"],
        low_latency=fields["low_latency"] == "1",
        recording=fields["recording"] == "1",
        reconnect_window_s=int(fields["reconnect_window_s"]),
        state=State(fields["state"]),
        created_at=parse_utc(fields["created_at"]),
        key_hash=fields["key_hash"],
        epoch=int(fields["epoch"]),
        seq=int(fields["seq"]),
        session_id=fields.get("session_id"),
        node_id=fields.get("node_id"),
        started_at=_time(fields.get("started_at")),
        ended_at=_time(fields.get("ended_at")),
        reason=fields.get("reason"),
        position=int(fields.get("position", "0")),
    )


def read_flat_record(items: Iterable[bytes | str]) -> Stream:
    """The stream of a hash as a script returns it: name, value, name, value, …"""
    flat = [text(item) for item in items]
    return read_record(dict(zip(flat[::2], flat[1::2], strict=True)))


def _time(value: str | None) -> datetime | None:
    return None if value is None else parse_utc(value)

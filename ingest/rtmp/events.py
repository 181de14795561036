"""What a publisher's connection reports to the server that owns it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ingest.admission import Buffer


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequested:
    """The encoder asks to publish. Nothing more is read until `accept_publish` or `refuse_publish`."""

    key: str = field(repr=False)
    encoder: str


class Media(NamedTuple):
    """One audio or video message, as FLV tag type (8 or 9), 32-bit timestamp and body.

    A `memoryview` body is valid only until the next bytes are received.
    """

    tag_type: int
    timestamp_ms: int
    body: Buffer


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaData:
    """`onMetaData` as AMF0, without `@setDataFrame`. It may come never, late, or over and over."""

    timestamp_ms: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PublishStopped:
    """The encoder said goodbye. The connection takes no more media."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The core has refused the connection by itself (the answer is in `data_to_send`). `reason` is a machine word."""

    reason: str


Event = PublishRequested | Media | MetaData | PublishStopped | Refused

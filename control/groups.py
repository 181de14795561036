"""Every group of routes that the API serves and documents, in the order of the document."""

from __future__ import annotations

from typing import Final

from control import event_stream, live_streams, recordings
from control.routing import Routes
from control.webhooks import deliveries, webhooks

GROUPS: Final[tuple[Routes, ...]] = (
    live_streams.routes,
    recordings.routes,
    event_stream.routes,
    webhooks.routes,
    deliveries.routes,
)

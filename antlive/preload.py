"""What the roles of `serve` load, loaded once by the supervisor that forks them.

Not the codec library, nor whatever starts threads: a process with threads can't be forked.
"""

from __future__ import annotations

import importlib
from typing import Final

MODULES: Final = (
    "antlive.role_child",
    "antlive.http_role",
    "antlive.ingest_role",
    "antlive.http_runner",
    "control.app",
    "control.event_service",
    "control.metrics",
    "control.reaper",
    "control.urls",
    "control.webhooks.policy",
    "ingest.broadcasts",
    "ingest.drain",
    "ingest.event_follower",
    "ingest.membership",
    "ingest.metrics",
    "ingest.rtmp.server",
    "ingest.srt.directory_follower",
    "ingest.srt.server",
    "ingest.workers",
    "packager.elsewhere",
    "packager.metrics",
    "packager.origin",
    "packager.player_page",
    "packager.recordings.object_store",
    "packager.recordings.vod",
    "recorder.service",
    "streams.owners",
    "streams.viewers",
)


def preload() -> None:
    """Load them all."""
    for name in MODULES:
        importlib.import_module(name)

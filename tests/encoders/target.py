"""Where an encoder is told to push to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`url` has the key in it; OBS wants server and key apart. `cert_file` is what the node shows over RTMPS."""

    url: str
    server: str
    key: str
    cert_file: Path

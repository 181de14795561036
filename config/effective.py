"""The effective settings as text that may be shown to anybody."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from config.fitting import MASK
from config.redis_url import joined_url, split_url
from config.settings import SECRETS, Settings


def effective_toml(settings: Settings) -> str:
    """All settings in force as TOML; secrets are masked, and those that are not set are commented out."""
    lines = []
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if name == "media_dir":
            value = settings.effective_media_dir
        if value is None:
            lines.append(f"# {name} =")
        elif name == "ladders":
            lines.append(f"{name} = {_inline({own: ladder.model_dump() for own, ladder in value.items()})}")
        elif name == "redis_url":
            lines.append(f"{name} = {json.dumps(without_password(value))}")
        elif name in SECRETS:
            lines.append(f"{name} = {json.dumps(MASK)}")
        else:
            lines.append(f"{name} = {json.dumps(str(value) if isinstance(value, Path) else value)}")
    return "\n".join(lines) + "\n"


def _inline(value: object) -> str:
    """A value as TOML in one line; what is None is left out."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {_inline(item)}" for name, item in value.items() if item is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value)


def without_password(url: str) -> str:
    """A URL whose password, and query, which may hold one, are masked."""
    parts = split_url(url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    netloc = f"{name}{colon and ':' + MASK}{at}{host}"
    query = "&".join(
        f"{key}{equals}{MASK if 'pass' in key.lower() else value}"
        for key, equals, value in (pair.partition("=") for pair in parts.query.split("&") if pair)
    )
    return joined_url(parts._replace(netloc=netloc, query=query))

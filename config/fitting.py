"""What must hold of several settings at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from config.settings import Settings

MASK: Final = "********"
"""What is shown of a secret."""


def check_together(settings: Settings, secrets: Iterable[str]) -> None:
    """Raises `PydanticCustomError`, whose text names the settings."""
    if settings.rtmps_port is not None and (settings.tls_cert is None or settings.tls_key is None):
        raise PydanticCustomError("tls", "rtmps_port {port} needs tls_cert and tls_key", {"port": settings.rtmps_port})
    if (settings.tls_cert is None) != (settings.tls_key is None):
        missing, there = ("tls_cert", "tls_key") if settings.tls_cert is None else ("tls_key", "tls_cert")
        path = str(getattr(settings, there))
        message = "{there} = {path} needs {missing}"
        raise PydanticCustomError("tls", message, {"there": there, "path": repr(path), "missing": missing})
    if (settings.recording_store_access_key is None) != (settings.recording_store_secret_key is None):
        message = "recording_store_access_key and recording_store_secret_key need each other"
        raise PydanticCustomError("store_keys", message)
    if settings.recording_store is None and settings.recording_store_endpoint is not None:
        raise PydanticCustomError("store", "recording_store_endpoint needs recording_store")
    apart = ("redis_username", "redis_password", "redis_ca")
    if settings.redis_url is None and (alone := [name for name in apart if getattr(settings, name) is not None]):
        raise PydanticCustomError("redis", "{name} needs redis_url", {"name": alone[0]})
    if settings.redis_ca is not None and not str(settings.redis_url).startswith("rediss"):
        raise PydanticCustomError("redis", "redis_ca needs a redis_url with TLS (rediss://)", {})
    if settings.redis_ca is not None and not settings.redis_ca.is_file():
        raise PydanticCustomError("redis", "redis_ca: no file at {path}", {"path": str(settings.redis_ca)})
    if settings.chunk_s > settings.part_s:
        limits = {"chunk_s": settings.chunk_s, "part_s": settings.part_s}
        raise PydanticCustomError("chunk", "chunk_s = {chunk_s} must be at most part_s ({part_s})", limits)
    for name in sorted(secrets):
        if MASK in (getattr(settings, name) or ""):
            message = "{name} holds what `antlive config` shows in place of a secret ({mask}), not the secret"
            raise PydanticCustomError("mask", message, {"name": name, "mask": MASK})

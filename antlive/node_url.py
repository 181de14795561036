"""Where other nodes reach this one."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from config.redis_url import parse_redis_url
from config.settings import Settings

_WILDCARDS = frozenset({"0.0.0.0", "::", ""})
_LOOPBACK = "127.0.0.1"


def node_url(settings: Settings) -> str:
    """The base URL of this node's origin for other nodes; empty when there is no telling.

    Without a setting it is the address that the node listens on, or else the one from which it reaches Redis, where
    the others are reached, too.
    """
    if settings.node_url is not None:
        return settings.node_url.rstrip("/")
    if not settings.http_port:
        return ""
    host = settings.bind if settings.bind not in _WILDCARDS else _address_towards(settings.redis_url)
    return f"http://[{host}]:{settings.http_port}" if ":" in host else f"http://{host}:{settings.http_port}"


def _address_towards(redis_url: str | None) -> str:
    """The address of ours that a packet to Redis would carry. Nothing is sent."""
    where = urlsplit(parse_redis_url(redis_url).server_url if redis_url else "")
    if where.hostname is None:
        return _LOOPBACK
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            where.hostname, where.port or 6379, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError:
        return _LOOPBACK

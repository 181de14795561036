"""The HTTP socket. `serve` opens it and keeps it open, so that no viewer finds it closed while `web` is restarted."""

from __future__ import annotations

import socket

from config.settings import Settings

_BACKLOG = 1024


def listen_http(settings: Settings) -> socket.socket:
    """The listening socket of the settings; port 0 is chosen by the system. Raises `OSError`."""
    ipv6 = ":" in settings.bind
    return socket.create_server(
        (settings.bind, settings.http_port),
        family=socket.AF_INET6 if ipv6 else socket.AF_INET,
        backlog=_BACKLOG,
        dualstack_ipv6=ipv6,
    )

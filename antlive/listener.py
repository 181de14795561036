"""The HTTP socket. `serve` opens it and keeps it open, so that no viewer finds it closed while `web` is restarted."""

from __future__ import annotations

import errno
import os
import socket

from config.settings import ENV_PREFIX, Settings

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


def listen_problem(settings: Settings, port_setting: str, port: int, error: OSError) -> str:
    """Why there is no listener, in one line that names the setting to blame."""
    if error.errno is not None and error.errno < 0:  # of the resolver
        return f"cannot listen on {ENV_PREFIX}BIND={settings.bind}: no such host or address"
    # asyncio repeats the address in its own text; the system's words are enough.
    text = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error)
    if error.errno == errno.EADDRNOTAVAIL:
        return f"cannot listen on {ENV_PREFIX}BIND={settings.bind}: {text}"
    return f"cannot listen on {settings.bind}:{port} ({ENV_PREFIX}{port_setting}): {text}"

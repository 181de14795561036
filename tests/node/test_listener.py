"""Which setting is to blame for a listener that can't be had."""

from __future__ import annotations

import socket

import pytest

from antlive.listener import listen_http, listen_problem
from config.settings import Settings


@pytest.mark.parametrize(
    ("bind", "says"),
    [
        ("nobody.invalid", "cannot listen on ANTLIVE_BIND=nobody.invalid: no such host or address"),
        ("192.0.2.1", "cannot listen on ANTLIVE_BIND=192.0.2.1: Cannot assign requested address"),
        ("127.0.0.1", "cannot listen on 127.0.0.1:{port} (ANTLIVE_HTTP_PORT): Address already in use"),
    ],
)
def test_the_setting_is_named(bind: str, says: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(bind=bind, http_port=port)
        with pytest.raises(OSError) as failed:
            listen_http(settings)
    assert listen_problem(settings, "HTTP_PORT", port, failed.value) == says.format(port=port)

"""Which URLs a webhook may have, and which addresses are public."""

from __future__ import annotations

import ipaddress

import pytest

from control.webhooks.policy import WebhookPolicy
from control.webhooks.url_policy import URL_MAX_CHARACTERS, UrlRefused, check_url, is_public

STRICT = WebhookPolicy()
OPEN = WebhookPolicy(allow_http=True, allow_private=True)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://example.com", "example.com"),
        ("https://example.com/", "example.com"),
        ("https://Example.com:8443/a/b?c=d&e=%20", "Example.com"),
        ("https://example.com?x=1", "example.com"),
        ("https://8.8.8.8/hook", "8.8.8.8"),
        ("https://a-b.xn--bcher-kva.example/~x", "a-b.xn--bcher-kva.example"),
    ],
)
def test_good(url: str, host: str) -> None:
    assert check_url(url, STRICT) == host


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("http://example.com/", "https://"),
        ("https://user:secret@example.com/", "user name"),
        ("https://example.com@127.0.0.1/", "user name"),
        ("https://example.com/#top", "fragment"),
        ("https://127.0.0.1/", "127.0.0.1"),
        ("https://10.1.2.3/", "10.1.2.3"),
        ("https://169.254.169.254/latest/meta-data", "169.254.169.254"),
        ("https://192.168.0.1:8080/", "192.168.0.1"),
        ("https://0.0.0.0/", "0.0.0.0"),
        ("https://224.0.0.1/", "224.0.0.1"),
        ("https://[::1]/", "http(s)://"),
        ("https://", "http(s)://"),
        ("https:///path", "http(s)://"),
        ("ftp://example.com/", "http(s)://"),
        ("file:///etc/passwd", "http(s)://"),
        ("javascript:alert(1)", "http(s)://"),
        ("example.com", "http(s)://"),
        ("https://exa mple.com/", "http(s)://"),
        ("https://example.com:0/", "http(s)://"),
        ("https://example.com:65536/", "http(s)://"),
        ("https://example.com/\r\nX-Evil: 1", "http(s)://"),
        ("https://example.com/\n", "http(s)://"),
        ("https://example.com/%zz", "http(s)://"),
        ("https://example.com\\@evil.example/", "user name"),
        ("https://example.com\\evil/", "http(s)://"),
        ("https://bücher.example/", "http(s)://"),
        ("https://a..b/", "http(s)://"),
        ("https://example.com/" + "x" * URL_MAX_CHARACTERS, str(URL_MAX_CHARACTERS)),
    ],
)
def test_refused(url: str, part: str) -> None:
    with pytest.raises(UrlRefused) as caught:
        check_url(url, STRICT)
    assert part in str(caught.value)
    assert "secret" not in str(caught.value)


def test_settings_open_it() -> None:
    assert check_url("http://127.0.0.1:9000/x", OPEN) == "127.0.0.1"
    assert check_url("http://localhost:9000/x", OPEN) == "localhost"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("100.64.0.1", False),
        ("172.16.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False),  # NAT64 of 127.0.0.1
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),  # 6to4 of 127.0.0.1
        ("2002:a00:1::", False),
    ],
)
def test_is_public(address: str, expected: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is expected

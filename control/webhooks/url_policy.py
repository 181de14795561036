"""Which URLs a webhook may have, and which addresses a delivery may connect to.

A URL is looked at when it is set. That is for the customer's sake: what a name resolves to can change, so the address
is checked again for every single connection, at the moment it is made (`control/webhooks/connector.py`).
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from control.webhooks.policy import WebhookPolicy

URL_MAX_CHARACTERS: Final = 2048

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PORT = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
_REST = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*"
URL_PATTERN: Final = rf"^https?://{_LABEL}(?:\.{_LABEL}){{0,9}}(?::(?:{_PORT}))?(?:[/?]{_REST})?$"
"""RFC 3986 without user information, fragment and IPv6 literals. Punycode for other letters in a name."""

_URL = re.compile(URL_PATTERN)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class UrlRefused(ValueError):
    """A webhook may not have this URL. The message says why and repeats no more of it than scheme or address."""


def check_url(url: str, policy: WebhookPolicy) -> str:
    """The host of a URL that a webhook may have. Raises `UrlRefused`."""
    if len(url) > URL_MAX_CHARACTERS:
        raise UrlRefused(f"url has {len(url)} characters; the bound is {URL_MAX_CHARACTERS}")
    scheme, separator, rest = url.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        raise UrlRefused("url must not hold a user name or password; deliveries are signed instead")
    if "#" in rest:
        raise UrlRefused("url must not hold a fragment (#…): it would not be sent")
    if not separator or scheme not in ("https", "http") or "\n" in url or not _URL.match(url):
        raise UrlRefused("url must be http(s)://host[:port][/path][?query] in ASCII, with a host name or IPv4 address")
    if scheme == "http" and not policy.allow_http:
        raise UrlRefused("url must begin with https://; the setting webhook_allow_http allows http")
    host = authority.partition(":")[0]
    address = literal_address(host)
    if address is not None and not policy.allow_private and not is_public(address):
        raise UrlRefused(f"url must not lead to {address}, which is no public address")
    return host


def literal_address(host: str) -> Address | None:
    """The address that a host is written as, or None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether an address is of the public internet; one that wraps an IPv4 address is as public as that."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(address.packed[-4:]))
        wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if wrapped is not None:
            return is_public(wrapped)
        if address.is_site_local:  # deprecated (RFC 3879), and private where it is still in use
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved

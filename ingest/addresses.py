"""IP addresses as limits see them, and how often each may do something."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final

_MAX_ADDRESSES: Final = 4096
_MAPPED: Final = "::ffff:"


def plain_ip(ip: str) -> str:
    """An IPv4 address that came over an IPv6 socket as itself; any other unchanged."""
    return ip[len(_MAPPED) :] if ip.startswith(_MAPPED) and "." in ip else ip


@lru_cache(maxsize=1024)
def network_of(ip: str) -> str:
    """What limits count by: an IPv4 address, or the /64 network that a host with IPv6 can choose its addresses from."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if address.version == 4:
        return ip
    return str(ipaddress.IPv6Address(address.packed[:8] + bytes(8)))


class AddressRate:
    """By network: `burst` times at once, then `per_s` times a second. May be used from any thread; nothing waits."""

    def __init__(self, burst: float, per_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._per_s = per_s
        self._now_s = now_s
        self._left: dict[str, tuple[float, float]] = {}  # by network: times left, and when that was
        self._lock = threading.Lock()

    def take(self, ip: str) -> bool:
        """Count once; False when it is once too often."""
        network = network_of(ip)
        with self._lock:
            left, now_s = self._left_now(network)
            self._left.pop(network, None)
            allowed = left >= 1
            self._left[network] = (left - 1 if allowed else left, now_s)
            if len(self._left) > _MAX_ADDRESSES:  # the one that has been quiet for longest comes first
                del self._left[next(iter(self._left))]
        return allowed

    def spent(self, ip: str) -> bool:
        """Whether the next `take` would say False."""
        with self._lock:
            return self._left_now(network_of(ip))[0] < 1

    def _left_now(self, network: str) -> tuple[float, float]:
        now_s = self._now_s()
        left, at_s = self._left.get(network, (self._burst, now_s))
        return min(self._burst, left + (now_s - at_s) * self._per_s), now_s

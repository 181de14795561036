"""Who has not shown a valid key: how many connections they may have open, and how often they may fail.

One `Strangers` serves all protocols of a node. Publishers are no strangers: nothing here touches them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

from config.limits import IngestLimits
from ingest.addresses import AddressRate, network_of

log = structlog.get_logger()

TOO_MANY_CONNECTIONS: Final = "too_many_connections"
TOO_MANY_FAILURES: Final = "too_many_failures"

FAULTS: Final = frozenset(
    {
        "wrong_key",
        "no_key",
        "malformed_stream_id",
        "stream_id_too_long",
        "unknown_app",
        "not_publish",
        "not_stream",
        "play",
        "protocol_error",
        "tls_error",
        "handshake_timeout",
        "publish_timeout",
        "peer_does_not_read",
    }
)
"""Ends of a connection that are its own fault, and no matter of timing."""


class Strangers:
    """Counts by IPv4 address or IPv6 /64. Each successful `enter` needs one `leave`; both on the event loop."""

    def __init__(self, limits: IngestLimits, now_s: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._open: Counter[str] = Counter()
        self._total = 0
        self._failures = AddressRate(limits.failures_per_ip, limits.failures_per_ip_per_s, now_s)
        self._lines = AddressRate(limits.failures_per_ip, limits.failures_per_ip_per_s, now_s)

    def enter(self, ip: str) -> str | None:
        """Count one more connection. Returns None, or why it is refused (and then does not count it)."""
        too_many = self.too_many(ip)
        if too_many is None:
            self._open[network_of(ip)] += 1
            self._total += 1
        return too_many

    def leave(self, ip: str) -> None:
        """One connection less: it is closed, or it publishes now."""
        network = network_of(ip)
        self._total -= 1
        self._open[network] -= 1
        if not self._open[network]:
            del self._open[network]

    def failed(self, ip: str, reason: str) -> None:
        """A connection has ended for this reason; one of `FAULTS` counts. May be called from any thread."""
        if reason in FAULTS and not self.is_slowed(ip):
            self._failures.take(ip)
            if self.is_slowed(ip):
                log.warning("address_slowed", remote_ip=ip, reason=reason, per_s=self._limits.failures_per_ip_per_s)

    def too_many(self, ip: str) -> str | None:
        """Why `enter` would refuse now. May be called from any thread."""
        if self.is_slowed(ip):
            return TOO_MANY_FAILURES
        limits = self._limits
        is_full = self._total >= limits.unauthenticated_connections
        is_full = is_full or self._open[network_of(ip)] >= limits.unauthenticated_connections_per_ip
        return TOO_MANY_CONNECTIONS if is_full else None

    def is_slowed(self, ip: str) -> bool:
        """Whether this address has failed so often that it is not listened to for a while. From any thread."""
        return self._failures.spent(ip)

    def may_log(self, ip: str) -> bool:
        """Whether one more line about this address is still of use: a flood must not become a flood of lines."""
        return self._lines.take(ip)

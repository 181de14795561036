"""How many connections may be open that have not shown a valid key yet: in all, and from one address."""

from __future__ import annotations

from collections import Counter

from config.limits import IngestLimits


class UnauthenticatedConnections:
    """Counts by IP address. Each successful `enter` needs one `leave`."""

    def __init__(self, limits: IngestLimits) -> None:
        self._limits = limits
        self._by_ip: Counter[str] = Counter()
        self._total = 0

    def enter(self, ip: str) -> str | None:
        """Count one more connection. Returns None, or why it is one too many (and then does not count it)."""
        if self._total >= self._limits.unauthenticated_connections:
            return f"{self._total} connections without a key, the limit is {self._limits.unauthenticated_connections}"
        if self._by_ip[ip] >= self._limits.unauthenticated_connections_per_ip:
            limit = self._limits.unauthenticated_connections_per_ip
            return f"{self._by_ip[ip]} connections without a key from one address, the limit is {limit}"
        self._by_ip[ip] += 1
        self._total += 1
        return None

    def leave(self, ip: str) -> None:
        """One connection less: it is closed, or it publishes now."""
        self._total -= 1
        self._by_ip[ip] -= 1
        if not self._by_ip[ip]:
            del self._by_ip[ip]

"""What an encoder connection has brought, in steps: each byte and packet is counted once, however often one looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ingest.tally import Tally

_PACKETS = "packets_"


class Usage:
    """Of one connection. `transport` is `PublishRequest.transport`."""

    def __init__(self, protocol: str, transport: Callable[[], Mapping[str, int | float] | None]) -> None:
        self._protocol = protocol
        self._transport = transport
        self._bytes = 0
        self._packets: dict[str, int] = {}
        self.rtt_ms = 0.0
        """As of the last count; 0 where the protocol doesn't measure it."""

    def count(self, total_bytes: int, tally: Tally) -> None:
        """Add what has come since the last time."""
        tally.media_bytes[self._protocol] += total_bytes - self._bytes
        self._bytes = total_bytes
        measured = self._transport()
        if measured is None:
            return
        self.rtt_ms = float(measured.get("rtt_ms", 0.0))
        for name, value in measured.items():
            if name.startswith(_PACKETS):
                packets = int(value)
                tally.srt_packets[name.removeprefix(_PACKETS)] += max(0, packets - self._packets.get(name, 0))
                self._packets[name] = packets

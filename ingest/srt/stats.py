"""What libsrt measures on a connection, as far as an operator asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ingest.srt.libsrt import ffi, library


@dataclass(frozen=True, slots=True, kw_only=True)
class SrtStats:
    """Packets are counted since the connection began; the rest is as of now."""

    rtt_ms: float
    receive_rate_bps: float
    receive_buffer_ms: int
    packets: int
    lost_packets: int
    retransmitted_packets: int
    dropped_packets: int
    belated_packets: int
    undecrypted_packets: int

    def as_health(self) -> dict[str, int | float]:
        """In the words of `streams.health.SrtHealth`."""
        return {
            "rtt_ms": self.rtt_ms,
            "packets_received": self.packets,
            "packets_lost": self.lost_packets,
            "packets_retransmitted": self.retransmitted_packets,
            "packets_dropped": self.dropped_packets,
            "packets_belated": self.belated_packets,
            "packets_undecrypted": self.undecrypted_packets,
            "receive_buffer_ms": self.receive_buffer_ms,
            "receive_rate_bps": round(self.receive_rate_bps),
        }


class StatsReader:
    """Reads statistics; keeps the structure that libsrt fills in. For one thread."""

    def __init__(self) -> None:
        self._library = library()
        self._perf = ffi.new("SRT_TRACEBSTATS *")

    def read(self, u: int) -> SrtStats | None:
        """The statistics of a socket; None when it is gone."""
        if self._library.srt_bistats(u, self._perf, 0, 1) != 0:
            return None
        perf: Any = self._perf
        return SrtStats(
            rtt_ms=round(perf.msRTT, 3),
            receive_rate_bps=round(perf.mbpsRecvRate * 1e6),
            receive_buffer_ms=perf.msRcvBuf,
            packets=perf.pktRecvUniqueTotal,
            lost_packets=perf.pktRcvLossTotal,
            # These two libsrt counts since it was last asked to clear, which nobody does.
            retransmitted_packets=perf.pktRcvRetrans,
            dropped_packets=perf.pktRcvDropTotal,
            belated_packets=perf.pktRcvBelated,
            undecrypted_packets=perf.pktRcvUndecryptTotal,
        )

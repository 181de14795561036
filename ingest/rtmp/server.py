"""The RTMP listener: accepts encoders, and lets them go when the service ends."""

from __future__ import annotations

import asyncio
import ssl

from config.limits import LIMITS, IngestLimits
from ingest.admission import Admission
from ingest.rtmp.protocol import RtmpProtocol, Shared
from ingest.unauthenticated import UnauthenticatedConnections

BACKLOG = 1024
CLOSE_EXTRA_S = 1.0


class RtmpServer:
    """Listens for publishers. `admission` decides about each; its sinks get the media as FLV."""

    def __init__(self, admission: Admission, limits: IngestLimits = LIMITS) -> None:
        self._limits = limits
        self._shared = Shared(admission, limits, UnauthenticatedConnections(limits))
        self._servers: list[asyncio.Server] = []

    @property
    def connections(self) -> int:
        """Open connections, publishing or not."""
        return len(self._shared.connections)

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen on `host`, for RTMPS if there is a TLS context; may be called for each.

        Port 0 lets the system choose. Returns the actual port. Raises `OSError`.
        """
        name = "rtmp" if tls is None else "rtmps"
        server = await asyncio.get_running_loop().create_server(
            lambda: RtmpProtocol(self._shared, name),
            host,
            port,
            backlog=BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else self._limits.handshake_s,
        )
        self._servers.append(server)
        actual_port: int = server.sockets[0].getsockname()[1]
        return actual_port

    async def close(self) -> None:
        """Stop listening, say goodbye to every encoder, and wait until all are gone."""
        while self._servers:
            self._servers.pop().close()
        for connection in list(self._shared.connections):
            connection.close("shutdown")
        # A decision that is still open may end by itself; what it claims is closed at once, see `RtmpProtocol`.
        waiting = {connection.closed for connection in self._shared.connections} | self._shared.decisions
        if waiting:
            await asyncio.wait(waiting, timeout=self._limits.refusal_grace_s + CLOSE_EXTRA_S)
        late = list(self._shared.decisions)
        for decision in late:
            decision.cancel()
        await asyncio.gather(*late, return_exceptions=True)

"""The RTMP listener: accepts encoders, and lets them go when the service ends."""

from __future__ import annotations

import asyncio
import socket
import ssl

import structlog

from config.limits import LIMITS, IngestLimits
from ingest.addresses import plain_ip
from ingest.admission import Admission
from ingest.rtmp.protocol import RtmpProtocol, Shared
from ingest.strangers import Strangers

BACKLOG = 1024
CLOSE_EXTRA_S = 1.0
_ACCEPT_PAUSE_S = 0.1

log = structlog.get_logger()


class RtmpServer:
    """Listens for publishers. `admission` decides about each; its sinks get the media as FLV."""

    def __init__(self, admission: Admission, limits: IngestLimits = LIMITS, strangers: Strangers | None = None) -> None:
        self._limits = limits
        self._shared = Shared(admission, limits, strangers or Strangers(limits))
        self._servers: list[asyncio.Server] = []
        self._accepting: set[asyncio.Task[None]] = set()
        self._handshakes: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """Open connections, publishing or not."""
        return len(self._shared.connections)

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen on `host`, for RTMPS if there is a TLS context; may be called for each. `::` takes IPv4 as well.

        Port 0 lets the system choose. Returns the actual port. Raises `OSError`.
        """
        ipv6 = ":" in host
        family = socket.AF_INET6 if ipv6 else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=ipv6)
        listener.setblocking(False)
        actual_port: int = listener.getsockname()[1]
        loop = asyncio.get_running_loop()
        if tls is not None:
            self._accepting.add(loop.create_task(self._accept_tls(listener, tls)))
        else:
            server = await loop.create_server(lambda: RtmpProtocol(self._shared), sock=listener, backlog=BACKLOG)
            self._servers.append(server)
        return actual_port

    async def close(self) -> None:
        """Stop listening, say goodbye to every encoder, and wait until all are gone."""
        while self._servers:
            self._servers.pop().close()
        await _cancelled(self._accepting)
        await _cancelled(self._handshakes)
        for connection in list(self._shared.connections):
            connection.close("shutdown")
        # A decision that is still open may end by itself; what it claims is closed at once, see `RtmpProtocol`.
        waiting = {connection.closed for connection in self._shared.connections} | self._shared.decisions
        if waiting:
            await asyncio.wait(waiting, timeout=self._limits.refusal_grace_s + CLOSE_EXTRA_S)
        await _cancelled(self._shared.decisions)

    async def _accept_tls(self, listener: socket.socket, tls: ssl.SSLContext) -> None:
        """Accepts by hand, because a connection counts from its first byte, not from the end of its TLS handshake."""
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    sock, peer = await loop.sock_accept(listener)
                except OSError as error:  # out of file descriptors, most likely
                    log.error("rtmps_accept_failed", error=error.strerror or str(error))
                    await asyncio.sleep(_ACCEPT_PAUSE_S)
                    continue
                ip = plain_ip(str(peer[0]))
                too_many = self._shared.strangers.enter(ip)
                if too_many is not None:
                    self._refused(ip, too_many)
                    sock.close()
                    continue
                task = loop.create_task(self._handshake(sock, ip, tls))
                self._handshakes.add(task)
                task.add_done_callback(self._handshakes.discard)

    async def _handshake(self, sock: socket.socket, ip: str, tls: ssl.SSLContext) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: RtmpProtocol(self._shared, "rtmps", counted=True),
                sock,
                ssl=tls,
                ssl_handshake_timeout=self._limits.handshake_s,
            )
        except OSError as error:  # no protocol has been connected then
            self._shared.strangers.leave(ip)
            if isinstance(error, ssl.SSLError):
                self._refused(ip, "tls_error", error=error.reason)
            elif isinstance(error, ConnectionAbortedError):  # asyncio's word for its time limit
                self._refused(ip, "handshake_timeout")

    def _refused(self, ip: str, reason: str, **fields: object) -> None:
        self._shared.strangers.failed(ip, reason)
        if self._shared.strangers.may_log(ip):
            log.warning("rtmp_connection_refused", reason=reason, remote_address=ip, **fields)


async def _cancelled(tasks: set[asyncio.Task[None]]) -> None:
    late = list(tasks)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)

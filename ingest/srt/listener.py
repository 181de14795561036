"""The listening socket: its options, and the hook in which handshakes are decided."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from types import TracebackType
from typing import Any

import structlog

from config.limits import IngestLimits
from ingest.srt.abi import MIN_PEER_VERSION, Option, Reject
from ingest.srt.handshakes import Doorkeeper, Rejection
from ingest.srt.libsrt import bound_port, check, ffi, library, read_address, set_option, shown_address, socket_address

log = structlog.get_logger()

_UDP_RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024
_FLOW_WINDOW_PACKETS = 8192
"""As many as the receive buffer holds, 10 MB. libsrt allocates for the window at each handshake, also a refused one."""


class Listener:
    """One UDP port for all callers. `::` takes IPv4 callers as well."""

    def __init__(
        self,
        doorkeeper: Doorkeeper,
        limits: IngestLimits,
        on_rejected: Callable[[Rejection], None] = lambda _: None,
        on_let_in: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._library = library()
        self._doorkeeper = doorkeeper
        self._limits = limits
        self._on_rejected = on_rejected
        self._on_let_in = on_let_in
        self._loop = asyncio.get_running_loop()
        # Kept here: libsrt calls it for as long as the socket lives.
        self._hook: Any = ffi.callback("srt_listen_callback_fn", self._on_handshake, error=-1, onerror=_on_hook_error)
        self.u = -1

    def open(self, host: str, port: int, *, latency_ms: int, passphrase: str | None) -> int:
        """Listen; the actual port. All options are set here: accepted sockets inherit them. Raises `OSError`."""
        address = socket_address(host, port)
        self.u = u = check("create_socket", self._library.srt_create_socket())
        try:
            set_option(u, Option.RECEIVE_BLOCKS, False)
            set_option(u, Option.FLOW_WINDOW_PACKETS, _FLOW_WINDOW_PACKETS)
            set_option(u, Option.UDP_RECEIVE_BUFFER_BYTES, _UDP_RECEIVE_BUFFER_BYTES)
            set_option(u, Option.RECEIVER_LATENCY_MS, latency_ms)
            set_option(u, Option.MIN_VERSION, MIN_PEER_VERSION)
            set_option(u, Option.PEER_IDLE_TIMEOUT_MS, round(self._limits.srt_peer_idle_s * 1000))
            if passphrase is not None:
                set_option(u, Option.PASSPHRASE, passphrase.encode())
            if ":" in host:
                set_option(u, Option.IPV6_ONLY, 0)
            check(f"bind to UDP {host} port {port}", self._library.srt_bind(u, address, len(address)))
            check("listen_callback", self._library.srt_listen_callback(u, self._hook, ffi.NULL))
            check("listen", self._library.srt_listen(u, self._limits.srt_backlog))
            return bound_port(u)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """No more handshakes. Idempotent."""
        if self.u != -1:
            self._library.srt_close(self.u)
            self.u = -1

    def _on_handshake(self, opaque: Any, u: int, hs_version: int, peer: Any, raw_stream_id: Any) -> int:
        """Called by libsrt in a thread of its own."""
        ip, port = read_address(peer)
        raw = ffi.string(raw_stream_id, self._limits.srt_stream_id_bytes + 1) if raw_stream_id else b""
        rejection = self._doorkeeper.rejection(ip, raw)
        if rejection is None:
            self._loop.call_soon_threadsafe(self._on_let_in, shown_address(ip, port))
            return 0
        self._loop.call_soon_threadsafe(self._on_rejected, rejection)
        if self._doorkeeper.strangers.may_log(ip):
            self._loop.call_soon_threadsafe(_log_rejection, ip, rejection)
        if rejection.code is Reject.BAD_SECRET:
            # This code is libsrt's to give: for a secret that nobody can know, the handshake fails by itself.
            set_option(u, Option.PASSPHRASE, secrets.token_hex(16).encode())
            return 0
        self._library.srt_setrejectreason(u, int(rejection.code))
        return -1


def _log_rejection(ip: str, rejection: Rejection) -> None:
    log.warning("srt_handshake_rejected", reason=rejection.reason, code=int(rejection.code), remote_ip=ip)


def _on_hook_error(kind: type[BaseException], error: BaseException, traceback: TracebackType) -> None:
    # The error's text is left out: it may quote the stream id.
    log.error("srt_internal_error", error=kind.__name__)

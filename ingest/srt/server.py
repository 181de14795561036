"""The SRT listener: takes callers, and lets them go when the service ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from config.limits import LIMITS, IngestLimits
from ingest.admission import Admission
from ingest.srt.connection import SrtConnection
from ingest.srt.directory import KeyDirectory
from ingest.srt.handshakes import Doorkeeper, Rejection
from ingest.srt.heap import give_back_what_is_freed
from ingest.srt.libsrt import library
from ingest.srt.listener import Listener
from ingest.srt.receiver import Accepted, Batch, Receiver
from ingest.srt.unfinished import HANDSHAKE_FAILED, Unfinished
from ingest.strangers import Strangers

log = structlog.get_logger()

_MEDIA_CHECK_S = 1.0
_CLOSE_S = 1.5


class SrtServer:
    """Listens for publishers. `directory` decides in the handshake, `admission` after it; sinks get MPEG-TS.

    `on_refused` hears of each key that the handshake refuses, and why.
    """

    def __init__(
        self,
        admission: Admission,
        directory: KeyDirectory,
        limits: IngestLimits = LIMITS,
        strangers: Strangers | None = None,
        on_refused: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.admission = admission
        self.limits = limits
        self.strangers = strangers or Strangers(limits)
        self._doorkeeper = Doorkeeper(directory, limits, self.strangers)
        self._on_refused = on_refused
        self._connections: dict[int, SrtConnection] = {}
        self._unfinished = Unfinished()
        self._decisions: set[asyncio.Task[None]] = set()
        self._receiver: Receiver | None = None
        self._check: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> tuple[SrtConnection, ...]:
        """Open connections, publishing or not."""
        return tuple(self._connections.values())

    async def start(self, host: str, port: int, *, latency_ms: int = 120, passphrase: str | None = None) -> int:
        """Listen on `host`; port 0 lets the system choose. Returns the actual UDP port. Raises `OSError`."""
        give_back_what_is_freed()
        library().srt_startup()
        try:
            listener = Listener(self._doorkeeper, self.limits, self._rejected, self._let_in)
            actual_port = listener.open(host, port, latency_ms=latency_ms, passphrase=passphrase)
        except OSError:
            library().srt_cleanup()
            raise
        self._receiver = Receiver(listener, self.limits, self._on_batch)
        self._check_media()
        return actual_port

    async def close(self) -> None:
        """Stop listening, cut every caller, and wait until all of it is gone."""
        if self._receiver is None:
            return
        receiver, self._receiver = self._receiver, None
        if self._check is not None:
            self._check.cancel()
        for connection in self.connections:
            connection.close("shutdown")
        # A decision that is still open may end by itself; what it claims is closed at once, see `SrtConnection`.
        if self._decisions:
            await asyncio.wait(self._decisions, timeout=_CLOSE_S)
        late = list(self._decisions)
        for decision in late:
            decision.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await asyncio.to_thread(receiver.stop)
        await asyncio.to_thread(library().srt_cleanup)

    def read(self, u: int) -> None:
        """Begin to read this caller."""
        if self._receiver is not None:
            self._receiver.read(u)

    def forget(self, connection: SrtConnection) -> None:
        """This connection has ended: its socket is closed."""
        if self._connections.pop(connection.u, None) is not None and self._receiver is not None:
            self._receiver.close_socket(connection.u)

    def _rejected(self, rejection: Rejection) -> None:
        if rejection.knew_key:
            self._on_refused(rejection.reason)

    def _let_in(self, remote_address: str) -> None:
        self._unfinished.let_in(remote_address, asyncio.get_running_loop().time())

    def _on_batch(self, batch: Batch) -> None:
        for caller in batch.accepted:
            self._accept(caller)
        for u, data in batch.media:
            if (connection := self._connections.get(u)) is not None:
                connection.deliver(data)
        for u, stats in batch.stats:
            if (connection := self._connections.get(u)) is not None:
                connection.stats = stats
        for u in batch.ended:
            if (connection := self._connections.get(u)) is not None:
                connection.ended()

    def _accept(self, caller: Accepted) -> None:
        self._unfinished.finished(caller.remote_address)
        if self._receiver is None:
            return
        connection = self._connections[caller.u] = SrtConnection(self, caller)
        too_many = self.strangers.enter(caller.ip)
        if too_many is not None:
            connection.close(too_many)
            return
        decision = asyncio.get_running_loop().create_task(connection.decide(caller))
        self._decisions.add(decision)
        decision.add_done_callback(self._decisions.discard)
        decision.add_done_callback(lambda _: self.strangers.leave(caller.ip))

    def _check_media(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in self.connections:
            connection.check_media()
        for remote_address in self._unfinished.failed(loop.time()):
            self._on_refused(HANDSHAKE_FAILED)
            if self.strangers.may_log(remote_address.rpartition(":")[0].strip("[]")):
                log.warning("srt_handshake_rejected", reason=HANDSHAKE_FAILED, remote_address=remote_address)
        self._check = loop.call_later(_MEDIA_CHECK_S, self._check_media)

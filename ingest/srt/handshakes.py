"""What is decided inside the SRT handshake: whether a caller is let in, and what it is told if not.

Runs in a thread of libsrt's that also receives for every connection: nothing here waits. No I/O.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from config.limits import IngestLimits
from ingest.srt.abi import Reject
from ingest.srt.directory import KeyDirectory, Verdict
from ingest.srt.stream_id import Fault, StreamIdError, parse_stream_id
from streams.ids import key_hash

_FAULT_CODES = {
    Fault.NO_KEY: Reject.BAD_REQUEST,
    Fault.MALFORMED: Reject.BAD_REQUEST,
    Fault.TOO_LONG: Reject.BAD_REQUEST,
    Fault.UNKNOWN_APP: Reject.BAD_REQUEST,
    Fault.NOT_PUBLISH: Reject.BAD_MODE,
    Fault.NOT_STREAM: Reject.UNSUPPORTED_MEDIA,
}
_VERDICT_CODES = {Verdict.WRONG_KEY: Reject.UNAUTHORIZED, Verdict.ALREADY_PUBLISHING: Reject.CONFLICT}
_MAX_ADDRESSES = 4096


@dataclass(frozen=True, slots=True)
class Rejection:
    """The code for the caller, and a machine word for the log."""

    code: Reject
    reason: str


class HandshakeRate:
    """Handshakes by IP address: as many as the limit at once, then as many per second."""

    def __init__(self, per_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._now_s = now_s
        self._left: dict[str, tuple[float, float]] = {}  # by address: handshakes left, and when that was

    def take(self, ip: str) -> bool:
        """Count one handshake; False when it is one too many."""
        now_s = self._now_s()
        left, at_s = self._left.pop(ip, (self._per_s, now_s))
        left = min(self._per_s, left + (now_s - at_s) * self._per_s)
        allowed = left >= 1
        self._left[ip] = (left - 1 if allowed else left, now_s)
        if len(self._left) > _MAX_ADDRESSES:  # the one that has been quiet for longest comes first
            del self._left[next(iter(self._left))]
        return allowed


class Doorkeeper:
    """Decides about each handshake."""

    def __init__(self, directory: KeyDirectory, limits: IngestLimits) -> None:
        self._directory = directory
        self._limits = limits
        self._rate = HandshakeRate(limits.srt_handshakes_per_ip_per_s)

    def rejection(self, ip: str, raw_stream_id: bytes) -> Rejection | None:
        """Why this caller is refused; None lets it in."""
        if not self._rate.take(ip):
            return Rejection(Reject.OVERLOAD, "too_many_handshakes")
        try:
            stream_id = parse_stream_id(raw_stream_id, self._limits.srt_stream_id_bytes)
        except StreamIdError as error:
            return Rejection(_FAULT_CODES[error.fault], error.fault.value)
        verdict = self._directory.verdict(key_hash(stream_id.key))
        code = _VERDICT_CODES.get(verdict)
        return None if code is None else Rejection(code, verdict.value)

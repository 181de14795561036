"""What is decided inside the SRT handshake: whether a caller is let in, and what it is told if not.

Runs in a thread of libsrt's that also receives for every connection: nothing here waits. No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass

from config.limits import IngestLimits
from ingest.addresses import AddressRate
from ingest.srt.abi import Reject
from ingest.srt.directory import KeyDirectory, Verdict
from ingest.srt.stream_id import Fault, StreamIdError, parse_stream_id
from ingest.strangers import Strangers
from streams.ids import key_hash

_FAULT_CODES = {
    Fault.NO_KEY: Reject.BAD_REQUEST,
    Fault.MALFORMED: Reject.BAD_REQUEST,
    Fault.TOO_LONG: Reject.BAD_REQUEST,
    Fault.UNKNOWN_APP: Reject.BAD_REQUEST,
    Fault.NOT_PUBLISH: Reject.BAD_MODE,
    Fault.NOT_STREAM: Reject.UNSUPPORTED_MEDIA,
}
# A wrong key is a bad secret, for which OBS stops; after any code of the guidelines it tries again and again.
_VERDICT_CODES = {
    Verdict.WRONG_KEY: Reject.BAD_SECRET,
    Verdict.ALREADY_PUBLISHING: Reject.CONFLICT,
    Verdict.DRAINING: Reject.OVERLOAD,
    Verdict.FULL: Reject.OVERLOAD,
}
TOO_MANY_HANDSHAKES = "too_many_handshakes"


@dataclass(frozen=True, slots=True)
class Rejection:
    """The code for the caller, and a machine word for the log."""

    code: Reject
    reason: str
    knew_key: bool = False
    """Whether the stream id had a key in it, right or wrong."""


class Doorkeeper:
    """Decides about each handshake."""

    def __init__(self, directory: KeyDirectory, limits: IngestLimits, strangers: Strangers | None = None) -> None:
        self._directory = directory
        self._limits = limits
        self.strangers = strangers or Strangers(limits)
        per_s = limits.srt_handshakes_per_ip_per_s
        self._rate = AddressRate(per_s, per_s)

    def rejection(self, ip: str, raw_stream_id: bytes) -> Rejection | None:
        """Why this caller is refused; None lets it in."""
        if not self._rate.take(ip):
            return Rejection(Reject.OVERLOAD, TOO_MANY_HANDSHAKES)
        too_many = self.strangers.too_many(ip)
        if too_many is not None:
            return Rejection(Reject.OVERLOAD, too_many)
        rejection = self._rejection(raw_stream_id)
        if rejection is not None:
            self.strangers.failed(ip, rejection.reason)
        return rejection

    def _rejection(self, raw_stream_id: bytes) -> Rejection | None:
        try:
            stream_id = parse_stream_id(raw_stream_id, self._limits.srt_stream_id_bytes)
        except StreamIdError as error:
            return Rejection(_FAULT_CODES[error.fault], error.fault.value)
        verdict = self._directory.verdict(key_hash(stream_id.key))
        code = _VERDICT_CODES.get(verdict)
        return None if code is None else Rejection(code, verdict.value, knew_key=True)

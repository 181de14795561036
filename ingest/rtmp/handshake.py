"""The simple RTMP handshake, server side (RTMP 1.0, section 5.2): C0, C1, C2 in, S0, S1, S2 out."""

from __future__ import annotations

import os
from collections.abc import Callable

from ingest.rtmp.errors import ProtocolError

RTMP_VERSION = 3
BLOCK_BYTES = 1536
_C0_C1_BYTES = 1 + BLOCK_BYTES
_CLIENT_BYTES = 1 + 2 * BLOCK_BYTES


class Handshake:
    """Takes 3073 bytes from the client and no more. S1 is random with version 0, which asks for no digests."""

    def __init__(self, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._random_bytes = random_bytes
        self._seen = bytearray()
        self._answered = False

    @property
    def done(self) -> bool:
        """True after the last byte of C2."""
        return len(self._seen) == _CLIENT_BYTES

    def receive_data(self, data: memoryview) -> tuple[bytes, memoryview]:
        """Take bytes; return what to send and what follows the handshake. Raises `ProtocolError` on a wrong version."""
        missing = _CLIENT_BYTES - len(self._seen)
        self._seen += data[:missing]
        if self._seen and self._seen[0] != RTMP_VERSION:
            raise ProtocolError(f"handshake asks for RTMP version {self._seen[0]}, supported is {RTMP_VERSION}")
        answer = b""
        if not self._answered and len(self._seen) >= _C0_C1_BYTES:
            self._answered = True
            s1 = bytes(8) + self._random_bytes(BLOCK_BYTES - 8)
            answer = bytes([RTMP_VERSION]) + s1 + bytes(self._seen[1:_C0_C1_BYTES])
        return answer, data[missing:]

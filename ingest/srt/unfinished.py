"""Callers that were let in and never came: libsrt itself has refused them, and tells only them why. No I/O."""

from __future__ import annotations

from typing import Final

HANDSHAKE_FAILED: Final = "handshake_failed"
"""The passphrase is wrong, missing, or none is asked for; or the caller is in file mode; or has gone."""
_DUE_S: Final = 3.0
_MAX: Final = 1000


class Unfinished:
    """Who was let in, by address and port, and since when. Times are of any clock that only goes forward."""

    def __init__(self) -> None:
        self._since_s: dict[str, float] = {}

    def let_in(self, remote_address: str, now_s: float) -> None:
        """A caller may finish its handshake. Of a flood only the first are noted."""
        if len(self._since_s) < _MAX:
            self._since_s.setdefault(remote_address, now_s)

    def finished(self, remote_address: str) -> None:
        """It has."""
        self._since_s.pop(remote_address, None)

    def failed(self, now_s: float) -> list[str]:
        """Those who had the time for it and have not; each is named once."""
        late = [address for address, since_s in self._since_s.items() if now_s - since_s >= _DUE_S]
        for address in late:
            del self._since_s[address]
        return late

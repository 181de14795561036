"""What signals ask for: to end, at once or after what is under way has been handed over."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable


class StopSignals:
    """Needs a running loop. `begun` is set by the first signal, `at_once` by Ctrl-C, or by the second."""

    def __init__(self, numbers: Iterable[signal.Signals], *, gently: bool) -> None:
        self.begun = asyncio.Event()
        self.at_once = asyncio.Event()
        self._gently = gently
        for number in numbers:
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        if self.begun.is_set() or number != signal.SIGTERM or not self._gently:
            self.at_once.set()
        self.begun.set()

    async def unless_at_once(self, work: asyncio.Task[None]) -> bool:
        """Wait for some work, which is cancelled when the end is wanted at once. Whether it was finished."""
        at_once = asyncio.ensure_future(self.at_once.wait())
        try:
            await asyncio.wait((work, at_once), return_when=asyncio.FIRST_COMPLETED)
            return work.done()
        finally:
            at_once.cancel()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

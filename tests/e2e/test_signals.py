"""What signals ask for."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from antlive.signals import StopSignals


@pytest.mark.parametrize(
    ("gently", "sent", "at_once"),
    [
        (False, [signal.SIGTERM], True),
        (True, [signal.SIGTERM], False),
        (True, [signal.SIGINT], True),
        (True, [signal.SIGTERM, signal.SIGTERM], True),
        (True, [signal.SIGTERM, signal.SIGINT], True),
    ],
)
async def test_only_the_first_sigterm_is_gentle(gently: bool, sent: list[signal.Signals], at_once: bool) -> None:
    signals = StopSignals((signal.SIGTERM, signal.SIGINT), gently=gently)
    for number in sent:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(signals.begun.wait(), 2)
        await asyncio.sleep(0)
    work = asyncio.create_task(asyncio.sleep(0.05 if not at_once else 60))
    assert await asyncio.wait_for(signals.unless_at_once(work), 2) != at_once
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from config import rounds as rounds_module
from config.rounds import LEAST_READS_PER_S, REST_S, Rounds, served_at_once, stay_awake


@pytest.fixture(autouse=True)
def _rested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has been served lately."""
    monkeypatch.setattr(rounds_module, "_awake_until_s", 0.0)


async def test_a_loop_with_few_reads_never_rests() -> None:
    rounds = Rounds()
    for _ in range(LEAST_READS_PER_S - 1):
        rounds.count_read()
    assert not rounds.resting


async def test_a_busy_loop_works_in_rounds_until_it_is_quiet() -> None:
    rounds = Rounds()
    for _ in range(LEAST_READS_PER_S):
        rounds.count_read()
    assert rounds.resting
    before_s = time.monotonic()
    await asyncio.sleep(0)
    assert time.monotonic() - before_s >= REST_S / 2  # it has rested
    async with asyncio.timeout(10):
        while rounds.resting:  # noqa: ASYNC110 (nobody is told)
            await asyncio.sleep(0)


async def test_reads_that_come_over_a_long_time_are_few() -> None:
    rounds = Rounds()
    rounds._since_s -= 10.0
    for _ in range(LEAST_READS_PER_S):
        rounds.count_read()
    assert not rounds.resting


async def test_who_comes_to_a_socket_that_is_served_at_once_ends_a_rest() -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind("\0antlive/test-rounds")
        listener.listen()
        with served_at_once(listener.fileno()):
            rounds = Rounds()
            for _ in range(LEAST_READS_PER_S):
                rounds.count_read()
            assert rounds.resting
            client.connect(listener.getsockname())
            before_s = time.monotonic()
            for _ in range(5):
                await asyncio.sleep(0.001)  # turns, none of which rests
            assert time.monotonic() - before_s < REST_S / 2


async def test_there_is_no_rest_while_somebody_is_served_who_came_between_two_rests() -> None:
    rounds = Rounds()
    for _ in range(LEAST_READS_PER_S):
        rounds.count_read()
    steps_s = []
    for is_served in (False, True):
        if is_served:
            stay_awake()
        await asyncio.sleep(0)  # the turn that was due before
        before_s = time.monotonic()
        for _ in range(5):
            await asyncio.sleep(0.001)
        steps_s.append(time.monotonic() - before_s)
    assert rounds.resting and steps_s[0] >= REST_S and steps_s[1] < steps_s[0] / 2, steps_s

from __future__ import annotations

import asyncio
import time

from config.rounds import LEAST_READS_PER_S, REST_S, Rounds


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

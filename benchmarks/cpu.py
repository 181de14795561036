"""CPU time of processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import psutil


def cpu_seconds_of(pids: Iterable[int]) -> float:
    """User and system time of these processes and all below them so far."""
    parents = [psutil.Process(pid) for pid in pids]
    processes = parents + [child for parent in parents for child in parent.children(recursive=True)]
    return sum(_clock_s(process.pid) for process in processes)


def _clock_s(pid: int) -> float:
    """The CPU clock of a process, to the nanosecond; /proc knows steps of 10 ms only. See clock_getcpuclockid(3)."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError as error:
        raise psutil.NoSuchProcess(pid) from error


async def cpu_ms_per_stream_second(pids: Iterable[int], seconds: float, streams: int) -> float:
    """What these processes need from now on, in milliseconds for each second of each stream."""
    pids = list(pids)
    before_s = cpu_seconds_of(pids)
    await asyncio.sleep(seconds)
    return (cpu_seconds_of(pids) - before_s) * 1000 / seconds / streams

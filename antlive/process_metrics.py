"""A process as Prometheus metrics: its CPU time, memory and open files, as Linux counts them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from config.families import counters, gauges

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ProcessMetrics(Collector):
    """This process, which has this role."""

    def __init__(self, role: str) -> None:
        self._role = role

    def describe(self) -> list[Metric]:
        """None in advance."""
        return []

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        labels, role = ("role",), self._role
        resident_bytes = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
        yield counters("process_cpu_seconds", "CPU time", labels, {role: time.process_time()})
        yield gauges("process_resident_bytes", "memory", labels, {role: resident_bytes})
        yield gauges(
            "process_open_files",
            "open file descriptors",
            labels,
            {role: sum(1 for _ in Path("/proc/self/fd").iterdir())},
        )

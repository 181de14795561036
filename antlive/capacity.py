"""How much this node carries: as the settings say, or as measured at its first start and kept in its data directory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import structlog

from antlive.node import NodeFiles
from ingest.capacity import Capacity
from ingest.workers import WorkerPool

log = structlog.get_logger()

FILE: Final = "capacity.json"
USABLE_SHARE: Final = 0.75
"""Of all CPU time: the rest is for the origin, Redis, the recorder, and for pictures that are harder than usual."""
_METHOD: Final = 1


def usable_cores() -> float:
    """Cores that this process may use: by its affinity, and by the CPU quota of its control group."""
    cores = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):  # no control groups of version 2 here
        return cores
    return cores if quota == "max" else min(cores, int(quota) / int(period))


def units_of(megapixels_per_core_s: float, cores: float) -> float:
    """What a machine of this speed carries, in the units of `config.costs`."""
    return round(megapixels_per_core_s * cores * USABLE_SHARE, 1)


@asynccontextmanager
async def knowing_capacity(
    capacity: Capacity, setting: float | None, files: NodeFiles, workers: WorkerPool
) -> AsyncIterator[None]:
    """Tell `capacity` its units: at once if they are known, else as soon as they are measured, in half a second."""
    machine = _machine()
    known = files.read_json(FILE) or {}
    units = setting if setting is not None else known.get("units") if known.get("machine") == machine else None
    if units is not None:
        capacity.units = float(units)
        yield
        return
    measuring = asyncio.create_task(_measure(capacity, files, workers, machine))
    try:
        yield
    finally:
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)


async def _measure(capacity: Capacity, files: NodeFiles, workers: WorkerPool, machine: dict[str, Any]) -> None:
    try:
        speed = await workers.measure(max(1, round(machine["cores"])))
    except (OSError, EOFError) as error:
        # Admission goes on without a limit: nobody is refused for a number that is not there.
        log.error("capacity_unknown", error=f"{type(error).__name__}: {error}")
        return
    capacity.units = units_of(speed, machine["cores"])
    log.info("capacity_measured", units=capacity.units, megapixels_per_core_s=round(speed, 1), **machine)
    files.write_json(FILE, {"machine": machine, "units": capacity.units})


def _machine() -> dict[str, Any]:
    """What a measurement is valid for."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    model = next(models, os.uname().machine)
    return {"cores": usable_cores(), "cpu": model, "method": _METHOD}

"""`make bench`: every benchmark, or those that are named, as one table."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import sys
import tempfile
from pathlib import Path

import structlog

from benchmarks.report import Figure, print_figures

NAMES = (
    "ladder", "latency", "progressive", "rewind", "first_picture", "player", "memory", "recording", "origin", "edge",
    "viewers", "ingest_rtmp", "ingest_srt", "ingest_idle", "passthrough", "control_api", "control_events",
    "node",
)  # fmt: skip


async def _run(names: list[str], quick: bool) -> list[Figure]:
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="antlive-bench-") as directory:
        for name in names:
            print(f"{name} …", flush=True)
            work = Path(directory) / name
            work.mkdir()
            found: list[Figure] = await importlib.import_module(f"benchmarks.{name}").run(work, quick)
            print_figures(found)
            figures += found
    return figures


def main() -> None:
    """Exits with 1 when a figure falls short."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help=f"which: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="shorter runs, for a first look")
    options = parser.parse_args()
    # Whatever runs in this process logs as a service does; the output of a benchmark is its table.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    figures = asyncio.run(_run(options.names or list(NAMES), options.quick))
    print()
    print_figures(figures)
    sys.exit(any(figure.verdict == "short" for figure in figures))


if __name__ == "__main__":
    main()

"""`antlive bench node`: how many streams of each tier this machine carries."""

from __future__ import annotations

import argparse
import math
from typing import Any

from antlive.capacity import FILE, USABLE_SHARE, usable_cores
from antlive.node import NodeFiles
from config.costs import session_units
from config.settings import Settings

_PASSTHROUGH_NOTE = "not encoded: by its share of the capacity alone"


def add_bench_parser(commands: Any) -> None:
    """Add the command to those of `antlive`."""
    bench = commands.add_parser("bench", help="measure this machine")
    what = bench.add_subparsers(required=True, metavar="WHAT")
    node = what.add_parser("node", help="how many streams of each tier it carries; takes some seconds of all cores")
    node.set_defaults(run=_node)


def _node(settings: Settings, options: argparse.Namespace) -> int:
    # The codec library is loaded here, and by no other command.
    from transcode.speed import encoded_megapixels_per_core_s, ladder_speed

    cores = usable_cores()
    threads = max(1, round(cores))
    per_core = encoded_megapixels_per_core_s(threads)
    units = round(per_core * cores * USABLE_SHARE, 1)
    print(f"{cores:g} cores, {per_core:.0f} million pixels encoded per core and second")
    print(f"capacity measured now: {units:g} units ({USABLE_SHARE:.0%} of it), {_in_force(settings)}\n")
    print(f"{'tier':<16}{'units':>8}{'encodes at':>14}{'streams carried':>18}{'streams admitted':>18}")
    for tier in settings.qualities:
        ladder = settings.all_ladders.get(tier)
        cost = session_units(ladder)
        admitted = math.floor(units / cost)
        if ladder is None:
            print(f"{tier:<16}{cost:>8.1f}{'':>14}{'':>18}{admitted:>18}  {_PASSTHROUGH_NOTE}")
            continue
        speed = ladder_speed(ladder, threads)
        carried = math.floor(speed * USABLE_SHARE)
        print(f"{tier:<16}{cost:>8.1f}{speed:>12.1f} x{carried:>18}{admitted:>18}", flush=True)
    print("\nSources of 30 frames/s, as large as the top rendition. ANTLIVE_CAPACITY_UNITS sets the capacity.")
    return 0


def _in_force(settings: Settings) -> str:
    if settings.capacity_units is not None:
        return f"in force: {settings.capacity_units:g} (ANTLIVE_CAPACITY_UNITS)"
    kept = NodeFiles(settings.data_dir).read_json(FILE) or {}
    return f"in force: {kept['units']:g} (measured at the first start)" if "units" in kept else "none in force yet"

"""Every fault, or those whose name holds a word given, in real players; the table of docs/reliability.md."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.reliability import killed as _killed  # noqa: F401 (adds its rows)
from benchmarks.reliability import nodes as _nodes  # noqa: F401 (adds its rows)
from benchmarks.reliability.faults import FAULTS, Fault
from benchmarks.reliability.players import NAMES, Seen, open_players

DOCUMENT = Path(__file__).parent.parent.parent / "docs/reliability.md"
_SETTLE_S = 8.0
_RECOVER_S = 40.0
_WATCH_AFTER_S = 4.0
_TABLE = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- end of table -->)", re.DOTALL)
_HEADER = (
    "| fault | quality | nothing sent | player page | hls.js | Shaka |\n| --- | --- | --- | --- | --- | --- |\n"
)  # fmt: skip


async def measure(fault: Fault, directory: Path) -> dict[str, Seen]:
    """What each player showed of this fault."""
    async with fault.stage(directory, fault.quality) as scene:
        node, stream = scene.node, scene.stream
        page_url = f"{node.base_url}/player/{stream['edgeId']}"
        async with open_players(stream["playback"]["hlsUrl"], page_url) as players:
            await asyncio.sleep(_SETTLE_S)
            from_s = time.time()
            await fault.inflict(scene)
            late = await players.wait_for_picture(time.time(), _RECOVER_S)
            await asyncio.sleep(_WATCH_AFTER_S)
            return await players.seen(from_s, time.time(), late)


def row(fault: Fault, seen: dict[str, Seen]) -> str:
    """A line of the table."""
    cells = [fault.name, fault.quality, f"{fault.away_s:g} s" if fault.away_s else "–"]
    return f"| {' | '.join(cells + [_cell(seen[name]) for name in NAMES])} |"


def _cell(seen: Seen) -> str:
    text = f"{seen.frozen_s:.1f} s, stopped {seen.stopped_s:.1f} s" if seen.recovered else "**not recovered**"
    fatal = ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in Counter(seen.fatal).items())
    return f"{text} ({fatal})" if fatal else text


def kept(fault: Fault, seen: dict[str, Seen]) -> bool:
    """Whether the product's own page froze no longer than it may."""
    return seen["page"].recovered and seen["page"].frozen_s <= fault.away_s + fault.at_most_s


async def run(faults: list[Fault]) -> dict[str, bool]:
    """Rows as they are measured, each with whether its bound is kept."""
    rows: dict[str, bool] = {}
    print(_HEADER, end="")
    for fault in faults:
        with tempfile.TemporaryDirectory(prefix="antlive-reliability-") as directory:
            seen = await measure(fault, Path(directory))
        line = row(fault, seen)
        rows[line] = kept(fault, seen)
        print(line, "" if rows[line] else f"<- more than {fault.at_most_s:g} s beyond what was not sent", flush=True)
    return rows


def main() -> None:
    """Exits with 1 when a fault costs more than it may."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults whose name or quality holds one of these")
    parser.add_argument(
        "--write", action="store_true", help=f"put the rows into {DOCUMENT.name}, in place of their like"
    )
    options = parser.parse_args()
    faults = [
        fault
        for fault in FAULTS
        if not options.words or any(word in f"{fault.name} {fault.quality}" for word in options.words)
    ]
    rows = asyncio.run(run(faults))
    if options.write:
        text = DOCUMENT.read_text()
        found = _TABLE.search(text)
        assert found is not None, "the document has no table"
        DOCUMENT.write_text(text.replace(found[0], merged(found[0], list(rows))))
    sys.exit(not all(rows.values()))


def merged(table: str, rows: list[str]) -> str:
    """The table with these rows in place of the ones of the same fault and quality, in the order of `FAULTS`."""
    lines = {_key(line): line for line in [*table.splitlines()[2:], *rows]}
    known = [(fault.name, fault.quality) for fault in FAULTS]
    return _HEADER + "".join(f"{lines[key]}\n" for key in known if key in lines)


def _key(line: str) -> tuple[str, str]:
    cells = [cell.strip() for cell in line.split("|")]
    return cells[1], cells[2]


if __name__ == "__main__":
    main()

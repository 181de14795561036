"""Every fault, or those whose name holds a word given, in real players; the table of docs/reliability.md."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.reliability import killed as _killed  # noqa: F401 (adds its rows)
from benchmarks.reliability import nodes as _nodes  # noqa: F401 (adds its rows)
from benchmarks.reliability.faults import FAULTS, Fault
from benchmarks.reliability.players import KINDS, Seen, open_players

DOCUMENT = Path(__file__).parent.parent.parent / "docs/reliability.md"
_SETTLE_S = 8.0
_RECOVER_S = 40.0
_WATCH_AFTER_S = 4.0
_TABLE = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- end of table -->)", re.DOTALL)
_HEADER = (
    "| fault | quality | nothing sent | player page | hls.js | Shaka |\n| --- | --- | --- | --- | --- | --- |\n"
)  # fmt: skip


async def measure(fault: Fault, directory: Path, copies: int = 1) -> dict[str, Seen]:
    """What each player showed of this fault."""
    async with fault.stage(directory, fault.quality) as scene:
        node, stream = scene.node, scene.stream
        page_url = f"{node.base_url}/player/{stream['edgeId']}"
        async with open_players(stream["playback"]["hlsUrl"], page_url, copies) as players:
            await asyncio.sleep(_SETTLE_S)
            from_s = time.time()
            await fault.inflict(scene)
            late = await players.wait_for_picture(time.time(), _RECOVER_S)
            await asyncio.sleep(_WATCH_AFTER_S)
            return await players.seen(from_s, time.time(), late)


def row(fault: Fault, runs: Sequence[dict[str, Seen]]) -> str:
    """A line of the table."""
    cells = [fault.name, fault.quality, f"{fault.away_s:g} s" if fault.away_s else "–"]
    return f"| {' | '.join(cells + [_cell(_of_kind(runs, kind)) for kind in KINDS])} |"


def _of_kind(runs: Sequence[dict[str, Seen]], kind: str) -> list[Seen]:
    return [seen for run in runs for name, seen in run.items() if name.split("-")[0] == kind]


def _cell(all_seen: list[Seen]) -> str:
    """The player that is in the middle of those that took longest; how many never came back."""
    recovered = sorted((seen for seen in all_seen if seen.recovered), key=lambda seen: seen.frozen_s)
    lost = len(all_seen) - len(recovered)
    if not recovered:
        return "**not recovered**"
    middle, longest = recovered[len(recovered) // 2], recovered[-1]
    text = f"{middle.frozen_s:.1f} s, stopped {middle.stopped_s:.1f} s"
    if len(all_seen) > 1:
        text += f", at most {longest.frozen_s:.1f} s"
    if lost:
        text += f", **{lost} of {len(all_seen)} not recovered**"
    errors = Counter(error for seen in all_seen for error in seen.fatal)
    fatal = ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in errors.items())
    return f"{text} ({fatal})" if fatal else text


def kept(fault: Fault, seen: dict[str, Seen]) -> bool:
    """Whether the product's own page froze no longer than it may."""
    return seen["page"].recovered and seen["page"].frozen_s <= fault.away_s + fault.at_most_s


async def run(faults: list[Fault], runs: int, copies: int) -> dict[str, bool]:
    """Rows as they are measured, each with whether its bound is kept."""
    rows: dict[str, bool] = {}
    print(_HEADER, end="")
    for fault in faults:
        measured = []
        for _ in range(runs):
            with tempfile.TemporaryDirectory(prefix="antlive-reliability-") as directory:
                measured.append(await measure(fault, Path(directory), copies))
        line = row(fault, measured)
        rows[line] = all(kept(fault, seen) for seen in measured)
        print(line, "" if rows[line] else f"<- more than {fault.at_most_s:g} s beyond what was not sent", flush=True)
    return rows


def main() -> None:
    """Exits with 1 when a fault costs more than it may."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults whose name or quality holds one of these")
    parser.add_argument(
        "--write", action="store_true", help=f"put the rows into {DOCUMENT.name}, in place of their like"
    )
    parser.add_argument("--runs", type=int, default=1, help="of each fault")
    parser.add_argument("--copies", type=int, default=1, help="of hls.js and of Shaka Player in each run")
    options = parser.parse_args()
    faults = [
        fault
        for fault in FAULTS
        if not options.words or any(word in f"{fault.name} {fault.quality}" for word in options.words)
    ]
    rows = asyncio.run(run(faults, options.runs, options.copies))
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

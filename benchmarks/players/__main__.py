"""Real players on one live ladder, side by side: what docs/players.md says of each."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from playwright.async_api import Error as PlaywrightError

from benchmarks.players.browser import BrowserPlayer
from benchmarks.players.ffmpeg import FfmpegPlayer
from benchmarks.players.gstreamer import GstreamerPlayer
from benchmarks.players.mpv import MpvPlayer
from benchmarks.players.watch import BACK_S, Player, Watched, watch
from benchmarks.reliability.scene import Encoder
from tests.e2e.node import running_node

NAMES = ("page", "hlsjs", "shaka", "videojs", "ffmpeg", "gstreamer", "mpv")
HEIGHTS_PX = (360, 480)
_BEFORE_S = 2 * BACK_S
"""The stream is this old when the first players join: there is something to seek back to."""
_HEADER = (
    "| player | joins | latency median, p95 | growth | switches | seeks back, returns | stalls | verdict |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)


def _players(names: list[str], hls_url: str, page_url: str) -> list[Player]:
    made: dict[str, Player] = {
        "page": BrowserPlayer("page", hls_url, page_url, 2.0),
        "hlsjs": BrowserPlayer("hlsjs", hls_url, page_url, 4.0),
        "shaka": BrowserPlayer("shaka", hls_url, page_url, 4.0),
        "videojs": BrowserPlayer("videojs", hls_url, page_url, 10.0),
        "ffmpeg": FfmpegPlayer(hls_url, HEIGHTS_PX),
        "gstreamer": GstreamerPlayer(hls_url),
        "mpv": MpvPlayer(hls_url),
    }
    return [made[name] for name in names]


def row(watched: Watched, player: Player) -> str:
    """A line of the table."""
    middle_s, p95_s = watched.latency_s()
    failures = watched.failures(player.latency_at_most_s)
    cells = [
        watched.name,
        ", ".join(f"{join_s:.1f} s" for join_s in watched.joins_s),
        f"{middle_s:.2f} s, {p95_s:.2f} s",
        f"{watched.growth_s():+.2f} s",
        "cannot" if "switch" in player.cannot else f"{watched.switches_done} of {watched.switches}",
        "cannot" if "seek" in player.cannot else f"{watched.seeks_done}, {watched.returns_done} of {watched.seeks}",
        str(len(watched.stalls_s())),
        "; ".join(failures) or "ok",
    ]
    return f"| {' | '.join(cells)} |"


async def run(names: list[str], minutes: float) -> bool:
    """All of them at once; whether each did what it should."""
    with tempfile.TemporaryDirectory(prefix="antlive-players-") as directory:
        async with running_node(Path(directory)) as node:
            stream = await node.create(quality="standard")
            encoder = Encoder(stream["ingest"]["rtmpFullUrl"])
            encoder.options = ("--size", "848x480")
            await encoder.start()
            try:
                await node.wait_for_state(stream["streamId"], "live", timeout_s=30)
                live_s = time.monotonic()
                page_url = f"{node.base_url}/player/{stream['edgeId']}"
                players = _players(names, stream["playback"]["hlsUrl"], page_url)
                await asyncio.sleep(_BEFORE_S - (time.monotonic() - live_s))
                print(_HEADER, flush=True)

                async def one(player: Player) -> bool:
                    try:
                        watched = await watch(player, HEIGHTS_PX, minutes * 60)
                    except (AssertionError, PlaywrightError) as error:
                        print(f"{player.name}: {error!r}", flush=True)
                        return False
                    print(row(watched, player), flush=True)
                    return not watched.failures(player.latency_at_most_s)

                results = await asyncio.gather(*(one(player) for player in players))
            finally:
                await encoder.kill()
    print(f"load average {', '.join(f'{load:.2f}' for load in os.getloadavg())} on {os.cpu_count()} cores")
    return all(results)


def main() -> None:
    """Exits with 1 when a player did not do what it should."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.players", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help=f"which: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--minutes", type=float, default=10.0, help="for how long each plays")
    options = parser.parse_args()
    sys.exit(not asyncio.run(run(options.names or list(NAMES), options.minutes)))


if __name__ == "__main__":
    main()

"""The ladder: CPU and quality of the whole service against one ffmpeg command, in real time, in turns."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from statistics import median

from benchmarks.peer import SIZES, peer_rendition, run_peer
from benchmarks.report import Figure
from benchmarks.service import cpu_seconds, save_rendition
from benchmarks.sources import CLIPS, source
from benchmarks.vmaf import vmaf
from tests.e2e.node import Node, pushing, running_node, wait_until

_SETTLE_S = 2.0


async def run(directory: Path, quick: bool) -> list[Figure]:
    """Each clip: the service, then the peer."""
    figures: list[Figure] = []
    ratios: list[float] = []
    for clip in CLIPS[:1] if quick else CLIPS:
        clip_source = source(directory, clip, 16 if quick else 30)
        peer_directory = directory / f"peer-{clip}"
        seconds = 16 if quick else 30
        for turn in range(1 if quick else 2):
            ours = await _service_cpu_per_s(directory / f"{clip}-{turn}", clip_source)
            peer = await asyncio.to_thread(run_peer, clip_source, peer_directory) / seconds
            ratios.append(ours / peer)
            print(f"  {clip}: service {ours:.3f}, ffmpeg {peer:.3f} CPU s per s, ratio {ours / peer:.3f}", flush=True)
        # The very end is left out: the encoder's last frames and the node's window over do not line up.
        frames = (seconds - 3) * 30
        for name in SIZES:
            published = directory / f"{clip}-0" / f"{name}.mp4"
            ours_vmaf = await asyncio.to_thread(vmaf, published, clip_source, frames)
            peer_vmaf = await asyncio.to_thread(vmaf, peer_rendition(peer_directory, name), clip_source, frames)
            note = f"VMAF {ours_vmaf:.2f}, ffmpeg {peer_vmaf:.2f}"
            figures.append(
                Figure(name=f"VMAF gain {name} {clip}", value=ours_vmaf - peer_vmaf, unit="", at_least=0, note=note)
            )
    cpu = Figure(
        name="ladder CPU, service / ffmpeg",
        value=median(ratios),
        unit="",
        at_most=0.85,
        note=f"median of {len(ratios)} turns, {min(ratios):.3f} to {max(ratios):.3f}",
    )
    return [cpu, *figures]


async def _service_cpu_per_s(directory: Path, clip_source: Path) -> float:
    """CPU seconds of all processes of the service per second of stream; saves the renditions into `directory`."""
    directory.mkdir(parents=True)
    async with running_node(directory, ANTLIVE_RECONNECT_WINDOW_S="1") as node:
        stream = await node.create(quality="standard")
        async with pushing(clip_source, stream["ingest"]["rtmpFullUrl"], loop=False) as encoder:
            await node.wait_for_state(stream["streamId"], "live")
            await asyncio.sleep(_SETTLE_S)
            cpu_start_s, start_s = cpu_seconds(node), time.monotonic()
            await _encoder_is_nearly_done(node, stream["playback"]["hlsUrl"], encoder)
            spent_s, seconds = cpu_seconds(node) - cpu_start_s, time.monotonic() - start_s
            await encoder.wait()
        await node.wait_for_state(stream["streamId"], "ended")
        for name in SIZES:
            await save_rendition(node, stream["playback"]["hlsUrl"], name, directory / f"{name}.mp4")
    return spent_s / seconds


async def _encoder_is_nearly_done(node: Node, hls_url: str, encoder: asyncio.subprocess.Process) -> None:
    async def done() -> bool:
        await asyncio.sleep(0.2)
        return encoder.returncode is not None

    await wait_until(done, "the end of the source", 60)

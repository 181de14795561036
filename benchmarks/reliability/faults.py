"""The faults, one function each. A row of the table is a function with `@fault(...)`; nothing else is needed.

The function gets the scene while every player plays. It inflicts the fault and returns once media may flow again; what
the players show is measured from before its call until all of them show new pictures of the source again.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.reliability.scene import Scene, Stage, one_node

Inflict = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One row. `away_s` of the frozen picture is the fault's own: nothing was sent for so long."""

    name: str
    quality: str
    away_s: float
    at_most_s: float
    """Frozen picture beyond `away_s` that the product's own player page may show."""
    inflict: Inflict
    stage: Stage


FAULTS: list[Fault] = []


def fault(
    name: str, *, quality: str = "standard", away_s: float = 0, at_most_s: float = 3.0, stage: Stage = one_node
) -> Callable[[Inflict], Inflict]:
    """Add a row to the table."""

    def add(inflict: Inflict) -> Inflict:
        FAULTS.append(
            Fault(name=name, quality=quality, away_s=away_s, at_most_s=at_most_s, inflict=inflict, stage=stage)
        )
        return inflict

    return add


@fault("none, for comparison", at_most_s=0.5)
async def nothing(scene: Scene) -> None:
    """Ten seconds of watching."""
    await asyncio.sleep(10)


@fault("encoder drops, back after 5 s", away_s=5, quality="passthrough")
@fault("encoder drops, back after 5 s", away_s=5)
async def encoder_drops(scene: Scene) -> None:
    """The connection breaks, and the encoder tries again as OBS does."""
    await scene.encoder.kill()
    await asyncio.sleep(5)
    await scene.encoder.start()


@fault("encoder drops, back after 5 s at 25 frames/s and 856x480", away_s=5, at_most_s=6, quality="passthrough")
@fault("encoder drops, back after 5 s at 25 frames/s and 856x480", away_s=5)
async def encoder_returns_changed(scene: Scene) -> None:
    """Another configuration: the ladder scales it, passthrough has a discontinuity."""
    await scene.encoder.kill()
    scene.encoder.options = ("--size", "856x480", "--fps", "25")
    await asyncio.sleep(5)
    await scene.encoder.start()


@fault("encoder away for 30 s", away_s=30, quality="passthrough")
@fault("encoder away for 30 s", away_s=30)
async def encoder_away_long(scene: Scene) -> None:
    """Longer than players buffer: in passthrough they run dry."""
    await scene.encoder.kill()
    await asyncio.sleep(30)
    await scene.encoder.start()


@fault("encoder hangs, another takes over", away_s=3)
async def takeover(scene: Scene) -> None:
    """The first encoder's network is gone before TCP notices; its second try comes over another one."""
    hung = scene.encoder.process
    hung.send_signal(signal.SIGSTOP)
    await asyncio.sleep(3)
    await scene.encoder.start()
    hung.send_signal(signal.SIGKILL)
    await hung.wait()


@fault("encoder's network stalls for 3 s, then delivers all at once", away_s=3, quality="passthrough")
@fault("encoder's network stalls for 3 s, then delivers all at once", away_s=3)
async def stall(scene: Scene) -> None:
    """The connection stays."""
    scene.encoder.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(3)
    scene.encoder.process.send_signal(signal.SIGCONT)

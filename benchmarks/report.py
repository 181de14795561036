"""One line per figure: what was measured, against which bound."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured value. `at_most` or `at_least` is the bound it has to keep; None where there is none."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """`ok`, `short`, or nothing where there is no bound."""
        if self.at_most is None and self.at_least is None:
            return ""
        kept = (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )
        return "ok" if kept else "short"

    @property
    def bound(self) -> str:
        """The bound as text."""
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return "" if self.at_least is None else f">= {self.at_least:g}"


def ratio(name: str, ours_ms: Sequence[float], peer_ms: Sequence[float], at_most: float, note: str = "") -> Figure:
    """CPU beside that of a peer, turn by turn, in milliseconds per stream second."""
    ratios = [ours / peer for ours, peer in zip(ours_ms, peer_ms, strict=True)]
    notes = [f"{min(ratios):.2f} to {max(ratios):.2f}, {mean(ours_ms):.2f} ms per stream second", note]
    value = sum(ours_ms) / sum(peer_ms)
    return Figure(name=name, value=value, unit="x", at_most=at_most, note="; ".join(filter(None, notes)))


def print_figures(figures: list[Figure]) -> None:
    """The table, and how busy the machine was."""
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        value = f"{figure.value:.3f} {figure.unit}"
        print(f"{figure.name:<{width}}  {value:>16}  {figure.bound:>10}  {figure.verdict:<5}  {figure.note}")
    print(f"load average {', '.join(f'{load:.2f}' for load in os.getloadavg())} on {os.cpu_count()} cores", flush=True)

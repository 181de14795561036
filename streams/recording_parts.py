"""What several nodes, none of which has read the journals of the others, have recorded of one session, as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from streams.times import format_utc_ms, from_unix_ms, parse_utc

_GAP_MIN_MS: Final = 250
"""What is shorter is rounding, or the cut between two frames."""

Span = tuple[int, int]
"""Wall-clock time from and to, in Unix milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPart:
    """What one node has recorded. `gaps` are plain objects, as the API shows them."""

    node_id: str
    started_ms: int | None
    duration_s: float
    size_bytes: int
    gaps: tuple[Mapping[str, Any], ...] = ()

    @property
    def span(self) -> Span | None:
        """From its first frame to its last: what it plays, and the time in which nothing was published."""
        if self.started_ms is None:
            return None
        idle_ms = sum(end - start for start, end in self.missing("no_media") if start >= self.started_ms)
        return self.started_ms, self.started_ms + round(self.duration_s * 1000) + idle_ms

    def missing(self, *reasons: str) -> list[Span]:
        """Its gaps for these reasons."""
        found = []
        for gap in self.gaps:
            if gap["reason"] in reasons:
                start_ms = round(parse_utc(gap["startedAt"]).timestamp() * 1000)
                found.append((start_ms, start_ms + round(gap["duration"] * 1000)))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """All parts together. `gaps`: what no node has."""

    started_ms: int | None
    duration_s: float
    size_bytes: int
    gaps: tuple[Mapping[str, Any], ...]


def whole_of(parts: Sequence[RecordingPart]) -> Whole:
    """The parts as one: from the first frame of any to the last of any."""
    spans = [(span, part) for part in parts if (span := part.span) is not None]
    size_bytes = sum(part.size_bytes for part in parts)
    if not spans:
        return Whole(started_ms=None, duration_s=0.0, size_bytes=size_bytes, gaps=())
    (start_ms, _), first = min(spans, key=lambda each: each[0])
    end_ms = max(end for (_, end), _ in spans)
    holes: list[Span] = [(start_ms, end_ms)]
    for span, part in spans:
        holes = _without(holes, _without([span], part.missing("not_recorded", "no_media")))
    holes = [hole for hole in holes if hole[1] - hole[0] > _GAP_MIN_MS]
    lost = _without(holes, [gap for part in parts for gap in part.missing("no_media")])
    idle = _without(holes, lost)
    # What came before the first that anybody has is known to that node only.
    before = [(start, min(end, start_ms)) for start, end in first.missing("not_recorded") if start < start_ms]
    gaps = [(span, "not_recorded") for span in [*before, *lost]] + [(span, "no_media") for span in idle]
    return Whole(
        started_ms=start_ms,
        duration_s=(end_ms - start_ms - sum(end - start for start, end in idle)) / 1000,
        size_bytes=size_bytes,
        gaps=tuple(_gap(span, reason) for span, reason in sorted(gaps)),
    )


def _gap(span: Span, reason: str) -> Mapping[str, Any]:
    start_ms, end_ms = span
    return {
        "startedAt": format_utc_ms(from_unix_ms(start_ms)),
        "duration": round((end_ms - start_ms) / 1000, 3),
        "reason": reason,
    }


def _without(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """The spans without the time of others."""
    left = list(spans)
    for start, end in taken:
        left = [
            piece
            for span in left
            for piece in ((span[0], min(span[1], start)), (max(span[0], end), span[1]))
            if piece[0] < piece[1]
        ]
    return left

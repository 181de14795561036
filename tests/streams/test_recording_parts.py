"""Parts of a recording on several nodes, as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from streams.recording_parts import RecordingPart, whole_of
from streams.times import format_utc_ms, from_unix_ms

START_MS = 1_700_000_000_000


def gap(at_s: float, duration_s: float, reason: str = "not_recorded") -> Mapping[str, Any]:
    started_at = format_utc_ms(from_unix_ms(START_MS + round(at_s * 1000)))
    return {"startedAt": started_at, "duration": duration_s, "reason": reason}


def part(node_id: str, at_s: float, duration_s: float, *gaps: Mapping[str, Any]) -> RecordingPart:
    started_ms = START_MS + round(at_s * 1000)
    return RecordingPart(node_id=node_id, started_ms=started_ms, duration_s=duration_s, size_bytes=1000, gaps=gaps)


NOTHING = RecordingPart(node_id="none", started_ms=None, duration_s=0.0, size_bytes=0)


@pytest.mark.parametrize(
    ("parts", "at_s", "duration_s", "gaps"),
    [
        pytest.param([part("a", 0, 10, gap(4, 2))], 0, 10, [gap(4, 2)], id="one"),
        pytest.param([part("a", 0, 10), part("b", 14, 6, gap(-3, 17))], 0, 20, [gap(10, 4)], id="one after the other"),
        pytest.param([part("b", 14, 6), NOTHING, part("a", 0, 10)], 0, 20, [gap(10, 4)], id="in any order"),
        pytest.param([part("a", 0, 10), part("b", 10.1, 5)], 0, 15.1, [], id="without a gap"),
        pytest.param([part("a", 0, 30, gap(10, 10)), part("b", 11, 8)], 0, 30, [gap(10, 1), gap(19, 1)], id="and back"),
        pytest.param(
            [part("a", 0, 10, gap(2, 5, "no_media")), part("b", 16, 4)],
            0, 15, [gap(2, 5, "no_media"), gap(15, 1)],
            id="what was not published takes no time",
        ),
        pytest.param(
            [part("a", 6, 4, gap(0, 6), gap(8, 2)), part("b", 12, 4, gap(0, 12))],
            6, 10, [gap(0, 6), gap(8, 4)],
            id="the first came late, too, and what it lost last touches the gap between",
        ),
        pytest.param([part("a", 0, 4, gap(0, 4)), part("b", 6, 4)], 0, 10, [gap(0, 6)], id="one that has nothing"),
    ],
)  # fmt: skip
def test_the_whole(parts: list[RecordingPart], at_s: float, duration_s: float, gaps: list[Mapping[str, Any]]) -> None:
    whole = whole_of(parts)
    assert whole.started_ms == START_MS + at_s * 1000
    assert (whole.duration_s, list(whole.gaps)) == (duration_s, gaps)
    assert whole.size_bytes == sum(each.size_bytes for each in parts)


def test_nothing() -> None:
    assert (whole_of([NOTHING]).started_ms, whole_of([NOTHING]).duration_s) == (None, 0.0)

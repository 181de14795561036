"""When a part counts as there (draft-pantos-hls-rfc8216bis, 6.2.5.2)."""

from __future__ import annotations

import pytest

from packager.records import Record
from tests.packager.test_playlists import finished, opened, parts, presentation, whole


@pytest.mark.parametrize(
    ("records", "msn", "part", "there"),
    [
        ([], 0, 0, False),
        ([opened(0)], 0, 0, False),
        ([opened(0), *parts(0, 1)], 0, 0, True),
        ([opened(0), *parts(0, 1)], 0, 1, False),
        (whole(range(1)), 0, 1, True),
        (whole(range(1)), 0, 2, False),
        ([*whole(range(1)), opened(1)], 0, 2, False),
        ([*whole(range(1)), opened(1)], 1, 0, False),
        ([*whole(range(1)), opened(1), *parts(1, 1)], 0, 2, True),
        ([*whole(range(2)), opened(2)], 0, 99, True),
        ([finished(opened(0)), finished(opened(3)), opened(4)], 1, 0, True),
    ],
)
def test_a_part_beyond_a_segments_last_is_there_with_the_next_segments_first(
    records: list[Record], msn: int, part: int, there: bool
) -> None:
    assert presentation(*records).renditions["720p"].has_part(msn, part) is there

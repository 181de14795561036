"""Parts that have no file any more: players that have seen them listed ask for them when they seek back.

The segment's file holds its parts one after the other, so they need no files of their own for that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager.presentation import Rendition

_PART: Final = re.compile(r"([0-9]{1,12})\.([0-9]{1,6})\.m4s")


@dataclass(frozen=True, slots=True)
class OldPart:
    """Where a part lies in its segment's file."""

    msn: int
    offset_bytes: int
    size_bytes: int

    def read(self, directory: Path) -> bytes | None:
        """Its bytes, with the rendition's directory; None when the segment is gone."""
        try:
            with (directory / f"{self.msn}.m4s").open("rb") as file:
                file.seek(self.offset_bytes)
                return file.read(self.size_bytes)
        except FileNotFoundError:
            return None


def find_old_part(rendition: Rendition, file: str) -> OldPart | None:
    """The part of this file name, if it is of a complete segment of the playlist."""
    match = _PART.fullmatch(file)
    segment = None if match is None else rendition.segment(int(match[1]))
    if match is None or segment is None or int(match[2]) >= len(segment.part_bytes):
        return None
    part = int(match[2])
    return OldPart(segment.msn, sum(segment.part_bytes[:part]), segment.part_bytes[part])

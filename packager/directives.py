"""The delivery directives `_HLS_msn`, `_HLS_part` and `_HLS_skip` (draft-pantos-hls-rfc8216bis, 6.2.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil

from multidict import MultiMapping

from packager.presentation import Presentation

_NUMBER = re.compile(r"[0-9]{1,12}")
_ADVANCE_SEGMENTS = 2
_ADVANCE_S = 3
_ADVANCE_PARTS = 3


class BadDirective(ValueError):
    """A directive that the server must refuse with 400. The message names value and bound."""


@dataclass(frozen=True, slots=True)
class Directives:
    """What a request asks for; None where it does not."""

    msn: int | None
    part: int | None
    skip: bool


NO_DIRECTIVES = Directives(None, None, False)


def parse_directives(query: MultiMapping[str]) -> Directives:
    """Read the directives of a query; other parameters are not ours. Raises `BadDirective`."""
    for name in ("_HLS_msn", "_HLS_part", "_HLS_skip"):
        values = query.getall(name, [])
        if len(values) > 1:
            raise BadDirective(f"{name} is given {len(values)} times")
    msn, part = _number(query, "_HLS_msn"), _number(query, "_HLS_part")
    if part is not None and msn is None:
        raise BadDirective("_HLS_part needs _HLS_msn")
    skip = query.get("_HLS_skip")
    if skip not in (None, "YES", "v2"):
        raise BadDirective(f"_HLS_skip={skip[:20]!r} is neither YES nor v2")
    return Directives(msn, part, skip is not None)


def check_reachable(directives: Directives, presentation: Presentation, name: str) -> None:
    """Refuse what lies too far ahead: such a request would only wait to time out. Raises `BadDirective`."""
    rendition = presentation.renditions[name]
    if directives.msn is None or presentation.session is None or not rendition.segments:
        # A session that has just come from another node is known to players, but has nothing here yet.
        return
    last = rendition.segments[-1]
    last_msn = last.msn if last.complete else last.msn - 1
    if directives.msn > last_msn + _ADVANCE_SEGMENTS:
        raise BadDirective(f"_HLS_msn={directives.msn} exceeds {last_msn + _ADVANCE_SEGMENTS}")
    if directives.part is None or directives.msn < rendition.last_msn:
        return
    parts = len(last.parts) if directives.msn == last.msn else 0
    part_target_s = presentation.session.part_target_s
    limit = parts - 1 + (ceil(_ADVANCE_S / part_target_s) if part_target_s < 1 else _ADVANCE_PARTS)
    if directives.part > limit:
        raise BadDirective(f"_HLS_part={directives.part} exceeds {limit}")


def is_satisfied(directives: Directives, presentation: Presentation, name: str) -> bool:
    """Whether the playlist has come as far as the request wants."""
    rendition = presentation.renditions.get(name)
    if directives.msn is None or presentation.ended or rendition is None:
        return True
    if directives.part is None:
        return rendition.has_segment(directives.msn)
    return rendition.has_part(directives.msn, directives.part)


def _number(query: MultiMapping[str], name: str) -> int | None:
    value = query.get(name)
    if value is None:
        return None
    if not _NUMBER.fullmatch(value):
        raise BadDirective(f"{name}={value[:20]!r} is not a number from 0 to 999999999999")
    return int(value)

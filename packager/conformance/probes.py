"""Requests that are wrong on purpose: what an origin does with them is part of the rules."""

from __future__ import annotations

from math import ceil
from urllib.parse import urljoin

from yarl import URL

from packager.conformance.http import Fetcher
from packager.conformance.response_rules import (
    PROBE_400,
    PROBE_404,
    PROBE_FAR,
    PROBE_MEDIA,
    Answer,
    Probe,
)
from packager.conformance.rules import RuleSet
from packager.conformance.text import ReadPlaylist


async def probe(fetcher: Fetcher, url: str) -> None:
    """Ask a media playlist for what it must refuse, and its segments for what is not there."""
    answer = await fetcher.playlist(url)
    playlist = answer.parsed
    if not isinstance(playlist, ReadPlaylist):
        return
    if playlist.control.get("CAN-BLOCK-RELOAD") == "YES" and not playlist.ended:
        last = playlist.complete[-1].msn if playlist.complete else playlist.media_sequence
        await _ask(fetcher, PROBE_400, "_HLS_part=0 alone", url, {"_HLS_part": "0"}, (400,))
        # The playlist goes on while it is asked: well beyond the bound.
        far = {"_HLS_msn": str(last + 10)}
        await _ask(fetcher, PROBE_FAR, f"_HLS_msn={last + 10} after segment {last}", url, far, (400,))
        if playlist.part_target_s is not None:
            ahead = ceil(3 / min(1.0, playlist.part_target_s)) + 100
            far = {"_HLS_msn": str(last + 1), "_HLS_part": str(ahead)}
            await _ask(fetcher, PROBE_FAR, f"_HLS_msn={last + 1}&_HLS_part={ahead}", url, far, (400,))
    if playlist.complete and not playlist.complete[-1].gap:
        segment = urljoin(url, playlist.complete[-1].uri)
        directory, _, name = URL(segment, encoded=True).path.rpartition("/")
        missing = str(URL(segment, encoded=True).with_path(f"{directory}/none-{name}", encoded=True))
        await _ask(fetcher, PROBE_404, missing, missing, {}, (404, 410))
        await _ask(fetcher, PROBE_MEDIA, f"bytes=0-7 of {segment}", segment, {}, (206,), {"Range": "bytes=0-7"})


async def _ask(
    fetcher: Fetcher,
    rules: RuleSet[[Probe]],
    what: str,
    url: str,
    query: dict[str, str],
    expected: tuple[int, ...],
    headers: dict[str, str] | None = None,
) -> None:
    asked = str(URL(url, encoded=True).update_query(query)) if query else url
    status, found, _body = await fetcher.get(asked, headers)
    fetcher.findings.looked_at["probes"] += 1
    age_s = Answer(url=asked, status=status, headers=found).max_age_s()
    fetcher.findings.add(rules.check(Probe(what=what, expected=expected, status=status, max_age_s=age_s)))

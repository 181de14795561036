"""Follow an origin over HTTP as a low-latency player does, and check everything that it answers."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urljoin

from packager.conformance.findings import Findings
from packager.conformance.http import CheckFailed, Fetcher
from packager.conformance.media_rules import BANDWIDTH, CODECS, DATES
from packager.conformance.presentation_rules import MULTIVARIANT, PRESENTATION, Presentation
from packager.conformance.probes import probe
from packager.conformance.rendition import FollowedRendition
from packager.conformance.text import ReadMultivariant

_COMPARE_EVERY_S = 1.0


async def check_origin(url: str, seconds: float) -> Findings:
    """Follow a multivariant or media playlist for so long. Raises `CheckFailed` when there is none at this URL."""
    findings = Findings()
    async with Fetcher(findings) as fetcher:
        answer = await fetcher.playlist(url)
        if answer.parsed is None:
            raise CheckFailed(f"{url}: status {answer.status}, no playlist: {answer.problem}")
        if isinstance(answer.parsed, ReadMultivariant):
            findings.add(MULTIVARIANT.check(answer.parsed))
            await _check_presentation(fetcher, url, answer.parsed, seconds)
        else:
            await FollowedRendition(fetcher, url, {}).run(time.monotonic() + seconds)
            await probe(fetcher, url)
    return findings


async def _check_presentation(fetcher: Fetcher, url: str, master: ReadMultivariant, seconds: float) -> None:
    uris = [uri for _attributes, uri in master.variants] + [media["URI"] for media in master.media if "URI" in media]
    if not uris:
        raise CheckFailed(f"{url}: the multivariant playlist names no media playlist")
    known: dict[str, FollowedRendition] = {}
    for uri in uris:
        known.setdefault(urljoin(url, uri), FollowedRendition(fetcher, urljoin(url, uri), known))
    until_s = time.monotonic() + seconds
    try:
        async with asyncio.TaskGroup() as group:
            for rendition in known.values():
                group.create_task(rendition.run(until_s))
            group.create_task(_compare(fetcher, known, until_s))
    except ExceptionGroup as failures:
        failed, other = failures.split(CheckFailed)
        if failed is None or other is not None:
            raise
        raise failed.exceptions[0] from None
    await probe(fetcher, next(iter(known)))
    _check_variants(fetcher.findings, url, master, known)


async def _compare(fetcher: Fetcher, known: dict[str, FollowedRendition], until_s: float) -> None:
    """Look at the renditions side by side, now and then."""
    while time.monotonic() < until_s:
        await asyncio.sleep(min(_COMPARE_EVERY_S, max(0.0, until_s - time.monotonic())))
        playlists = {url: one.playlist for url, one in known.items() if one.playlist is not None}
        if len(playlists) == len(known):
            fetcher.findings.add(PRESENTATION.check(Presentation(playlists)))
        if all(one.playlist is not None and one.playlist.ended for one in known.values()):
            return


def _check_variants(
    findings: Findings, url: str, master: ReadMultivariant, known: dict[str, FollowedRendition]
) -> None:
    groups: dict[str, list[FollowedRendition]] = {}
    for media in master.media:
        if "URI" in media and media.get("TYPE") == "AUDIO":
            groups.setdefault(media.get("GROUP-ID", ""), []).append(known[urljoin(url, media["URI"])])
    for attributes, uri in master.variants:
        video = known[urljoin(url, uri)]
        audio = groups.get(attributes.get("AUDIO", "-"), [])
        for rendition in (video, *audio):
            for init in rendition.inits.values():
                if "CODECS" in attributes and init:
                    findings.add(CODECS.check(f"{uri} with {rendition.name}", init, attributes["CODECS"]))
        peak_bps = video.peak_bps + max((one.peak_bps for one in audio), default=0)
        if attributes.get("BANDWIDTH", "").isdecimal():
            findings.add(BANDWIDTH.check(uri, peak_bps, int(attributes["BANDWIDTH"])))
    findings.add(DATES.check({one.name: one.zero_s for one in known.values() if one.zero_s is not None}))

"""One rendition, followed: its playlist from version to version, its parts and its segments."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from urllib.parse import urljoin

from packager.conformance import low_latency_rules
from packager.conformance.boxes import Fragment, InitTrack
from packager.conformance.http import Fetcher
from packager.conformance.media_rules import MEDIA, Media, fragments_of, init_of
from packager.conformance.playlist_rules import PLAYLIST
from packager.conformance.response_rules import HINTED, REPORTS
from packager.conformance.text import ReadPart, ReadPlaylist, ReadSegment
from packager.conformance.update_rules import UPDATE, Update, merge

assert low_latency_rules  # its rules are among PLAYLIST's


class FollowedRendition:
    """Follow one media playlist. `siblings` are the renditions of the presentation by URL, this one included."""

    def __init__(self, fetcher: Fetcher, url: str, siblings: Mapping[str, FollowedRendition]) -> None:
        self.url = url
        self.name = "/".join(url.partition("?")[0].rsplit("/", 2)[-2:])
        self.playlist: ReadPlaylist | None = None
        self.inits: dict[str, list[InitTrack]] = {}
        self.peak_bps = 0.0
        self.zero_s: float | None = None
        """Unix time of media time 0, from the first dated segment."""
        self._fetcher = fetcher
        self._findings = fetcher.findings
        self._siblings = siblings
        self._part_ends: dict[int, int] | None = None
        self._segment_ends: dict[int, int] | None = None
        self._parts_done: tuple[int, int] | None = None
        self._segments_done: int | None = None
        self._parts_of: dict[int, list[Fragment]] = {}
        self._turn = 0

    async def run(self, until_s: float) -> None:
        """Follow until this time of the monotonic clock, or until the playlist ends."""
        await self._reload(None, None)
        while time.monotonic() < until_s and not (self.playlist is not None and self.playlist.ended):
            await self._look_at_media()
            playlist = self.playlist
            if playlist is None or playlist.control.get("CAN-BLOCK-RELOAD") != "YES":
                poll_s = playlist.target_duration_s / 2 if playlist is not None else 1.0
                await asyncio.sleep(min(poll_s, max(0.0, until_s - time.monotonic())))
                await self._reload(None, None)
            else:
                await self._block(playlist)
        await self._look_at_media()

    async def _block(self, playlist: ReadPlaylist) -> None:
        """Wait for the next version, and for the part that is hinted at, as a player does: both at once."""
        msn, part = playlist.end
        uris = [hint["URI"] for hint in playlist.hints if hint.get("TYPE") == "PART" and "BYTERANGE-START" not in hint]
        hinted = [asyncio.create_task(self._fetcher.hinted(urljoin(self.url, uri))) for uri in uris[:1]]
        try:
            await self._reload(msn, part if playlist.part_target_s is not None else None)
            for uri, task in zip(uris, hinted, strict=False):
                if self.playlist is not None and uri in self.playlist.part_uris:
                    answer = await task
                    target_s = playlist.part_target_s or 0.0
                    self._findings.add(HINTED.check(urljoin(self.url, uri), answer.status, answer.sending_s, target_s))
                    self._findings.looked_at["hinted parts"] += 1
        finally:
            for task in hinted:
                task.cancel()
            await asyncio.gather(*hinted, return_exceptions=True)

    async def _reload(self, msn: int | None, part: int | None) -> None:
        self._turn += 1
        can_skip = self.playlist is not None and "CAN-SKIP-UNTIL" in self.playlist.control
        known = {url: one.playlist.end for url, one in self._siblings.items() if one.playlist is not None}
        answer = await self._fetcher.playlist(self.url, msn=msn, part=part, skip=can_skip and self._turn % 2 == 0)
        if not isinstance(answer.parsed, ReadPlaylist):
            self.playlist = None
            await asyncio.sleep(0.2)
            return
        found = answer.parsed
        by_uri = {
            report["URI"]: known[url]
            for report in found.reports
            if (url := urljoin(self.url, report.get("URI", ""))) in known
        }
        self._findings.add(PLAYLIST.check(found))
        self._findings.add(REPORTS.check(self.name, found, by_uri))
        whole, violations = merge(self.playlist, found)
        self._findings.add(violations)
        if whole is not None and self.playlist is not None:
            self._findings.add(UPDATE.check(Update(self.playlist, whole)))
        self.playlist = whole

    async def _look_at_media(self) -> None:
        if self.playlist is None:
            return
        segments = self.playlist.segments
        if self._segments_done is None and segments:
            # Begin with what is complete last and with the parts that follow it.
            complete = self.playlist.complete
            self._segments_done = (complete[-1].msn if complete else segments[0].msn) - 1
            self._parts_done = (self._segments_done + 1, -1)
        for segment in segments:
            if segment.parts:
                await self._look_at_parts(segment)
            if segment.uri and self._segments_done is not None and segment.msn > self._segments_done:
                self._segments_done = segment.msn
                await self._look_at_segment(segment)

    async def _look_at_parts(self, segment: ReadSegment) -> None:
        for index, part in enumerate(segment.parts):
            if self._parts_done is None or (segment.msn, index) <= self._parts_done:
                continue
            self._parts_done = segment.msn, index
            if index == 0:
                self._parts_of[segment.msn] = []
                if segment.discontinuity:
                    self._part_ends = None
            if part.gap or part.byterange:
                self._part_ends = None
                self._parts_of.pop(segment.msn, None)
                continue
            await self._look_at_part(segment, index, part)

    async def _look_at_part(self, segment: ReadSegment, index: int, part: ReadPart) -> None:
        media = await self._media(f"part {segment.msn}.{index}", "parts", part.uri, segment, part.duration_s, part)
        if media is None:
            self._part_ends = None
            self._parts_of.pop(segment.msn, None)
            return
        self._part_ends = media.ends()
        if segment.msn in self._parts_of:
            self._parts_of[segment.msn] += media.fragments

    async def _look_at_segment(self, segment: ReadSegment) -> None:
        parts = self._parts_of.pop(segment.msn, None)
        if segment.gap or segment.discontinuity:
            self._segment_ends = None
        if segment.gap:
            return
        media = await self._media(
            f"segment {segment.msn}", "segments", segment.uri, segment, segment.duration_s, None, parts or None
        )
        self._segment_ends = None if media is None else media.ends()
        if media is not None and segment.duration_s > 0:
            self.peak_bps = max(self.peak_bps, media.size_bytes * 8 / segment.duration_s)
            if self.zero_s is None and segment.start_s is not None:
                self.zero_s = segment.start_s - media.start_s

    async def _media(
        self,
        name: str,
        kind: str,
        uri: str,
        segment: ReadSegment,
        listed_s: float,
        part: ReadPart | None,
        parts: list[Fragment] | None = None,
    ) -> Media | None:
        """Fetch and check a part or a segment; None when there is nothing to go on from."""
        init = await self._init(segment.map_uri) if segment.map_uri else []
        data = await self._fetcher.media(urljoin(self.url, uri), kind)
        if data is None or not init:
            return None
        fragments, violations = fragments_of(f"{self.name} {name}", data, init)
        self._findings.add(violations)
        if not fragments:
            return None
        media = Media(
            name=f"{self.name} {name}", init=init, fragments=fragments, size_bytes=len(data), listed_s=listed_s,
            is_part=part is not None, independent=part is not None and part.independent,
            goes_on_from=self._segment_ends if part is None else self._part_ends, parts=parts,
        )  # fmt: skip
        self._findings.add(MEDIA.check(media))
        return media

    async def _init(self, uri: str) -> list[InitTrack]:
        if uri not in self.inits:
            data = await self._fetcher.media(urljoin(self.url, uri), "init segments")
            tracks, violations = init_of(f"{self.name} {uri}", data) if data is not None else ([], [])
            self._findings.add(violations)
            self.inits[uri] = tracks
        return self.inits[uri]

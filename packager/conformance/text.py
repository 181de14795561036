"""Playlists as they are written: a strict reader, that knows where each tag stands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(?:,(?=.)|$)')
_ONCE = frozenset(
    {"EXT-X-VERSION", "EXT-X-TARGETDURATION", "EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE", "EXT-X-ENDLIST",
     "EXT-X-PLAYLIST-TYPE", "EXT-X-I-FRAMES-ONLY", "EXT-X-PART-INF", "EXT-X-SERVER-CONTROL", "EXT-X-SKIP",
     "EXT-X-INDEPENDENT-SEGMENTS", "EXT-X-START"}
)  # fmt: skip
MULTIVARIANT_TAGS = frozenset({"EXT-X-MEDIA", "EXT-X-STREAM-INF", "EXT-X-I-FRAME-STREAM-INF"})


class NotAPlaylist(ValueError):
    """The text is no playlist, or a line of it cannot be read. The message names the line."""


@dataclass(slots=True)
class ReadPart:
    """An EXT-X-PART."""

    uri: str
    duration_s: float
    independent: bool
    gap: bool
    byterange: str = ""


@dataclass(slots=True)
class ReadSegment:
    """A segment; `uri` is empty while it is open. `late_tags` came after its first part and should not have."""

    msn: int
    discontinuities: int
    uri: str = ""
    duration_s: float = 0.0
    parts: list[ReadPart] = field(default_factory=list)
    discontinuity: bool = False
    gap: bool = False
    map_uri: str = ""
    program_date_time: str = ""
    late_tags: list[str] = field(default_factory=list)
    has_extinf: bool = False

    @property
    def listed_s(self) -> float:
        """Its duration, or what there is of an open one."""
        return self.duration_s if self.has_extinf else sum(part.duration_s for part in self.parts)

    @property
    def start_s(self) -> float | None:
        """PROGRAM-DATE-TIME in Unix seconds."""
        try:
            return datetime.fromisoformat(self.program_date_time.replace("Z", "+00:00")).timestamp()
        except ValueError:
            return None


@dataclass(slots=True)
class ReadPlaylist:
    """A media playlist. `segments` are those that are listed; `skipped` ones are not among them."""

    text: str
    values: dict[str, str] = field(default_factory=dict)
    """Tags that may stand once, and their values."""
    repeated: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    """Tags that must precede the first segment and do not."""
    tags: set[str] = field(default_factory=set)
    skipped: int = 0
    segments: list[ReadSegment] = field(default_factory=list)
    hints: list[dict[str, str]] = field(default_factory=list)
    reports: list[dict[str, str]] = field(default_factory=list)

    @property
    def version(self) -> int:
        return int(self.values.get("EXT-X-VERSION", "1"))

    @property
    def target_duration_s(self) -> int:
        return int(self.values.get("EXT-X-TARGETDURATION", "0"))

    @property
    def media_sequence(self) -> int:
        return int(self.values.get("EXT-X-MEDIA-SEQUENCE", "0"))

    @property
    def discontinuity_sequence(self) -> int:
        return int(self.values.get("EXT-X-DISCONTINUITY-SEQUENCE", "0"))

    @property
    def ended(self) -> bool:
        return "EXT-X-ENDLIST" in self.values

    @property
    def part_target_s(self) -> float | None:
        value = attributes(self.values.get("EXT-X-PART-INF", "")).get("PART-TARGET")
        return None if value is None else float(value)

    @property
    def control(self) -> dict[str, str]:
        """The attributes of EXT-X-SERVER-CONTROL."""
        return attributes(self.values.get("EXT-X-SERVER-CONTROL", ""))

    @property
    def complete(self) -> list[ReadSegment]:
        """The segments that are not open."""
        return [segment for segment in self.segments if segment.uri]

    @property
    def part_uris(self) -> set[str]:
        """The URIs of all parts that are listed."""
        return {part.uri for segment in self.segments for part in segment.parts}

    @property
    def end(self) -> tuple[int, int]:
        """Media sequence number and count of parts up to which it goes: of an open segment, or those of the next."""
        if not self.segments:
            return self.media_sequence + self.skipped, 0
        last = self.segments[-1]
        return (last.msn + 1, 0) if last.uri else (last.msn, len(last.parts))


@dataclass(slots=True)
class ReadMultivariant:
    """A multivariant playlist."""

    text: str
    values: dict[str, str]
    media: list[dict[str, str]]
    variants: list[tuple[dict[str, str], str]]
    """The attributes of each EXT-X-STREAM-INF and the URI that follows it."""


def attributes(text: str) -> dict[str, str]:
    """An attribute list (4.2); quotes are taken off. Raises `NotAPlaylist`."""
    out: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _ATTRIBUTE.match(text, position)
        if match is None or match[1] in out:
            raise NotAPlaylist(f"attribute list {text!r} is not readable from {text[position:][:30]!r} on")
        out[match[1]] = match[2].strip('"')
        position = match.end()
    return out


def read_playlist(text: str) -> ReadPlaylist | ReadMultivariant:
    """Read either kind. Raises `NotAPlaylist`."""
    lines = text.splitlines()
    if not lines or lines[0] != "#EXTM3U":
        raise NotAPlaylist(f"the first line is {lines[0][:40] if lines else ''!r}, not '#EXTM3U'")
    try:
        if any(line.startswith("#EXT-X-STREAM-INF:") for line in lines):
            return _read_multivariant(text, lines)
        return _Reader(text).read(lines)
    except (ValueError, KeyError) as error:
        if isinstance(error, NotAPlaylist):
            raise
        raise NotAPlaylist(f"a value is not readable: {error}") from error


def _read_multivariant(text: str, lines: list[str]) -> ReadMultivariant:
    out = ReadMultivariant(text, {}, [], [])
    variant: dict[str, str] | None = None
    for line in lines[1:]:
        tag, _, value = line.removeprefix("#").partition(":")
        if line.startswith("#EXT-X-STREAM-INF:"):
            variant = attributes(value)
        elif line.startswith("#EXT-X-MEDIA:"):
            out.media.append(attributes(value))
        elif line.startswith("#EXT"):
            out.values[tag] = value
        elif line and not line.startswith("#"):
            if variant is None:
                raise NotAPlaylist(f"the URI {line[:60]!r} follows no EXT-X-STREAM-INF")
            out.variants.append((variant, line))
            variant = None
    if variant is not None:
        raise NotAPlaylist("the last EXT-X-STREAM-INF has no URI")
    return out


class _Reader:
    def __init__(self, text: str) -> None:
        self._out = ReadPlaylist(text)
        self._map = ""
        self._segment: ReadSegment | None = None

    def read(self, lines: list[str]) -> ReadPlaylist:
        out = self._out
        for line in lines[1:]:
            if line.startswith("#EXT"):
                tag, _, value = line[1:].partition(":")
                out.tags.add(tag)
                self._tag(tag, value)
            elif line and not line.startswith("#"):
                segment = self._current()
                segment.uri = line
                out.segments.append(segment)
                self._segment = None
        if self._segment is not None and self._segment.parts:
            out.segments.append(self._segment)
        # Read now, so that what is not readable shows here.
        _ = (out.version, out.target_duration_s, out.part_target_s)
        for name in ("HOLD-BACK", "PART-HOLD-BACK", "CAN-SKIP-UNTIL"):
            float(out.control.get(name, "0"))
        return out

    def _current(self) -> ReadSegment:
        out = self._out
        if self._segment is None:
            msn = out.media_sequence + out.skipped + len(out.segments)
            before = out.segments[-1].discontinuities if out.segments else out.discontinuity_sequence
            self._segment = ReadSegment(msn, before, map_uri=self._map)
        return self._segment

    def _tag(self, tag: str, value: str) -> None:
        out = self._out
        if tag in _ONCE:
            if tag in out.values:
                out.repeated.append(tag)
            if tag.endswith("-SEQUENCE") and (out.segments or self._segment is not None):
                out.late.append(tag)
            out.values[tag] = value
            if tag == "EXT-X-SKIP":
                out.skipped = int(attributes(value)["SKIPPED-SEGMENTS"])
        elif tag == "EXTINF":
            segment = self._current()
            segment.duration_s, segment.has_extinf = float(value.partition(",")[0]), True
        elif tag == "EXT-X-PART":
            found = attributes(value)
            independent, gap = (found.get(name) == "YES" for name in ("INDEPENDENT", "GAP"))
            duration_s, byterange = float(found["DURATION"]), found.get("BYTERANGE", "")
            self._current().parts.append(ReadPart(found["URI"], duration_s, independent, gap, byterange))
        elif tag == "EXT-X-PRELOAD-HINT":
            out.hints.append(attributes(value))
        elif tag == "EXT-X-RENDITION-REPORT":
            out.reports.append(attributes(value))
        else:
            self._segment_tag(tag, value)

    def _segment_tag(self, tag: str, value: str) -> None:
        if tag not in ("EXT-X-DISCONTINUITY", "EXT-X-MAP", "EXT-X-PROGRAM-DATE-TIME", "EXT-X-GAP"):
            return
        segment = self._current()
        if segment.parts and tag != "EXT-X-GAP":
            segment.late_tags.append(tag)
        if tag == "EXT-X-DISCONTINUITY":
            segment.discontinuity = True
            segment.discontinuities += 1
        elif tag == "EXT-X-MAP":
            self._map = segment.map_uri = attributes(value)["URI"]
        elif tag == "EXT-X-GAP":
            segment.gap = True
        else:
            segment.program_date_time = value

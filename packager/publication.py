"""A session's files: init segments, parts, segments and the journal that tells the origin of them.

    {media_dir}/{edge_id}/current                             the id of the session that viewers get
    {media_dir}/{edge_id}/{session_id}/journal.jsonl
    {media_dir}/{edge_id}/{session_id}/{rendition}/init-0.mp4, {msn}.{part}.m4s, {msn}.m4s

Paths are the paths of the URLs. A file appears whole, by renaming; only then the journal names it. With progressive
parts the file that is to become a part grows, chunk by chunk, as `.{msn}.{part}.m4s`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import floor
from pathlib import Path
from typing import BinaryIO

from packager.cmaf import init_segment
from packager.codecs import codec_string
from packager.journal import FILE_NAME, JournalWriter
from packager.presentation import WINDOW_SEGMENTS
from packager.records import (
    EndRecord,
    OpenRecord,
    PartRecord,
    Record,
    RenditionRecord,
    SegmentRecord,
    SessionRecord,
)
from packager.samples import Track, VideoTrack

_KEEP_SEGMENTS = 2 * WINDOW_SEGMENTS + 1
_KEEP_PARTS_TARGET_DURATIONS = 7
"""Parts are listed for three target durations and stay for three more (6.2.2); one more for the segment they are of."""

_ROUNDING_MS = 0.001

CURRENT = "current"


@dataclass(frozen=True, slots=True)
class Part:
    """A part: one CMAF fragment, or several in a row. `independent` says that it starts with a keyframe."""

    data: bytes
    duration_s: float
    independent: bool


@dataclass(slots=True)
class _Segment:
    msn: int
    duration_s: float
    part_files: int


@dataclass(slots=True)
class _Rendition:
    directory: Path
    init: str = ""
    inits: int = 0
    discontinuities: int = 0
    open: OpenRecord | None = None
    open_parts: int = 0
    growing: BinaryIO | None = None
    """The file of a progressive part that is being written."""
    segments: deque[_Segment] = field(default_factory=deque)
    parts_from: int = 0
    """The first media sequence number whose part files are still there."""


class Publication:
    """Publishes one session. Each rendition may be written from a thread of its own.

    `wall_time_s` maps media time to Unix time, both in seconds. It should be linear, and give segments of video whole
    milliseconds: players move a playlist by what PROGRAM-DATE-TIME and durations disagree, and one moved later by a
    fraction of a millisecond stops hls.js (1.7.4), to which the last part then ends after what it holds of it. For the
    same reason times are rounded down. `on_published` hears the rendition of each part and segment.
    """

    def __init__(
        self,
        media_dir: Path,
        *,
        edge_id: str,
        session_id: str,
        low_latency: bool,
        window_s: float,
        part_target_s: float,
        target_duration_s: int,
        chunk_s: float = 0.0,
        wall_time_s: Callable[[float], float],
    ) -> None:
        self._edge_dir = media_dir / edge_id
        self._session_id = session_id
        self._low_latency = low_latency
        self.chunk_s = chunk_s if low_latency else 0.0
        """How much media a chunk of a part should hold; 0: a part is one fragment and appears when it is whole."""
        self._keep_parts_s = target_duration_s * _KEEP_PARTS_TARGET_DURATIONS
        # What has left the playlist stays for as long as the playlist is, and for a segment (6.2.2).
        self._keep_segments_s = 2 * window_s + target_duration_s
        self._wall_time_s = wall_time_s
        self._discontinuous: set[int] = set()
        self._lock = threading.Lock()
        self._renditions: dict[str, _Rendition] = {}
        self.on_published: Callable[[str], None] = lambda rendition: None
        self._directory = self._edge_dir / session_id
        self._directory.mkdir(parents=True, exist_ok=True)
        self._journal = JournalWriter(self._directory / FILE_NAME)
        self._journal.append(
            SessionRecord(
                edge_id=edge_id,
                session_id=session_id,
                low_latency=low_latency,
                part_target_s=part_target_s,
                target_duration_s=target_duration_s,
                window_s=window_s,
                progressive=self.chunk_s > 0,
            )
        )

    def add_rendition(self, track: Track) -> None:
        """Announce a rendition and write its init segment."""
        rendition = _Rendition(self._directory / track.name)
        rendition.directory.mkdir(exist_ok=True)
        self._renditions[track.name] = rendition
        self._write_init(rendition, track)
        self._journal.append(_rendition_record(track))

    def change_track(self, track: Track) -> None:
        """The rendition goes on with another decoder configuration, from its next segment on."""
        self._write_init(self._renditions[track.name], track)
        self._journal.append(_rendition_record(track))

    def update_track(self, track: Track) -> None:
        """Replace what the multivariant playlist says of a rendition, such as its bitrate."""
        self._journal.append(_rendition_record(track))

    def open_segment(self, name: str, msn: int, start_s: float, discontinuity: bool) -> None:
        """A segment begins at this media time. A discontinuity of one rendition is one of all (6.2.4)."""
        rendition = self._renditions[name]
        with self._lock:
            if discontinuity:
                self._discontinuous.add(msn)
            discontinuity = msn in self._discontinuous
        rendition.discontinuities += discontinuity
        rendition.open_parts = 0
        rendition.open = OpenRecord(
            rendition=name,
            msn=msn,
            program_date_time_ms=floor(self._wall_time_s(start_s) * 1000 + _ROUNDING_MS),
            discontinuity=discontinuity,
            discontinuities=rendition.discontinuities,
            init=rendition.init,
        )
        self._journal.append(rendition.open)

    def append_chunk(self, name: str, data: bytes) -> None:
        """The next fragment of the part that comes next, for those who have asked for it already."""
        rendition = self._renditions[name]
        assert rendition.open is not None
        if rendition.growing is None:
            path = rendition.directory / part_file(rendition.open.msn, rendition.open_parts)
            rendition.growing = temporary_of(path).open("wb", buffering=0)
        rendition.growing.write(data)

    def write_part(self, name: str, part: Part) -> None:
        """A part of the open segment. A classic session has no part files."""
        if self._low_latency:
            self._journal.append(self._write_part_file(name, part))
            self.on_published(name)

    def finish_segment(self, name: str, parts: Sequence[Part], *, last_is_published: bool = False) -> None:
        """The open segment is complete with the last of these parts: its file holds what they hold.

        The journal names that part and the segment in one go, so that no playlist hints at a part in between; unless
        it `last_is_published`, because more was expected to follow in this segment.
        """
        rendition = self._renditions[name]
        opened = rendition.open
        assert opened is not None
        records: list[Record] = []
        if self._low_latency and not last_is_published:
            records.append(self._write_part_file(name, parts[-1]))
        _write_whole(rendition.directory / f"{opened.msn}.m4s", b"".join(part.data for part in parts))
        duration_s = sum(part.duration_s for part in parts)
        records.append(
            SegmentRecord(
                rendition=name,
                msn=opened.msn,
                duration_s=duration_s,
                program_date_time_ms=opened.program_date_time_ms,
                discontinuity=opened.discontinuity,
                discontinuities=opened.discontinuities,
                init=opened.init,
                independent=parts[0].independent,
            )
        )
        self._journal.append(*records)
        self.on_published(name)
        rendition.segments.append(_Segment(opened.msn, duration_s, rendition.open_parts))
        self._forget_old(rendition)

    def make_current(self) -> None:
        """From now on viewers of the edge id get this session."""
        _write_whole(self._edge_dir / CURRENT, self._session_id.encode())

    def end(self, *, final: bool = True) -> None:
        """Nothing follows: the playlists end here. Not `final`: nothing follows from this node."""
        if final:
            self._journal.append(EndRecord())
        self._journal.close()

    def _write_init(self, rendition: _Rendition, track: Track) -> None:
        rendition.init = f"init-{rendition.inits}.mp4"
        rendition.inits += 1
        _write_whole(rendition.directory / rendition.init, init_segment(track))

    def _write_part_file(self, name: str, part: Part) -> PartRecord:
        rendition = self._renditions[name]
        assert rendition.open is not None
        msn, index = rendition.open.msn, rendition.open_parts
        path = rendition.directory / part_file(msn, index)
        if rendition.growing is None:
            _write_whole(path, part.data)
        else:
            rendition.growing.write(part.data[rendition.growing.tell() :])
            rendition.growing.close()
            rendition.growing = None
            temporary_of(path).rename(path)
        rendition.open_parts += 1
        return PartRecord(
            rendition=name, msn=msn, part=index, duration_s=part.duration_s, independent=part.independent
        )  # fmt: skip

    def _forget_old(self, rendition: _Rendition) -> None:
        segments = rendition.segments
        after_s = sum(segment.duration_s for segment in segments)
        for segment in segments:
            after_s -= segment.duration_s
            if segment.msn >= rendition.parts_from and after_s > self._keep_parts_s:
                for part in range(segment.part_files):
                    (rendition.directory / part_file(segment.msn, part)).unlink(missing_ok=True)
                rendition.parts_from = segment.msn + 1
        kept_s = sum(segment.duration_s for segment in segments)
        while len(segments) > _KEEP_SEGMENTS and kept_s - segments[0].duration_s > self._keep_segments_s:
            segment = segments.popleft()
            kept_s -= segment.duration_s
            (rendition.directory / f"{segment.msn}.m4s").unlink(missing_ok=True)
        self._journal.compact(self._wanted)

    def _wanted(self, record: Record) -> bool:
        if isinstance(record, OpenRecord | PartRecord):
            return record.msn >= self._renditions[record.rendition].parts_from
        if isinstance(record, SegmentRecord):
            segments = self._renditions[record.rendition].segments
            return not segments or record.msn >= segments[0].msn
        return True


def part_file(msn: int, part: int) -> str:
    """The name of a part's file."""
    return f"{msn}.{part}.m4s"


def temporary_of(path: Path) -> Path:
    """Where a file is written that appears at `path` once it is whole."""
    return path.with_name(f".{path.name}")


def _write_whole(path: Path, data: bytes) -> None:
    temporary = temporary_of(path)
    temporary.write_bytes(data)
    temporary.rename(path)


def _rendition_record(track: Track) -> RenditionRecord:
    codecs = codec_string(track)
    if isinstance(track, VideoTrack):
        return RenditionRecord(
            name=track.name,
            kind="video",
            codecs=codecs,
            bandwidth_bps=track.bandwidth_bps,
            average_bandwidth_bps=track.average_bandwidth_bps,
            width_px=track.display_width_px,
            height_px=track.height_px,
            frame_rate=float(track.frame_rate or 0),
            may_carry_captions=track.may_carry_captions,
        )
    return RenditionRecord(
        name=track.name,
        kind="audio",
        codecs=codecs,
        bandwidth_bps=track.bandwidth_bps,
        average_bandwidth_bps=track.average_bandwidth_bps,
        channels=track.channels,
    )

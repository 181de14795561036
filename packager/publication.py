"""A session's files: init segments, parts, segments and the journal that tells the origin of them.

    {media_dir}/{edge_id}/current                             the id of the session that viewers get
    {media_dir}/{edge_id}/{session_id}/journal.jsonl
    {media_dir}/{edge_id}/{session_id}/{rendition}/init-0.mp4, {msn}.{part}.m4s, {msn}.m4s

Paths are the paths of the URLs. A file appears whole, by renaming; only then the journal names it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from packager.cmaf import init_segment
from packager.codecs import codec_string
from packager.journal import FILE_NAME, JournalWriter
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

_KEEP_UNLISTED_SEGMENTS = 4
"""Segments stay fetchable for a while after they left the playlist: a slow player may still ask for them."""
_KEEP_PARTS_OF_SEGMENTS = 6
"""Parts are listed for three target durations; the files of the segments before stay for slow players."""

CURRENT = "current"


@dataclass(slots=True)
class _Rendition:
    directory: Path
    init: str = ""
    inits: int = 0
    discontinuities: int = 0
    open_msn: int | None = None
    segments: deque[tuple[int, float, int]] = field(default_factory=deque)
    """Media sequence number, duration in seconds and count of part files, oldest first."""
    parts_from: int = 0


class Publication:
    """Publishes one session. Each rendition may be written from a thread of its own.

    `wall_time_s` maps media time to Unix time, both in seconds; it is asked once per media sequence number, so that all
    renditions agree on a segment's PROGRAM-DATE-TIME. `on_published` hears the rendition of each part and segment.
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
        wall_time_s: Callable[[float], float],
    ) -> None:
        self._edge_dir = media_dir / edge_id
        self._session_id = session_id
        self._low_latency = low_latency
        self._window_s = window_s
        self._wall_time_s = wall_time_s
        self._date_times_ms: dict[int, int] = {}
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
        """The rendition goes on with another decoder configuration, after a discontinuity."""
        rendition = self._renditions[track.name]
        rendition.discontinuities += 1
        self._write_init(rendition, track)
        self._journal.append(_rendition_record(track))

    def update_track(self, track: Track) -> None:
        """Replace what the multivariant playlist says of a rendition, such as its bitrate."""
        self._journal.append(_rendition_record(track))

    def open_segment(self, name: str, msn: int, start_s: float, discontinuity: bool) -> None:
        """A segment begins at this media time."""
        rendition = self._renditions[name]
        rendition.open_msn = msn
        self._journal.append(
            OpenRecord(
                rendition=name,
                msn=msn,
                program_date_time_ms=self._program_date_time_ms(msn, start_s),
                discontinuity=discontinuity,
                discontinuities=rendition.discontinuities,
                init=rendition.init,
            )
        )

    def write_part(self, name: str, msn: int, part: int, data: bytes, duration_s: float, independent: bool) -> None:
        """A part of the open segment. A classic session has no part files."""
        if not self._low_latency:
            return
        rendition = self._renditions[name]
        _write_whole(rendition.directory / f"{msn}.{part}.m4s", data)
        self._journal.append(
            PartRecord(rendition=name, msn=msn, part=part, duration_s=duration_s, independent=independent)
        )
        self.on_published(name)

    def finish_segment(
        self, name: str, msn: int, data: bytes, duration_s: float, parts: int, discontinuity: bool, independent: bool
    ) -> None:
        """The segment is complete: its file holds what its parts held."""
        rendition = self._renditions[name]
        _write_whole(rendition.directory / f"{msn}.m4s", data)
        self._journal.append(
            SegmentRecord(
                rendition=name,
                msn=msn,
                duration_s=duration_s,
                program_date_time_ms=self._date_times_ms[msn],
                discontinuity=discontinuity,
                discontinuities=rendition.discontinuities,
                init=rendition.init,
                independent=independent,
            )
        )
        self.on_published(name)
        rendition.segments.append((msn, duration_s, parts if self._low_latency else 0))
        self._forget_old(rendition)

    def make_current(self) -> None:
        """From now on viewers of the edge id get this session."""
        _write_whole(self._edge_dir / CURRENT, self._session_id.encode())

    def end(self) -> None:
        """Nothing follows: the playlists end here."""
        self._journal.append(EndRecord())
        self._journal.close()

    def _write_init(self, rendition: _Rendition, track: Track) -> None:
        rendition.init = f"init-{rendition.inits}.mp4"
        rendition.inits += 1
        _write_whole(rendition.directory / rendition.init, init_segment(track))

    def _program_date_time_ms(self, msn: int, start_s: float) -> int:
        with self._lock:
            if msn not in self._date_times_ms:
                self._date_times_ms[msn] = round(self._wall_time_s(start_s) * 1000)
                self._date_times_ms.pop(msn - 64, None)
            return self._date_times_ms[msn]

    def _forget_old(self, rendition: _Rendition) -> None:
        segments = rendition.segments
        for msn, _duration_s, parts in list(segments)[:-_KEEP_PARTS_OF_SEGMENTS]:
            if msn >= rendition.parts_from:
                rendition.parts_from = msn + 1
                for part in range(parts):
                    (rendition.directory / f"{msn}.{part}.m4s").unlink(missing_ok=True)
        kept_s = sum(duration_s for _msn, duration_s, _parts in segments)
        while len(segments) > _KEEP_UNLISTED_SEGMENTS:
            unlisted_s = sum(segments[index][1] for index in range(_KEEP_UNLISTED_SEGMENTS))
            if kept_s - unlisted_s < self._window_s:
                break
            msn, duration_s, _parts = segments.popleft()
            kept_s -= duration_s
            (rendition.directory / f"{msn}.m4s").unlink(missing_ok=True)
        self._journal.compact(self._wanted)

    def _wanted(self, record: Record) -> bool:
        if isinstance(record, OpenRecord):
            return record.msn == self._renditions[record.rendition].open_msn
        if isinstance(record, PartRecord):
            return record.msn >= self._renditions[record.rendition].parts_from
        if isinstance(record, SegmentRecord):
            segments = self._renditions[record.rendition].segments
            return bool(segments) and record.msn >= segments[0][0]
        return True


def _write_whole(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(data)
    temporary.rename(path)


def _rendition_record(track: Track) -> RenditionRecord:
    codecs = codec_string(track)
    common = (track.bandwidth_bps, track.average_bandwidth_bps)
    if isinstance(track, VideoTrack):
        return RenditionRecord(
            name=track.name,
            kind="video",
            codecs=codecs,
            bandwidth_bps=common[0],
            average_bandwidth_bps=common[1],
            width_px=track.width_px,
            height_px=track.height_px,
            frame_rate=float(track.frame_rate or 0),
        )
    return RenditionRecord(
        name=track.name,
        kind="audio",
        codecs=codecs,
        bandwidth_bps=common[0],
        average_bandwidth_bps=common[1],
        channels=track.channels,
    )

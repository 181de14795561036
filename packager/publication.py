"""A session's files: init segments, parts, segments and the journal that tells the origin of them.

    {media_dir}/{edge_id}/current                             the id of the session that viewers get
    {media_dir}/{edge_id}/{session_id}/journal.jsonl
    {media_dir}/{edge_id}/{session_id}/{rendition}/init-0.mp4, {msn}.{part}.m4s, {msn}.m4s

Paths are the paths of the URLs. A file appears whole, by renaming; only then the journal names it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import Any

from config.session import Checkpoint
from packager.announcement import rendition_record
from packager.cmaf import init_segment
from packager.files import part_file, write_whole
from packager.journal import FILE_NAME, JournalWriter
from packager.node_change import checkpoint_of, lost_segments
from packager.part_files import PartFiles, remove_growing
from packager.records import (
    EndRecord,
    OpenRecord,
    PartRecord,
    SegmentRecord,
    SessionRecord,
    ThumbnailRecord,
)
from packager.retention import Retention, is_wanted
from packager.samples import Track
from packager.session_lock import lock_session
from packager.written import WrittenRendition, WrittenSession

_ROUNDING_MS = 0.001
_MAX_OVERLAP_MS = 500

CURRENT = "current"
POSTER = "poster.jpg"
THUMBNAILS = "thumbnails"


@dataclass(frozen=True, slots=True)
class Part:
    """A part: one CMAF fragment, or several in a row. `independent` says that it starts with a keyframe."""

    data: bytes
    duration_s: float
    independent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GoingOn:
    """Where a rendition goes on that another worker has begun: the next part of segment `msn` begins at `start_s`.

    `parts` are those that this segment has already.
    """

    msn: int
    start_s: float
    parts: tuple[Part, ...]


class Publication:
    """Publishes one session. Each rendition may be written from a thread of its own.

    `wall_time_s` maps media time to Unix time, both in seconds. It should be linear, and give segments of video whole
    milliseconds: players move a playlist by what PROGRAM-DATE-TIME and durations disagree, and one moved later by a
    fraction of a millisecond stops hls.js (1.7.4), to which the last part then ends after what it holds of it. For the
    same reason times are rounded down. `on_published` hears the rendition of each part and segment, `on_checkpoint`
    how far the session has come, each time a segment is complete.

    A session that is in its directory already, begun by a worker that was killed, is gone on with: `renditions` and
    `add_rendition` say where. `after` is how far a session has come whose files are on another node: what is published
    here follows a discontinuity, and what is lost are gaps as long as that took, or of no time (see
    `lost_segments`). Raises `SessionBusy` while another process writes the session.
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
        recording: bool = False,
        frozen: Mapping[str, Any] | None = None,
        after: Checkpoint | None = None,
        lost_take_time: bool = True,
    ) -> None:
        self._edge_dir = media_dir / edge_id
        self._session_id = session_id
        self._low_latency = low_latency
        self.chunk_s = chunk_s if low_latency else 0.0
        """How much media a chunk of a part should hold; 0: a part is one fragment and appears when it is whole."""
        self._retention = Retention(window_s=window_s, target_duration_s=target_duration_s)
        self._wall_time_s = wall_time_s
        self._after = after
        self._lost_take_time = lost_take_time
        self._lock = threading.Lock()
        self._checkpoint_msn = 0
        self._part_files = PartFiles()
        self.breaks = after is not None
        """Whether renditions that are added now begin after a discontinuity."""
        self.on_published: Callable[[str], None] = lambda rendition: None
        self.on_checkpoint: Callable[[Checkpoint], None] = lambda checkpoint: None
        self._directory = self._edge_dir / session_id
        self._directory.mkdir(parents=True, exist_ok=True)
        self._directory_lock = lock_session(self._directory)
        self._journal = JournalWriter(self._directory / FILE_NAME)
        if not self._journal.records:
            self._journal.append(
                SessionRecord(
                    edge_id=edge_id,
                    session_id=session_id,
                    low_latency=low_latency,
                    part_target_s=part_target_s,
                    target_duration_s=target_duration_s,
                    window_s=window_s,
                    progressive=self.chunk_s > 0,
                    recording=recording,
                    frozen=dict(frozen or {}),
                )
            )
        self._written = WrittenSession(self._journal.records)
        for name, rendition in self._written.renditions.items():
            rendition.inits = len(list((self._directory / name).glob("init-*.mp4")))
            rendition.init = rendition.init or f"init-{rendition.inits - 1}.mp4"
            remove_growing(self._directory / name)

    @property
    def renditions(self) -> Mapping[str, WrittenRendition]:
        """What is written, by rendition."""
        return self._written.renditions

    @property
    def has_media(self) -> bool:
        """Whether anything is published yet."""
        return any(rendition.starts for rendition in self.renditions.values())

    @property
    def next_msn(self) -> int:
        """The first media sequence number that no rendition has begun."""
        return max(self._written.next_msn, self._after.next_msn if self._after else 0)

    def goes_on_with(self, tracks: Iterable[Track]) -> bool:
        """Whether these tracks are those that the session has: they can follow what is written without a seam."""
        tracks = list(tracks)
        return self.renditions.keys() == {track.name for track in tracks} and all(
            self._init_is(track) for track in tracks
        )

    def break_off(self) -> None:
        """Complete the segments that are open with the parts they have; what follows is after a discontinuity."""
        for name, rendition in self.renditions.items():
            if rendition.open is not None and (parts := self._parts_of(name, rendition)):
                self.finish_segment(name, parts)
            # A segment that has begun without a part is published by nobody: its number is left out.
            rendition.open = None
        self.breaks = self.has_media

    def add_rendition(self, track: Track) -> GoingOn | None:
        """Announce a rendition and write its init segment; where it goes on when it is there already."""
        rendition = self.renditions.get(track.name)
        (self._directory / track.name).mkdir(exist_ok=True)
        if rendition is not None and not self.breaks and self._init_is(track):
            if not rendition.starts:
                return None
            return GoingOn(
                msn=rendition.next_msn, start_s=rendition.next_s, parts=tuple(self._parts_of(track.name, rendition))
            )
        if rendition is None:
            rendition = self._written.renditions[track.name] = WrittenRendition(rendition_record(track))
            if self._after is not None:
                rendition.inits, rendition.discontinuities = self._after.inits, self._after.discontinuities
        self._write_init(rendition, track)
        self._journal.append(rendition_record(track))
        return None

    def change_track(self, track: Track) -> None:
        """The rendition goes on with another decoder configuration, from its next segment on."""
        self._write_init(self.renditions[track.name], track)
        self._journal.append(rendition_record(track))

    def update_track(self, track: Track) -> None:
        """Replace what the multivariant playlist says of a rendition, such as its bitrate."""
        self._journal.append(rendition_record(track))

    def open_segment(self, name: str, msn: int, start_s: float, discontinuity: bool) -> None:
        """A segment begins at this media time. A discontinuity of one rendition is one of all (6.2.4)."""
        rendition = self.renditions[name]
        if rendition.open is not None and rendition.open.msn == msn:  # begun by a worker that was killed
            return
        with self._lock:
            if discontinuity:
                self._written.discontinuous.add(msn)
            discontinuity = msn in self._written.discontinuous
        # A source that was ahead of its time and comes back in time must not make a date belong to two segments: they
        # may overlap by less than a second (6.2.1).
        date_ms = floor(
            max(self._wall_time_s(start_s) * 1000, rendition.dated_until_ms - _MAX_OVERLAP_MS) + _ROUNDING_MS
        )
        if self._after is not None and not rendition.starts:
            session, take_time = self._written.session, self._lost_take_time
            self._append(*lost_segments(self._after, rendition, session, msn, date_ms, lost_take_time=take_time))
        self._append(
            OpenRecord(
                rendition=name,
                msn=msn,
                start_s=start_s,
                program_date_time_ms=date_ms,
                discontinuity=discontinuity,
                discontinuities=rendition.discontinuities + discontinuity,
                init=rendition.init,
            )
        )

    def append_chunk(self, name: str, data: bytes) -> None:
        """The next fragment of the part that comes next, for those who have asked for it already."""
        rendition = self.renditions[name]
        assert rendition.open is not None
        path = self._directory / name / part_file(rendition.open.msn, len(rendition.open_parts))
        self._part_files.append(path, data)

    def write_part(self, name: str, part: Part) -> None:
        """A part of the open segment. A classic session has no part files."""
        if self._low_latency:
            self._append(self._write_part_file(name, len(self.renditions[name].open_parts), part))
            self.on_published(name)

    def finish_segment(self, name: str, parts: Sequence[Part]) -> None:
        """The open segment is complete with the last of these parts: its file holds what they hold.

        The journal names that part and the segment in one go, so that no playlist hints at a part in between.
        """
        rendition = self.renditions[name]
        opened = rendition.open
        assert opened is not None
        records: list[OpenRecord | PartRecord | SegmentRecord] = []
        if self._low_latency:
            already = len(rendition.open_parts)
            records += [self._write_part_file(name, index, parts[index]) for index in range(already, len(parts))]
        write_whole(self._directory / name / f"{opened.msn}.m4s", *(part.data for part in parts))
        records.append(
            SegmentRecord(
                rendition=name,
                msn=opened.msn,
                duration_s=sum(part.duration_s for part in parts),
                program_date_time_ms=opened.program_date_time_ms,
                discontinuity=opened.discontinuity,
                discontinuities=opened.discontinuities,
                init=opened.init,
                independent=parts[0].independent,
                part_bytes=[len(part.data) for part in parts] if self._low_latency else (),
            )
        )
        self._append(*records)
        self.on_published(name)
        self._retention.forget_old(self._directory / name, rendition)
        self._journal.compact(lambda record: is_wanted(record, self._written))
        self._tell_checkpoint(opened.msn)

    def write_poster(self, data: bytes) -> None:
        """What the stream looks like now, as JPEG."""
        write_whole(self._directory / POSTER, data)

    def write_thumbnail(self, record: ThumbnailRecord, sheet: bytes) -> None:
        """A thumbnail, with the JPEG of the sheet that it is on."""
        (self._directory / THUMBNAILS).mkdir(exist_ok=True)
        write_whole(self._directory / THUMBNAILS / record.sheet, sheet)
        self._journal.append(record)

    def make_current(self) -> None:
        """From now on viewers of the edge id get this session."""
        write_whole(self._edge_dir / CURRENT, self._session_id.encode())

    def end(self, *, final: bool = True) -> None:
        """Nothing follows: the playlists end here. Not `final`: nothing follows from this node."""
        if final:
            self._journal.append(EndRecord())
        self._journal.close()
        os.close(self._directory_lock)

    def _append(self, *records: OpenRecord | PartRecord | SegmentRecord) -> None:
        self._journal.append(*records)
        for record in records:
            self.renditions[record.rendition].feed(record)

    def _init_is(self, track: Track) -> bool:
        """Whether this is the track that the rendition has now."""
        init = self._directory / track.name / self.renditions[track.name].init
        return init.is_file() and init.read_bytes() == init_segment(track)

    def _write_init(self, rendition: WrittenRendition, track: Track) -> None:
        rendition.init = f"init-{rendition.inits}.mp4"
        rendition.inits += 1
        write_whole(self._directory / track.name / rendition.init, init_segment(track))

    def _parts_of(self, name: str, rendition: WrittenRendition) -> list[Part]:
        """The parts that the open segment has, from their files."""
        return [
            Part(
                (self._directory / name / part_file(part.msn, part.part)).read_bytes(),
                part.duration_s,
                part.independent,
            )
            for part in rendition.open_parts
        ]

    def _write_part_file(self, name: str, index: int, part: Part) -> PartRecord:
        opened = self.renditions[name].open
        assert opened is not None
        self._part_files.finish(self._directory / name / part_file(opened.msn, index), part.data)
        return PartRecord(
            rendition=name, msn=opened.msn, part=index, duration_s=part.duration_s, independent=part.independent
        )  # fmt: skip

    def _tell_checkpoint(self, msn: int) -> None:
        with self._lock:
            if msn < self._checkpoint_msn:
                return
            self._checkpoint_msn = msn + 1
        self.on_checkpoint(checkpoint_of(self._written, next_msn=self.next_msn, complete_msn=msn))

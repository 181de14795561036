"""A session that publishes on request and is to be recorded; its segments are of 2 s."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from packager.publication import Part, Publication
from packager.recordings.playlists import recording_playlist
from packager.recordings.recording import read_recording
from tests.packager.helpers import EDGE_ID, SESSION_ID, UNIX_S, audio_track, new_publication, video_track

SEGMENT_S = 2.0


class RecordedWriter:
    """Publishes whole segments of two renditions."""

    def __init__(
        self,
        media_dir: Path,
        publication: Publication | None = None,
        *,
        first_msn: int = 0,
        edge_id: str = EDGE_ID,
        session_id: str = SESSION_ID,
    ) -> None:
        self.directory = media_dir / edge_id / session_id
        self.publication = publication or new_publication(
            media_dir, recording=True, edge_id=edge_id, session_id=session_id
        )
        self.tracks = (video_track(), audio_track())
        self.msn = first_msn
        for track in self.tracks:
            self.publication.add_rendition(track)

    def segments(self, count: int = 1, *, discontinuity: bool = False) -> None:
        """Publish the next segments."""
        for _ in range(count):
            for track in self.tracks:
                self.publication.open_segment(track.name, self.msn, self.msn * SEGMENT_S, discontinuity)
                self.publication.finish_segment(track.name, [Part(content(track.name, self.msn), SEGMENT_S, True)])
            self.msn += 1


def content(rendition: str, msn: int) -> bytes:
    """What such a segment holds: a thousand bytes, and no two alike."""
    return f"{rendition} {msn};".encode().ljust(1000, b".")


def playlist(directory: Path, name: str = "720p") -> list[str]:
    """The lines of a recording's playlist that say what it holds: without its header and dates."""
    lines = recording_playlist(read_recording(directory), name).splitlines()
    return [line for line in lines[5:] if not line.startswith("#EXT-X-PROGRAM-DATE-TIME")]


def stored(directory: Path, name: str = "720p") -> dict[str, bytes]:
    """The segments that are there."""
    return {path.name: path.read_bytes() for path in sorted((directory / name).glob("*.m4s"))}


def unix_ms(msn: int) -> int:
    """When a segment began."""
    return round((UNIX_S + msn * SEGMENT_S) * 1000)


def fill(directory: Path) -> Path:
    """Fill the file system of this directory to its last byte; the file that does so."""
    ballast = directory / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    assert os.statvfs(directory).f_bavail == 0
    return ballast

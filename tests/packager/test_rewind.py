"""Hours of window: every time of it can be gone to."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from packager.conformance.text import ReadPlaylist, read_playlist
from packager.journal import JournalReader
from packager.playlists import media_playlist
from packager.presentation import Presentation
from packager.publication import Part
from tests.packager.conftest import BASE, Origin
from tests.packager.helpers import UNIX_S, Writer, new_publication, video_track

WINDOW_S = 3600


def read(text: str) -> ReadPlaylist:
    found = read_playlist(text)
    assert isinstance(found, ReadPlaylist)
    return found


async def test_a_viewer_can_go_to_any_time_of_the_window(tmp_path: Path, origin: Origin) -> None:
    writer = Writer(tmp_path, video_track(), window_s=WINDOW_S)
    writer.segments(2000)
    playlist = read(await (await origin.get("720p/media.m3u8")).text())
    starts_s = [segment.start_s or 0 for segment in playlist.complete]
    assert len(starts_s) == WINDOW_S // 2
    assert {later - earlier for earlier, later in pairwise(starts_s)} == {2.0}
    assert starts_s[-1] == UNIX_S + 1999 * 2
    for ago_s in (0, 1, 59, 1800, WINDOW_S - 1):
        wanted_s = UNIX_S + 2000 * 2 - ago_s - 0.5
        segment = next(segment for segment in reversed(playlist.complete) if (segment.start_s or 0) <= wanted_s)
        response = await origin.get(f"{BASE}/720p/{segment.uri}")
        assert (await response.read()).startswith(f"msn {segment.msn} part 0;".encode())


async def test_a_delta_update_of_hours_is_as_small_as_one_of_a_minute(tmp_path: Path, origin: Origin) -> None:
    writer = Writer(tmp_path, video_track(), window_s=WINDOW_S)
    sizes_bytes = []
    for segments in (30, 1900):
        writer.segments(segments)
        sizes_bytes.append(len(await (await origin.get("720p/media.m3u8?_HLS_skip=YES")).read()))
    assert sizes_bytes[1] <= sizes_bytes[0] + 100


def test_parts_are_forgotten_when_they_are_not_listed_any_more(tmp_path: Path) -> None:
    """An origin that follows for hours keeps them for the live edge only."""
    writer = Writer(tmp_path, video_track(), window_s=WINDOW_S)
    reader, presentation = JournalReader(writer.directory / "journal.jsonl"), Presentation()
    for _ in range(300):
        writer.segments(1)
        presentation.feed(reader.poll()[1])
    kept = [segment.msn for segment in presentation.renditions["720p"].segments if segment.parts]
    assert kept == [296, 297, 298, 299]
    assert media_playlist(presentation, "720p").count("#EXT-X-PART:") == 16


def test_a_segments_file_stays_for_a_minute_after_it_has_left_the_playlist(tmp_path: Path) -> None:
    publication = new_publication(tmp_path, window_s=600)
    publication.add_rendition(video_track())
    for msn in range(500):
        publication.open_segment("720p", msn, msn * 2.0, False)
        publication.finish_segment("720p", [Part(b"segment", 2.0, independent=True)])
    files = {int(file.name[:-4]) for file in tmp_path.rglob("*.m4s") if file.name.count(".") == 1}
    # 300 segments are listed, 30 have left it within a minute, one more for its own duration.
    assert min(files) in range(168, 171) and files == set(range(min(files), 500))

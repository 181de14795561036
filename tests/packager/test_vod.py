"""Recordings over HTTP: ranges and conditions, and lengths that agree whatever is missing."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import av
import m3u8
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from packager.cmaf import fragment, init_segment
from packager.hot_media import HotMedia
from packager.media_files import HOT
from packager.player_page import setup_player
from packager.recordings.media import RecordedMedia
from packager.recordings.mp4 import progressive_mp4
from packager.recordings.playlists import recording_playlist
from packager.recordings.recording import read_recording
from packager.recordings.records import HeadRecord, InitRecord, Line, OverRecord, StoredSegment, encode_line
from packager.recordings.summary import Summary
from packager.recordings.timeline import lost_ends
from packager.recordings.vod import LIBRARY, has_recording, setup_vod
from packager.records import RenditionRecord
from packager.samples import Track
from tests.packager.helpers import EDGE_ID, SESSION_ID, audio_track, sample, video_track

Client = TestClient[web.Request, web.Application]

RECORDING_ID = "rec_" + "s" * 26
COUNT = 5
SEGMENT_S = 2.0
SAMPLE_S = 0.02


def record(
    recordings_dir: Path, *, missing: Collection[tuple[str, int]] = (), unsaid: Collection[tuple[str, int]] = ()
) -> Path:
    """A recording of five segments in two renditions; some are noted as missing, of some nothing is said."""
    directory = recordings_dir / RECORDING_ID
    lines: list[Line] = [HeadRecord(edge_id=EDGE_ID, session_id=SESSION_ID, target_duration_s=2)]
    for track in (video_track(), audio_track()):
        (directory / track.name).mkdir(parents=True)
        init = init_segment(track)
        (directory / track.name / "init-0.mp4").write_bytes(init)
        kind = "audio" if track.name == "audio" else "video"
        lines.append(
            RenditionRecord(
                name=track.name,
                kind=kind,
                codecs=track.codec,
                width_px=1280,
                height_px=720,
                frame_rate=50.0,
                channels=2,
                bandwidth_bps=track.bandwidth_bps,
                average_bandwidth_bps=track.average_bandwidth_bps,
            )
        )
        lines.append(
            InitRecord(
                rendition=track.name, file="init-0.mp4", timescale_hz=track.timescale_hz, size_bytes=len(init), crc32=0
            )
        )
        for msn in range(COUNT):
            if (track.name, msn) in unsaid:
                continue
            data = b"" if (track.name, msn) in missing else segment(track, msn)
            if data:
                (directory / track.name / f"{msn}.m4s").write_bytes(data)
            lines.append(
                StoredSegment(
                    track.name,
                    msn,
                    msn * SEGMENT_S,
                    SEGMENT_S,
                    round(1000 * msn * SEGMENT_S),
                    0,
                    "init-0.mp4",
                    True,
                    len(data),
                    0,
                )
            )
    (directory / "node_a.jsonl").write_bytes(b"".join(map(encode_line, [*lines, OverRecord()])))
    return directory


def segment(track: Track, msn: int) -> bytes:
    ticks = round(SAMPLE_S * track.timescale_hz)
    first = round(msn * SEGMENT_S / SAMPLE_S)
    samples = [
        sample((first + index) * ticks, ticks, keyframe=not index, data=f"{track.name} {first + index}".encode())
        for index in range(round(SEGMENT_S / SAMPLE_S))
    ]
    return fragment(track, msn + 1, samples)


def lengths_s(directory: Path) -> dict[str, float]:
    """How long each thing is that can be made of a recording."""
    recording = read_recording(directory)
    found = {"api": Summary.of(recording).duration_s}
    for name in recording.renditions:
        listed = m3u8.loads(recording_playlist(recording, name)).segments
        found[f"hls {name}"] = sum(each.duration or 0 for each in listed)
    mp4 = progressive_mp4(recording, RecordedMedia(directory))
    with av.open(io.BytesIO(mp4.read(0, mp4.size_bytes)), "r") as container:
        assert container.duration is not None
        found["mp4"] = container.duration / av.time_base
        for stream in container.streams:
            assert stream.duration is not None and stream.time_base is not None
            start_s = float((stream.start_time or 0) * stream.time_base)
            found[f"mp4 {stream.type}"] = start_s + float(stream.duration * stream.time_base)
    return found


@pytest.mark.parametrize(
    "missing",
    [
        {("720p", 4)},
        {("audio", 3), ("audio", 4)},
        {("720p", 3), ("720p", 4), ("audio", 4)},
        {("720p", 0)},
        {("720p", 0), ("audio", 0), ("audio", 1)},
        {("720p", 0), ("720p", 2), ("720p", 4)},
    ],
)
def test_a_recording_has_one_length_whatever_is_missing(tmp_path: Path, missing: set[tuple[str, int]]) -> None:
    directory = record(tmp_path, missing=missing)
    assert {name: round(length_s, 2) for name, length_s in lengths_s(directory).items()} == {
        "api": 10.0, "hls 720p": 10.0, "hls audio": 10.0, "mp4": 10.0, "mp4 video": 10.0, "mp4 audio": 10.0
    }  # fmt: skip
    assert Summary.of(read_recording(directory)).gaps


def test_an_end_that_one_rendition_has_and_the_other_has_not_is_found(tmp_path: Path) -> None:
    lost = {("720p", 3), ("720p", 4)}
    recording = read_recording(record(tmp_path, unsaid=lost))
    assert Summary.of(recording).gaps == []
    found = lost_ends(recording)
    assert {(each.rendition, each.msn) for each in found} == lost and all(each.is_missing for each in found)
    for line in found:
        recording.feed(line)
    (gap,) = Summary.of(recording).gaps
    assert (gap.start_ms, gap.duration_s) == (6000, 4.0) and lost_ends(recording) == []


def test_a_rendition_of_which_nothing_was_stored_is_as_long_as_the_others(tmp_path: Path) -> None:
    directory = record(tmp_path, unsaid={("audio", msn) for msn in range(COUNT)})
    recording = read_recording(directory)
    with (directory / "node_a.jsonl").open("ab") as journal:
        journal.writelines(map(encode_line, lost_ends(recording)))
    assert lengths_s(directory)["hls audio"] == 10.0
    assert recording_playlist(read_recording(directory), "audio").count("#EXT-X-GAP") == COUNT


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    record(tmp_path)
    app = web.Application()
    app[HOT] = HotMedia(tmp_path, b"")
    setup_vod(app, tmp_path)
    hls_js = tmp_path / "hls.min.js"
    hls_js.touch()

    async def is_recorded(recording_id: str) -> bool:
        return await has_recording(app[LIBRARY], recording_id)

    setup_player(app, hls_js, has_recording=is_recorded)
    async with TestClient(TestServer(app)) as client:
        yield client


FILES = ("download.mp4", "720p/1.m4s")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    "wanted",
    ["bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "bytes=1-2,4-5", "lines=1-2", "bytes 1-2", "bytes=--1", "nonsense"],
)
async def test_a_range_that_is_none_is_ignored(client: Client, file: str, wanted: str) -> None:
    async with client.get(f"/vod/{RECORDING_ID}/{file}") as response:
        whole = await response.read()
    async with client.get(f"/vod/{RECORDING_ID}/{file}", headers={"Range": wanted}) as response:
        assert (response.status, await response.read()) == (200, whole)


@pytest.mark.parametrize("file", FILES)
async def test_ranges(client: Client, file: str) -> None:
    async with client.get(f"/vod/{RECORDING_ID}/{file}") as response:
        whole = await response.read()
    size = len(whole)
    cases = {
        "bytes=0-0": (0, 1), "bytes=5-": (5, size), "bytes=-7": (size - 7, size), f"bytes=-{size + 9}": (0, size),
        f"bytes=10-{10**30}": (10, size), "BYTES=3-4": (3, 5),
    }  # fmt: skip
    for wanted, (start, end) in cases.items():
        async with client.get(f"/vod/{RECORDING_ID}/{file}", headers={"Range": wanted}) as response:
            assert (response.status, await response.read()) == (206, whole[start:end]), wanted
            assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
    for wanted in ("bytes=-0", f"bytes={size}-", f"bytes={10**30}-"):
        async with client.get(f"/vod/{RECORDING_ID}/{file}", headers={"Range": wanted}) as response:
            assert (response.status, response.headers["Content-Range"]) == (416, f"bytes */{size}"), wanted


@pytest.mark.parametrize("file", FILES)
async def test_conditions(client: Client, file: str) -> None:
    url = f"/vod/{RECORDING_ID}/{file}"
    async with client.get(url, headers={"Range": "bytes=0-0"}) as response:
        etag = response.headers["ETag"]
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        async with client.get(url, headers={"If-None-Match": known}) as response:
            assert (response.status, await response.read(), response.headers["ETag"]) == (304, b"", etag), known
    async with client.get(url, headers={"If-None-Match": '"other"'}) as response:
        assert response.status == 200
    for condition, status in ((etag, 206), ('"other"', 200), ("Thu, 01 Jan 1970 00:00:00 GMT", 200)):
        async with client.get(url, headers={"Range": "bytes=1-2", "If-Range": condition}) as response:
            assert response.status == status, condition


async def test_there_is_a_page_only_of_recordings_that_are_there(client: Client) -> None:
    for recording_id, status in ((RECORDING_ID, 200), ("rec_" + "0" * 26, 404), ("rec_unknown", 404)):
        async with client.get(f"/player/{recording_id}") as response:
            assert response.status == status, recording_id

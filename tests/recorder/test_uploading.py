"""Recordings go to a real S3 server while they grow; it is away, refuses, or is full of what was deleted."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from antlive import deleted_copies
from antlive.deleted_copies import DeletedCopies
from config.session import Checkpoint
from config.settings import Settings
from packager.hot_media import HotMedia
from packager.media_files import HOT
from packager.recordings import fetching, library
from packager.recordings.fetching import fetch_journals
from packager.recordings.object_store import NoObject, ObjectStore, StoreError
from packager.recordings.recording import read_recording
from packager.recordings.vod import setup_vod
from recorder import left, uploader
from recorder.session import RecordedSession
from recorder.spool import Spool
from recorder.storing import Disk
from recorder.uploader import Uploader
from streams.recording_model import RecordingState
from tests.packager.helpers import new_publication
from tests.recorder.helpers import SEGMENT_S, RecordedWriter, content, stored, unix_ms
from tests.recorder.place import Place, until
from tests.recorder.test_moved import end_elsewhere
from tests.s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, s3_server
from tests.streams.helpers import ENV

NODE = "node_a"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3") / "data") as started:
        yield started


@pytest.fixture
def s3(server: S3Server) -> S3Server:
    """A server whose bucket is empty."""
    shutil.rmtree(server.directory / BUCKET)
    (server.directory / BUCKET).mkdir()
    if server.process is None:
        server.start()
    return server


class Uploading:
    """A session that is recorded and uploaded step by step."""

    def __init__(
        self,
        writer: RecordedWriter,
        recordings_dir: Path,
        s3: S3Server,
        limit_bytes: int = 1 << 30,
        node: str = NODE,
    ) -> None:
        self.writer = writer
        self.spool = Spool(limit_bytes)
        self.session = RecordedSession(writer.directory, Disk(recordings_dir, 0, self.spool), node)
        self.uploader = Uploader(recordings_dir, node, s3.store(), self.spool)

    @property
    def here(self) -> dict[str, bytes]:
        """The segments on disk."""
        return stored(self.session.directory)

    def publish(self, count: int) -> None:
        self.writer.segments(count)
        self.session.step()

    def finish(self) -> None:
        self.writer.publication.end()
        self.session.step()
        self.session.finish()
        self.spool.close(self.session.recording_id)

    async def upload(self) -> None:
        """Until nothing is left to do."""
        while await self.uploader.round():
            pass


def media_of(s3: S3Server, recording_id: str, name: str = "720p") -> list[str]:
    """The segments in the store, in order."""
    prefix = f"shows/{recording_id}/{name}/"
    found = [key.removeprefix(prefix) for key in s3.objects() if key.startswith(prefix)]
    return sorted((file for file in found if file.endswith(".m4s")), key=lambda file: int(file.split(".")[0]))


def files(*msns: int) -> list[str]:
    return [f"{msn}.m4s" for msn in msns]


def settings_with(place: Place, s3: S3Server) -> Settings:
    """The place's settings, with this store."""
    return place.settings.model_copy(
        update={
            "recording_store": f"s3://{BUCKET}/shows", "recording_store_endpoint": s3.endpoint,
            "recording_store_access_key": ACCESS_KEY, "recording_store_secret_key": SECRET_KEY,
        }
    )  # fmt: skip


@asynccontextmanager
async def origin(
    recordings_dir: Path, s3: S3Server, *, redirects: bool
) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application()
    app[HOT] = HotMedia(recordings_dir, b"")
    setup_vod(app, recordings_dir, s3.store(), redirects=redirects)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_a_store_that_is_away_gets_everything_later_and_plays_it(
    writer: RecordedWriter, tmp_path: Path, s3: S3Server
) -> None:
    recordings_dir = tmp_path / "recordings"
    uploading = Uploading(writer, recordings_dir, s3)
    recording_id = uploading.session.recording_id
    uploading.publish(2)
    await uploading.upload()
    assert media_of(s3, recording_id) == files(0, 1) and not uploading.here
    s3.stop()
    uploading.publish(2)
    with pytest.raises(StoreError, match="can't be reached"):
        await uploading.upload()
    assert list(uploading.here) == files(2, 3) and uploading.session.problem == ""
    s3.start()
    # Killed, and started again: what waits is found on disk, what the store has is not missing.
    uploading = Uploading(writer, recordings_dir, s3)
    uploading.publish(1)
    await uploading.upload()
    uploading.finish()
    await uploading.upload()
    assert media_of(s3, recording_id) == files(*range(5)) and not uploading.here
    assert uploading.session.summary.gaps == [] and uploading.spool.size_bytes == 0
    kept = {path.name for path in uploading.session.directory.iterdir() if path.is_file()}
    assert kept == {f"{NODE}.jsonl", f"{NODE}.stored", f"{NODE}.complete"}

    async with origin(recordings_dir, s3, redirects=True) as client:
        async with client.get(f"/vod/{recording_id}/720p/3.m4s", allow_redirects=False) as response:
            assert response.status == 302 and SECRET_KEY not in response.headers["Location"]
            location = response.headers["Location"]
        for url in (f"/vod/{recording_id}/720p/3.m4s", f"/vod/{recording_id}/720p/0.m4s"):
            async with client.get(url) as response:
                assert await response.read() == content("720p", int(url[-5]))
        async with client.session.get(location[:-1] + ("0" if location[-1] != "0" else "1")) as response:
            assert response.status == 403, "the server checks signatures"
        async with client.get(f"/vod/{recording_id}/720p/media.m3u8") as response:
            listed = await response.text()
    # Another node, which has nothing of it.
    async with origin(tmp_path / "elsewhere", s3, redirects=False) as client:
        async with client.get(f"/vod/{recording_id}/720p/media.m3u8") as response:
            assert await response.text() == listed and listed.endswith("4.m4s\n#EXT-X-ENDLIST\n")
        async with client.get(f"/vod/{recording_id}/audio/4.m4s", headers={"Range": "bytes=2-9"}) as response:
            assert (response.status, await response.read()) == (206, content("audio", 4)[2:10])
            assert response.headers["Content-Range"] == "bytes 2-9/1000"
        async with client.get(f"/vod/{recording_id}/audio/5.m4s") as response:
            assert response.status == 404
        async with client.get(f"/vod/rec_{'0' * 26}/master.m3u8") as response:
            assert response.status == 404


async def test_a_full_spool_is_said_and_nothing_that_is_listed_is_given_up(
    writer: RecordedWriter, tmp_path: Path, s3: S3Server
) -> None:
    uploading = Uploading(writer, tmp_path / "recordings", s3, limit_bytes=6500)
    s3.stop()
    uploading.publish(4)
    assert "the spool is full" in uploading.session.problem and not uploading.session.is_complete
    listed = list(uploading.here)
    assert 0 < len(listed) < 4
    uploading.publish(40)  # by now most has left the live stream's files
    s3.start()
    for _ in range(30):
        await uploading.upload()
        uploading.session.step()
    uploading.finish()
    await uploading.upload()
    assert uploading.session.problem == "" and media_of(s3, uploading.session.recording_id)[: len(listed)] == listed
    (gap,) = uploading.session.summary.gaps
    whole = set.intersection(*(set(media_of(s3, uploading.session.recording_id, name)) for name in ("720p", "audio")))
    assert gap.reason == "not_recorded" and gap.duration_s == pytest.approx(2 * (44 - len(whole)))


@pytest.mark.parametrize("limit_bytes", [1 << 30, 200_000])
async def test_a_store_that_is_away_for_ten_minutes(
    writer: RecordedWriter, tmp_path: Path, s3: S3Server, limit_bytes: int
) -> None:
    """Ten minutes of the uploader's clock, in which a session publishes 300 segments of two renditions."""
    uploading = Uploading(writer, tmp_path / "recordings", s3, limit_bytes)
    recording_id = uploading.session.recording_id
    uploading.publish(2)
    await uploading.upload()
    s3.stop()
    slept_s: list[float] = []
    largest_bytes = 0

    async def sleep(seconds: float) -> None:
        nonlocal largest_bytes
        slept_s.append(seconds)
        uploading.publish(round(sum(slept_s) / SEGMENT_S) + 2 - writer.msn)
        largest_bytes = max(largest_bytes, sum(map(len, uploading.here.values())))
        if sum(slept_s) >= 600 and s3.process is None:
            s3.start()
        elif s3.process is not None and not uploading.uploader.problem and not uploading.spool.size_bytes:
            raise asyncio.CancelledError

    uploading.uploader = Uploader(tmp_path / "recordings", NODE, s3.store(), uploading.spool, sleep)
    with pytest.raises(asyncio.CancelledError):
        await uploading.uploader.run()
    assert max(slept_s) == 15.0 and sum(slept_s) < 660, "what waits goes up as soon as the store is back"
    uploading.finish()
    await uploading.upload()
    summary, there = uploading.session.summary, media_of(s3, recording_id)
    assert summary.duration_s == writer.msn * SEGMENT_S and largest_bytes < limit_bytes
    if limit_bytes == 1 << 30:
        assert summary.gaps == [] and there == files(*range(writer.msn))
    else:
        (gap,) = summary.gaps
        audio = media_of(s3, recording_id, "audio")
        first, last = len(set(there) & set(audio)), writer.msn - 1
        assert there[:90] == files(*range(90)) and there[-1] == f"{last}.m4s"
        assert gap.reason == "not_recorded" and gap.duration_s == pytest.approx(SEGMENT_S * (writer.msn - first))
    assert not uploading.here and uploading.session.problem == ""


async def test_what_breaks_between_upload_and_removal_is_found_again(
    writer: RecordedWriter, tmp_path: Path, s3: S3Server
) -> None:
    uploading = Uploading(writer, tmp_path / "recordings", s3)
    uploading.publish(2)
    directory = uploading.session.directory
    before = dict(uploading.here)
    await uploading.upload()
    # Killed after `.stored` was written, while the next line was.
    for name, data in before.items():
        (directory / "720p" / name).write_bytes(data)
    with (directory / f"{NODE}.stored").open("ab") as file:
        file.write(b'["720p","9.m4s",1')
    again = Uploading(writer, tmp_path / "recordings", s3)
    again.publish(1)
    await again.upload()
    assert not again.here and media_of(s3, again.session.recording_id) == files(0, 1, 2)
    # What was said after the torn line is known to the next one, too.
    again = Uploading(writer, tmp_path / "recordings", s3)
    again.publish(0)
    assert again.session.summary.gaps == [] and again.session.summary.duration_s == 6.0
    assert b"9.m4s" not in (directory / f"{NODE}.stored").read_bytes()
    # A file that is not what was stored is not uploaded as if it were.
    s3.stop()
    again.publish(1)
    (directory / "720p" / "3.m4s").write_bytes(b"torn")
    s3.start()
    await again.upload()
    assert media_of(s3, again.session.recording_id) == files(0, 1, 2)
    assert [len(each.segments) for each in read_recording(directory).renditions.values()] == [4, 4]


async def test_a_session_that_moves_between_nodes_without_a_common_directory_is_one_recording(
    writer: RecordedWriter, tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader, "_JOURNAL_EVERY_S", 0.0)
    monkeypatch.setattr(uploader, "_JOURNAL_BYTES_PER_S", 1 << 40)
    checkpoints: list[Checkpoint] = []
    writer.publication.on_checkpoint = checkpoints.append
    first = Uploading(writer, tmp_path / "recordings", s3)
    first.publish(3)
    await first.upload()
    # What the node that is lost now has not uploaded is nowhere else.
    first.publish(1)
    publication = new_publication(tmp_path / "other", recording=True, after=checkpoints[-1])
    other = RecordedWriter(tmp_path / "other", publication, first_msn=4)
    second = Uploading(other, tmp_path / "elsewhere", s3, node="node_b")
    second.publish(2)
    await fetch_journals(s3.store(), second.session.directory)
    second.finish()
    await second.upload()
    (gap,) = second.session.summary.gaps
    assert (gap.start_ms, gap.duration_s) == (unix_ms(3), SEGMENT_S) and second.session.summary.duration_s == 12.0
    async with origin(tmp_path / "third", s3, redirects=True) as client:
        async with client.get(f"/vod/{first.session.recording_id}/720p/media.m3u8") as response:
            listed = (await response.text()).splitlines()
        found = [line for line in listed if line.endswith((".m4s", "GAP", "ENDLIST"))]
        assert found == [*files(0, 1, 2), "#EXT-X-GAP", *files(3, 4, 5), "#EXT-X-ENDLIST"]
        for msn in (0, 1, 2, 4, 5):
            async with client.get(f"/vod/{first.session.recording_id}/720p/{msn}.m4s") as response:
                assert await response.read() == content("720p", msn)


async def test_the_node_that_a_session_has_left_plays_all_of_it_once_it_has_ended(
    place: Place, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(left, "_ASKED_EVERY_S", 0.1)
    place.settings = settings_with(place, s3)
    other = place.beside("b")
    stream, _, writer = await place.session()
    async with place.recorder(NODE):
        writer.segments(3)
        await place.wait_for(stream, RecordingState.RECORDING, 6.0)
        await end_elsewhere(other, stream, writer)  # and stops before all of it is uploaded

        async def is_whole() -> bool:
            found = read_recording(place.directory(stream))
            return found.is_over and [each.msn for each in found.renditions["720p"].segments] == [0, 1, 2, 5, 6]

        async def is_told() -> bool:
            (entry,) = (await place.recordings.of_stream(stream.stream_id, limit=1)).recordings
            return entry.progress.nodes == {NODE, "node_b"} and entry.parts == ()

        assert not await is_whole() and not await is_told()
        async with other.recorder("node_b"):
            await until(is_whole)
            await until(is_told)
    entry = await place.wait_for(stream, RecordingState.READY, 14.0)
    assert [gap["duration"] for gap in entry.progress.gaps] == [4.0] and entry.progress.reason == ""


async def test_wrong_keys_are_said_and_data_are_kept(
    place: Place, s3: S3Server, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    right = settings_with(place, s3)
    place.settings = right.model_copy(update={"recording_store_secret_key": "not-the-secret-of-the-store"})
    stream, _, writer = await place.session()

    async def says(problem: str) -> bool:
        (entry,) = (await place.recordings.of_stream(stream.stream_id, limit=1)).recordings
        return entry.problem == problem and bool(entry.pending_bytes) == bool(problem)

    async with place.recorder():
        writer.segments(2)
        await place.wait_for(stream, RecordingState.RECORDING, 4.0)
        await until(lambda: says("the store refuses: SignatureDoesNotMatch"))
        writer.publication.end()
        entry = await place.wait_for(stream, RecordingState.READY, 4.0)
    assert list(stored(place.directory(stream))) == files(0, 1) and s3.objects() == {}
    logged = caplog.text + capsys.readouterr().out
    assert "SignatureDoesNotMatch" in logged and "the-secret-of" not in logged and ACCESS_KEY not in logged

    place.settings = right
    async with place.recorder():
        await until(lambda: says(""))
        assert media_of(s3, entry.recording_id) == files(0, 1)
    # The recorder is away, and what this node had of it is lost.
    shutil.rmtree(place.settings.effective_recordings_dir / entry.recording_id)
    await place.recordings.delete(entry.recording_id, stream_id=stream.stream_id, env=ENV, reason="api")
    assert s3.objects()
    async with place.recorder():

        async def gone() -> bool:
            return s3.objects() == {} and not list(place.settings.effective_recordings_dir.iterdir())

        await until(gone)


async def test_what_is_deleted_while_the_store_is_away_is_deleted_later(
    writer: RecordedWriter, tmp_path: Path, s3: S3Server
) -> None:
    uploading = Uploading(writer, tmp_path / "recordings", s3)
    uploading.publish(2)
    await uploading.upload()
    s3.stop()
    shutil.rmtree(uploading.session.directory)
    uploading.uploader.remove(uploading.session.recording_id)
    await uploading.upload()
    s3.start()
    assert len(s3.objects()) > 4
    again = Uploader(tmp_path / "recordings", NODE, s3.store(), Spool(1))
    await again.round()
    assert s3.objects() == {} and list((tmp_path / "recordings").iterdir()) == []
    with pytest.raises(NoObject):
        await s3.store().get("any")


async def test_what_is_deleted_is_not_fetched_again_while_the_store_still_has_it(
    writer: RecordedWriter, tmp_path: Path, s3: S3Server
) -> None:
    recordings_dir = tmp_path / "recordings"
    uploading = Uploading(writer, recordings_dir, s3)
    recording_id = uploading.session.recording_id
    uploading.publish(2)
    uploading.finish()
    await uploading.upload()
    shutil.rmtree(uploading.session.directory)
    async with origin(recordings_dir, s3, redirects=False) as client:
        assert (await client.get(f"/vod/{recording_id}/master.m3u8")).status == 200  # from the store
    uploading.uploader.remove(recording_id)
    shutil.rmtree(uploading.session.directory)
    assert f"shows/{recording_id}/{NODE}.jsonl" in s3.objects()
    async with origin(recordings_dir, s3, redirects=False) as client:
        assert (await client.get(f"/vod/{recording_id}/master.m3u8")).status == 404
    await uploading.upload()
    assert s3.objects() == {} and list(recordings_dir.iterdir()) == []


@pytest.mark.parametrize("recorder_runs", [True, False])
async def test_a_fetch_that_is_on_its_way_while_the_recording_is_deleted_leaves_nothing(
    place: Place, s3: S3Server, monkeypatch: pytest.MonkeyPatch, recorder_runs: bool
) -> None:
    """On the node that has recorded it, or on one that only plays."""
    monkeypatch.setattr(deleted_copies, "_EVERY_S", 0.05)
    place.settings = settings_with(place, s3)
    stream, _, writer = await place.session()
    player = place if recorder_runs else place.beside("player")
    played_dir = player.settings.effective_recordings_dir
    fetched, deleted = asyncio.Event(), asyncio.Event()
    lay = fetching._lay

    async def fetch(store: ObjectStore, directory: Path) -> bool:
        found = await fetching._journals(store, directory.name)
        fetched.set()
        await deleted.wait()
        return lay(found, directory)

    async with place.recorder():
        writer.segments(2)
        writer.publication.end()
        entry = await place.wait_for(stream, RecordingState.READY, 4.0)

        async def uploaded() -> bool:
            return bool(list(place.directory(stream).glob("*.complete")))

        await until(uploaded)
        if recorder_runs:
            shutil.rmtree(place.directory(stream))  # what it had is lost
        left_by_a_crash = played_dir / f".{entry.recording_id}-abc"
        left_by_a_crash.mkdir(parents=True)
        os.utime(left_by_a_crash, (0, 0))
        copies = DeletedCopies(place.recordings, played_dir, NODE if recorder_runs else "node_b")
        copies.start()
        monkeypatch.setattr(library, "fetch_recording", fetch)
        async with origin(played_dir, s3, redirects=False) as client:
            asked = asyncio.create_task(client.get(f"/vod/{entry.recording_id}/master.m3u8"))
            await fetched.wait()
            await place.recordings.delete(entry.recording_id, stream_id=stream.stream_id, env=ENV, reason="api")

            async def gone() -> bool:
                return s3.objects() == {} and not place.directory(stream).exists()

            await until(gone)
            deleted.set()
            await asked

            async def nothing_left() -> bool:
                return list(played_dir.iterdir()) == []

            await until(nothing_left)
            assert (await client.get(f"/vod/{entry.recording_id}/master.m3u8")).status == 404
        await copies.close()


@pytest.mark.parametrize("url", ["s3://shows", "s3://shows/live"])
async def test_without_an_endpoint_the_store_is_amazons(url: str) -> None:
    store = ObjectStore(url, region="eu-west-1", access_key=ACCESS_KEY, secret_key=SECRET_KEY)
    signed = await store.signed_url("a.mp4")
    prefix = url.removeprefix("s3://shows").lstrip("/")
    place = f"{prefix}/a.mp4" if prefix else "a.mp4"
    assert signed.startswith(f"https://shows.s3.eu-west-1.amazonaws.com/{place}?")
    assert signed.startswith(store.origin)

"""A real stream recorded to a real S3 server: the store is away, the recorder killed, and all of it plays from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clips import synthetic_clip
from tests.e2e.inside import role
from tests.e2e.node import pushing, running_node, wait_until
from tests.e2e.test_recording import media, packets_of, playlists, recordings, wait_for_recording
from tests.s3_server import ACCESS_KEY, SECRET_KEY, s3_server

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_show_is_in_the_store_whatever_fails_meanwhile(tmp_path: Path, clips: Path) -> None:
    clip = synthetic_clip(clips / "b-frames.flv", size="640x360", seconds=20, video=("-bf", "2"))
    with s3_server(tmp_path / "s3") as s3:
        async with running_node(tmp_path / "node", **s3.environment, ANTLIVE_RECORDING_RESERVE_MB="1") as node:
            stream = await node.create(recording=True, quality="passthrough", reconnectWindowSeconds=0)
            stream_id = stream["streamId"]

            async def uploaded() -> bool:
                return any(name.endswith(".m4s") for name in s3.objects())

            async with pushing(clip, stream["ingest"]["rtmpFullUrl"]):
                recording = await wait_for_recording(node, stream_id, "recording", duration_s=1)
                await wait_until(uploaded, "the first upload")
                s3.stop()
                await wait_for_recording(node, stream_id, "recording", duration_s=recording["duration"] + 3)
                role(node, "recorder").kill()
                poster_url = stream["playback"]["hlsUrl"].replace("master.m3u8", "poster.jpg")
                assert (await node.bytes(poster_url)).startswith(b"\xff\xd8"), "the show goes on, and has its poster"
            await wait_for_recording(node, stream_id, "ready")
            s3.start()
            directory = node.data_dir / "recordings" / recording["id"]

            async def all_uploaded() -> bool:
                return bool(list(directory.glob("*.complete"))) and not list(directory.glob("*/*.m4s"))

            await wait_until(all_uploaded, "the upload of all that is left")

            async def nothing_pends() -> bool:
                return not {"problem", "pending"} & (await recordings(node, stream_id))[0].keys()

            await wait_until(nothing_pends, "word of that")
            ready = await wait_for_recording(node, stream_id, "ready")
            assert ready["gaps"] == [] and ready["thumbnails"].endswith("thumbnails.vtt")
            assert "#xywh=" in await node.text(ready["thumbnails"])

            data = await node.bytes(ready["mp4Url"])
            for name, (_, playlist) in (await playlists(node, ready)).items():
                kind = "audio" if name == "audio" else "video"
                published = packets_of(await media(node, playlist), kind)
                assert [each[0] for each in packets_of(data, kind)] == [each[0] for each in published] != []

            api = f"{node.api_url.removesuffix('/live-streams')}/recordings/{ready['id']}"
            async with node.http.delete(api, headers=node.auth) as response:
                assert response.status == 204

            async def empty() -> bool:
                return s3.objects() == {} and not directory.exists()

            await wait_until(empty, "the bucket to be empty")
            assert SECRET_KEY not in node.log_text() and ACCESS_KEY not in node.log_text()

"""`/v1/recordings`, and the recordings of a stream."""

from __future__ import annotations

from typing import Any

from streams.recording_model import RecordingProgress, RecordingState
from streams.recordings import RecordingStore
from streams.state import Event
from streams.store import StreamStore
from tests.control.helpers import KEY_BLUE, Api
from tests.streams.helpers import begin, session_of

VIDEO = {
    "name": "720p", "kind": "video", "codecs": "avc1.64001f", "bandwidth": 3_000_000,
    "width": 1280, "height": 720, "frameRate": 30.0,
}  # fmt: skip
AUDIO = {"name": "audio", "kind": "audio", "codecs": "mp4a.40.2", "bandwidth": 140_000}
GAP = {"startedAt": "2023-11-14T22:13:24.000Z", "duration": 2.0, "reason": "not_recorded"}
IDS = [f"rec_01k0000000000000000000000{number}" for number in range(3)]


async def recorded(
    store: StreamStore, stream_id: str, recording_id: str, state: RecordingState, session_id: str = ""
) -> None:
    progress = RecordingProgress(
        state=state,
        started_ms=None if state is RecordingState.FAILED else 1_700_000_000_123,
        duration_s=61.5,
        size_bytes=123_456,
        renditions=(VIDEO, AUDIO),
        gaps=(GAP,),
        has_thumbnails=state is RecordingState.READY,
        reason="nothing_stored" if state is RecordingState.FAILED else "",
    )
    await RecordingStore(store.redis, store.keys).put(
        recording_id, stream_id=stream_id, session_id=session_id or "se_" + recording_id[4:], progress=progress
    )


async def test_a_recording_is_listed_shown_and_deleted(api: Api, store: StreamStore) -> None:
    stream_id = (await api.create(name="recorded", recording=True)).body["streamId"]
    assert "recordings" not in (await api.get(f"/v1/live-streams/{stream_id}")).body
    await recorded(store, stream_id, IDS[0], RecordingState.FAILED)
    await recorded(store, stream_id, IDS[1], RecordingState.READY)
    stream = await store.get("red", stream_id)
    assert stream is not None
    claim = await begin(store, stream)
    session_id = session_of(claim.stream)
    await recorded(store, stream_id, IDS[2], RecordingState.RECORDING, session_id)
    base = f"http://ingest.example:8080/vod/{IDS[1]}"
    ready: dict[str, Any] = {
        "id": IDS[1],
        "streamId": stream_id,
        "sessionId": "se_" + IDS[1][4:],
        "state": "ready",
        "startedAt": "2023-11-14T22:13:20Z",
        "duration": 61.5,
        "size": 123_456,
        "renditions": [VIDEO, AUDIO],
        "gaps": [GAP],
        "hlsUrl": f"{base}/master.m3u8",
        "mp4Url": f"{base}/download.mp4",
        "thumbnails": f"{base}/thumbnails.vtt",
    }
    assert (await api.get(f"/v1/recordings/{IDS[1]}")).body == ready
    for path in ("/v1/recordings", f"/v1/live-streams/{stream_id}/recordings"):
        page = (await api.get(path, params={"limit": "2"})).body
        assert [each["id"] for each in page["recordings"]] == [IDS[2], IDS[1]] and page["total"] == 3
        rest = (await api.get(path, params={"limit": "2", "cursor": page["nextCursor"]})).body
        assert [each["id"] for each in rest["recordings"]] == [IDS[0]] and "nextCursor" not in rest
    failed, growing = rest["recordings"][0], page["recordings"][0]
    assert failed["reason"] == "nothing_stored" and {"hlsUrl", "mp4Url", "startedAt"}.isdisjoint(failed)
    assert "hlsUrl" in growing and "mp4Url" not in growing
    shown = (await api.get(f"/v1/live-streams/{stream_id}")).body["recordings"]
    assert [each["id"] for each in shown] == IDS[::-1]
    assert set(shown[1]) == {"id", "state", "startedAt", "duration", "hlsUrl"}

    busy = await api.request("DELETE", f"/v1/recordings/{IDS[2]}")
    assert (busy.status, busy.error["code"]) == (409, "recording_busy")
    await store.apply(stream_id, Event.WINDOW_OVER, session_id=session_id, epoch=claim.epoch)
    assert (await api.request("DELETE", f"/v1/recordings/{IDS[2]}")).status == 204, "whatever its recorder still does"
    assert (await api.request("DELETE", f"/v1/recordings/{IDS[1]}")).status == 204
    assert (await api.request("DELETE", f"/v1/recordings/{IDS[1]}")).status == 404
    assert (await api.get(f"/v1/recordings/{IDS[1]}")).status == 404


async def test_recordings_of_others_are_not_there(api: Api, store: StreamStore) -> None:
    stream_id = (await api.create(name="recorded", recording=True)).body["streamId"]
    await recorded(store, stream_id, IDS[0], RecordingState.READY)
    for method, path in (
        ("GET", f"/v1/recordings/{IDS[0]}"),
        ("DELETE", f"/v1/recordings/{IDS[0]}"),
        ("GET", f"/v1/live-streams/{stream_id}/recordings"),
    ):
        reply = await api.request(method, path, key=KEY_BLUE)
        assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert (await api.get("/v1/recordings", key=KEY_BLUE)).body == {"recordings": [], "total": 0}
    assert (await api.get("/v1/recordings/rec_nonsense")).status == 404
    assert (await api.get(f"/v1/recordings/{IDS[0]}")).status == 200

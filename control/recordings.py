"""`/v1/recordings` and the recordings of a stream: list, get, delete. Not in the published reference."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from control.context import ENVIRONMENT, RECORDINGS, STORE, URLS, store_deadline
from control.errors import ApiError, conflict, not_found
from control.live_streams import STREAM_ID
from control.recording_schemas import RecordingList, RecordingResource, RecordingsQuery, recording_resource
from control.responses import json_response, no_content
from control.routing import PathParameter, Routes
from control.validation import read_query
from streams.ids import is_recording_id, is_stream_id
from streams.recordings import RecordingBusy, RecordingNotFound, RecordingPage

RECORDING_ID: Final = PathParameter("recordingId", "Id of the recording.", "^rec_[0-7][0-9a-hjkmnp-tv-z]{25}$")

routes = Routes(
    "Recordings",
    "What streams with `recording: true` have published, one recording per session. Beyond the published reference.",
)


@routes.get("/recordings", summary="List recordings", query=RecordingsQuery, response=RecordingList)
async def list_recordings(request: web.Request) -> web.Response:
    """The recordings of your environment, newest first, those of deleted streams included."""
    query = read_query(request, RecordingsQuery)
    async with store_deadline():
        page = await request.config_dict[RECORDINGS].of_environment(
            request[ENVIRONMENT], limit=query.limit, below=query.below
        )
    return _list(request, page)


@routes.get(
    "/live-streams/{streamId}/recordings",
    summary="List the recordings of a stream",
    parameters=(STREAM_ID,),
    query=RecordingsQuery,
    response=RecordingList,
)
async def list_of_stream(request: web.Request) -> web.Response:
    """The recordings of one stream, newest first. A stream that is recorded has one for each session."""
    query = read_query(request, RecordingsQuery)
    stream_id = request.match_info["streamId"]
    async with store_deadline():
        known = is_stream_id(stream_id) and await request.config_dict[STORE].get(request[ENVIRONMENT], stream_id)
        if not known:
            raise not_found("there is no such live stream")
        page = await request.config_dict[RECORDINGS].of_stream(stream_id, limit=query.limit, below=query.below)
    return _list(request, page)


@routes.get(
    "/recordings/{recordingId}", summary="Get a recording", parameters=(RECORDING_ID,), response=RecordingResource
)
async def get(request: web.Request) -> web.Response:
    """How far a recording has come, where it plays, and what is missing in it."""
    recording_id = _recording_id(request)
    try:
        async with store_deadline():
            entry = await request.config_dict[RECORDINGS].get(request[ENVIRONMENT], recording_id)
    except RecordingNotFound:
        raise _not_found() from None
    return json_response(recording_resource(entry, request.config_dict[URLS]))


@routes.delete(
    "/recordings/{recordingId}",
    summary="Delete a recording",
    parameters=(RECORDING_ID,),
    response=None,
    status=204,
    errors=(409,),
)
async def delete(request: web.Request) -> web.Response:
    """Deletes a recording and, within seconds, all of its files. Not while it grows: end the session first."""
    recording_id = _recording_id(request)
    recordings = request.config_dict[RECORDINGS]
    env = request[ENVIRONMENT]
    try:
        async with store_deadline():
            entry = await recordings.get(env, recording_id)
            await recordings.delete(recording_id, stream_id=entry.stream_id, env=env, reason="api")
    except RecordingNotFound:
        raise _not_found() from None
    except RecordingBusy:
        message = "the recording still grows; it can't be deleted until its session has ended"
        raise conflict("recording_busy", message) from None
    return no_content()


def _list(request: web.Request, page: RecordingPage) -> web.Response:
    urls = request.config_dict[URLS]
    shown = tuple(recording_resource(entry, urls) for entry in page.recordings)
    next_cursor = str(page.recordings[-1].position) if page.has_more and page.recordings else None
    return json_response(RecordingList(recordings=shown, total=page.total, next_cursor=next_cursor))


def _recording_id(request: web.Request) -> str:
    recording_id = request.match_info["recordingId"]
    if not is_recording_id(recording_id):
        raise _not_found()
    return recording_id


def _not_found() -> ApiError:
    return not_found("there is no such recording")

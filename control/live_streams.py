"""`/v1/live-streams`: create, list, get, change, rotate the key, end, delete."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from control.context import ENVIRONMENT, RECONNECT_WINDOW_S, RECORDINGS, STORE, URLS, store_deadline
from control.errors import ApiError, conflict, not_found
from control.idempotency import REPLAYED_HEADER, REQUEST_HEADER, RESPONSE_HEADER, idempotent_request
from control.recording_schemas import RECORDINGS_SHOWN, StreamWithRecordings, recording_summary
from control.resources import created_stream, rotated_key, stream_resource
from control.responses import json_response, json_text, no_content
from control.routing import PathParameter, Routes
from control.schemas import CreatedStream, CreateStream, ListQuery, RotatedKey, StreamList, StreamResource, UpdateStream
from control.validation import read_body, read_query
from streams.changes import new_stream
from streams.errors import StreamBusy, StreamNotFound
from streams.ids import is_stream_id
from streams.state import SESSION_STATES, IllegalTransition, State

STREAM_ID: Final = PathParameter("streamId", "Id of the stream.", "^ls_[0-7][0-9a-hjkmnp-tv-z]{25}$")

routes = Routes("Live streams", "What encoders publish to and viewers watch.")


@routes.post(
    "/live-streams",
    summary="Create a stream",
    request=CreateStream,
    response=CreatedStream,
    status=201,
    response_description="The new stream with its stream key, which is shown this once.",
    request_headers=(REQUEST_HEADER,),
    response_headers=(RESPONSE_HEADER,),
    errors=(409,),
)
async def create(request: web.Request) -> web.Response:
    """Creates an idle stream. The stream key is only returned here and on key rotation: store it at once."""
    body = await read_body(request, CreateStream)
    named = idempotent_request(request, body)
    stream, key = new_stream(
        env=request[ENVIRONMENT],
        name=body.name,
        quality=body.quality,
        low_latency=body.low_latency,
        recording=body.recording,
        reconnect_window_s=_window_s(request, body),
    )
    resource = created_stream(stream, key, request.config_dict[URLS])
    answer = resource.model_dump_json(by_alias=True, exclude_none=True)
    try:
        async with store_deadline():
            kept = await request.config_dict[STORE].changes.add(stream, None if named is None else named.keep(answer))
    except StreamNotFound:
        message = "the stream that this idempotency key created was deleted since; use a new one"
        raise conflict("idempotency_key_reused", message) from None
    if named is None or kept is None:
        return json_text(answer, 201)
    kept_answer = named.open(kept)
    return json_text(kept_answer, 201, {} if kept_answer == answer else {REPLAYED_HEADER: "true"})


@routes.get("/live-streams", summary="List streams", query=ListQuery, response=StreamList)
async def list_streams(request: web.Request) -> web.Response:
    """The streams of your environment, newest first, a page at a time. Follow `nextCursor` to see each stream exactly
    once even while others are created or deleted; `offset` counts from the newest, or from the cursor."""
    query = read_query(request, ListQuery)
    async with store_deadline():
        page = await request.config_dict[STORE].list(
            request[ENVIRONMENT],
            limit=query.limit,
            offset=query.offset,
            below=None if query.cursor is None else int(query.cursor),
            state=None if query.state is None else State(query.state),
        )
    urls = request.config_dict[URLS]
    streams = tuple(stream_resource(stream, urls) for stream in page.streams)
    next_cursor = str(page.streams[-1].position) if page.has_more and page.streams else None
    return json_response(StreamList(streams=streams, total=page.total, next_cursor=next_cursor))


@routes.get("/live-streams/{streamId}", summary="Get a stream", parameters=(STREAM_ID,), response=StreamWithRecordings)
async def get(request: web.Request) -> web.Response:
    """The current state of a stream, with its ingest health while an encoder is connected, the number of its viewers
    while it is live, and its newest recordings. The stream key is not returned."""
    stream_id = _stream_id(request)
    async with store_deadline():
        store = request.config_dict[STORE]
        stream = await store.get(request[ENVIRONMENT], stream_id)
        if stream is None:
            raise _not_found()
        health = await store.health(stream_id) if stream.state in SESSION_STATES else None
        viewers = await store.viewers.of(stream.edge_id) if stream.state is State.LIVE else None
        page = await request.config_dict[RECORDINGS].of_stream(stream_id, limit=RECORDINGS_SHOWN)
    urls = request.config_dict[URLS]
    shown = stream_resource(stream, urls, health, viewers)
    recordings = tuple(recording_summary(entry, urls) for entry in page.recordings) or None
    fields = {name: getattr(shown, name) for name in type(shown).model_fields}
    return json_response(StreamWithRecordings(**fields, recordings=recordings))


@routes.patch(
    "/live-streams/{streamId}",
    summary="Change a stream",
    parameters=(STREAM_ID,),
    request=UpdateStream,
    response=StreamResource,
    errors=(409,),
)
async def update(request: web.Request) -> web.Response:
    """Sets the given fields and leaves the others. Not while the stream is connecting or live."""
    stream_id = _stream_id(request)
    body = await read_body(request, UpdateStream)
    fields = body.model_dump(exclude_unset=True)
    if "reconnect_window_seconds" in fields:
        fields["reconnect_window_s"] = fields.pop("reconnect_window_seconds")
    if not fields:
        known = ", ".join(field.alias or name for name, field in UpdateStream.model_fields.items())
        raise ApiError(400, "nothing_to_change", f"give at least one of {known}")
    try:
        async with store_deadline():
            stream = await request.config_dict[STORE].changes.update(request[ENVIRONMENT], stream_id, fields)
    except StreamNotFound:
        raise _not_found() from None
    except StreamBusy as error:
        raise _busy("changed", error.state) from None
    return json_response(stream_resource(stream, request.config_dict[URLS]))


@routes.post(
    "/live-streams/{streamId}/rotate-key",
    summary="Rotate the stream key",
    parameters=(STREAM_ID,),
    response=RotatedKey,
    response_description="The new stream key and full URLs, which are shown this once.",
    errors=(409,),
)
async def rotate_key(request: web.Request) -> web.Response:
    """Generates a new stream key and invalidates the previous one at once. Not while the stream is connecting or live:
    end the session first. A connection that still holds the previous key is cut."""
    stream_id = _stream_id(request)
    try:
        async with store_deadline():
            _, key = await request.config_dict[STORE].changes.rotate_key(request[ENVIRONMENT], stream_id)
    except StreamNotFound:
        raise _not_found() from None
    except StreamBusy as error:
        raise _busy("given a new key", error.state) from None
    return json_response(rotated_key(key, request.config_dict[URLS]))


@routes.post(
    "/live-streams/{streamId}/end",
    summary="End the session",
    parameters=(STREAM_ID,),
    response=StreamResource,
    response_description="The stream, ended.",
    errors=(409,),
)
async def end(request: web.Request) -> web.Response:
    """Ends the running session now: the encoder is cut off and viewers see the end. The stream key stays valid, so an
    encoder that connects again begins a new session; rotate the key to keep it out. Only while connecting or live."""
    stream_id = _stream_id(request)
    try:
        async with store_deadline():
            stream = await request.config_dict[STORE].changes.end_session(request[ENVIRONMENT], stream_id)
    except StreamNotFound:
        raise _not_found() from None
    except IllegalTransition as error:
        message = f"the stream is {error.state.value}: it has no session that could be ended"
        raise conflict("no_session", message) from None
    return json_response(stream_resource(stream, request.config_dict[URLS]))


@routes.delete(
    "/live-streams/{streamId}",
    summary="Delete a stream",
    parameters=(STREAM_ID,),
    response=None,
    status=204,
    errors=(409,),
)
async def delete(request: web.Request) -> web.Response:
    """Deletes a stream for good. Not while it is connecting or live."""
    stream_id = _stream_id(request)
    try:
        async with store_deadline():
            await request.config_dict[STORE].changes.delete(request[ENVIRONMENT], stream_id)
    except StreamNotFound:
        raise _not_found() from None
    except StreamBusy as error:
        raise _busy("deleted", error.state) from None
    return no_content()


def _stream_id(request: web.Request) -> str:
    stream_id = request.match_info["streamId"]
    if not is_stream_id(stream_id):
        raise _not_found()
    return stream_id


def _not_found() -> ApiError:
    return not_found("there is no such live stream")


def _busy(what: str, state: State) -> ApiError:
    message = f"the stream is {state.value}; it can't be {what} until its session has ended"
    return conflict("stream_busy", message)


def _window_s(request: web.Request, body: CreateStream) -> int:
    given = body.reconnect_window_seconds
    return request.config_dict[RECONNECT_WINDOW_S] if given is None else given

"""`/v1/live-streams`: create, list, get."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel

from control.context import ENVIRONMENT, RECONNECT_WINDOW_S, STORE, URLS, store_deadline
from control.errors import not_found
from control.resources import created_stream, stream_resource
from control.schemas import CreateStream, ListQuery, StreamList
from control.validation import read_body, read_query
from streams.ids import is_stream_id

routes = web.RouteTableDef()


@routes.post("/live-streams")
async def create(request: web.Request) -> web.Response:
    """Create a stream: 201 with the stream object and, this once, its key."""
    body = await read_body(request, CreateStream)
    async with store_deadline():
        stream, key = await request.config_dict[STORE].create(
            env=request[ENVIRONMENT],
            name=body.name,
            quality=body.quality,
            low_latency=body.low_latency,
            recording=body.recording,
            reconnect_window_s=request.config_dict[RECONNECT_WINDOW_S],
        )
    return _json(created_stream(stream, key, request.config_dict[URLS]), status=201)


@routes.get("/live-streams")
async def list_streams(request: web.Request) -> web.Response:
    """The streams of the caller's environment, newest first, a page at a time."""
    query = read_query(request, ListQuery)
    async with store_deadline():
        streams, total = await request.config_dict[STORE].list(request[ENVIRONMENT], query.limit, query.offset)
    urls = request.config_dict[URLS]
    return _json(StreamList(streams=tuple(stream_resource(stream, urls) for stream in streams), total=total))


@routes.get("/live-streams/{stream_id}")
async def get(request: web.Request) -> web.Response:
    """One stream. Raises `ApiError` 404 when the caller's environment has no such stream."""
    stream_id = request.match_info["stream_id"]
    stream = None
    if is_stream_id(stream_id):
        async with store_deadline():
            stream = await request.config_dict[STORE].get(request[ENVIRONMENT], stream_id)
    if stream is None:
        raise not_found("there is no such live stream")
    return _json(stream_resource(stream, request.config_dict[URLS]))


def _json(body: BaseModel, status: int = 200) -> web.Response:
    text = body.model_dump_json(by_alias=True, exclude_none=True)
    # A response may hold a stream key or a state that changes: nobody on the way keeps it.
    headers = {"Cache-Control": "no-store"}
    return web.Response(status=status, text=text, content_type="application/json", headers=headers)

"""`/vod/{recordingId}/download.mp4`: streamed while it is put together, with ranges."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from aiohttp import hdrs, web

from packager.anywhere import error
from packager.ranges import NotSatisfiable, range_within
from packager.recordings.library import HeldRecording
from packager.recordings.media import MEDIA_ERRORS, RecordedMedia
from packager.recordings.recording import Recording

if TYPE_CHECKING:
    from packager.recordings.mp4 import Mp4

_BLOCK_BYTES: Final = 2 << 20
_KEPT_MAX: Final = 4


class Downloads:
    """Headers of the newest downloads: who seeks in one asks for many ranges of it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], asyncio.Task[Mp4]] = OrderedDict()

    async def mp4(self, recording_id: str, held: HeldRecording, media: RecordedMedia) -> Mp4:
        """The MP4 of a recording. Raises `MEDIA_ERRORS`."""
        key = recording_id, held.reader.version
        task = self._kept.pop(key, None)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.create_task(asyncio.to_thread(_put_together, held.recording, media))
        self._kept[key] = task
        while len(self._kept) > _KEPT_MAX:
            self._kept.popitem(last=False)
        return await asyncio.shield(task)


def _put_together(recording: Recording, media: RecordedMedia) -> Mp4:
    # Loads NumPy, which a node that nobody downloads from does without.
    from packager.recordings.mp4 import progressive_mp4

    return progressive_mp4(recording, media)


async def send_mp4(request: web.Request, name: str, mp4: Mp4) -> web.StreamResponse:
    """The answer: all of it, or the range that is asked for. A file that is gone meanwhile closes the connection."""
    etag = f'"{name}-{mp4.size_bytes}"'
    headers = {
        hdrs.CONTENT_TYPE: "video/mp4",
        hdrs.ACCEPT_RANGES: "bytes",
        hdrs.ETAG: etag,
        hdrs.CACHE_CONTROL: "public, max-age=60",
        hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}.mp4"',
    }
    if any(known.value in (etag.strip('"'), "*") for known in request.if_none_match or ()):
        return web.Response(status=304, headers={name: headers[name] for name in (hdrs.ETAG, hdrs.CACHE_CONTROL)})
    status, start, end = 200, 0, mp4.size_bytes
    if request.headers.get(hdrs.IF_RANGE, etag) == etag:
        try:
            wanted = range_within(request, mp4.size_bytes)
        except NotSatisfiable:
            return web.Response(status=416, headers={hdrs.CONTENT_RANGE: f"bytes */{mp4.size_bytes}"})
        if wanted is not None:
            start, end = wanted
            status, headers[hdrs.CONTENT_RANGE] = 206, f"bytes {start}-{end - 1}/{mp4.size_bytes}"
    answer = web.StreamResponse(status=status, headers=headers)
    answer.content_length = end - start
    await answer.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return answer
    try:
        async for data in _blocks(mp4, start, end):
            await answer.write(data)
    except MEDIA_ERRORS:
        if request.transport is not None:
            request.transport.abort()
        return answer
    await answer.write_eof()
    return answer


async def _blocks(mp4: Mp4, start: int, end: int) -> AsyncIterator[bytes]:
    """The bytes from start to end; the next block is read while one is sent."""
    reading: asyncio.Future[bytes] | None = None
    try:
        while start < end:
            reading = reading or asyncio.ensure_future(_block(mp4, start, end))
            data, reading = await reading, None
            start += len(data)
            if start < end:
                reading = asyncio.ensure_future(_block(mp4, start, end))
            yield data
    finally:
        if reading is not None:
            reading.cancel()


async def _block(mp4: Mp4, start: int, end: int) -> bytes:
    return await asyncio.to_thread(mp4.read, start, min(_BLOCK_BYTES, end - start))


async def download(
    request: web.Request, downloads: Downloads, held: HeldRecording, media: RecordedMedia
) -> web.StreamResponse:
    """Answer a request for the MP4 of a recording. Raises `BadFile`, `StoreError`."""
    recording_id = request.match_info["recording_id"]
    if not held.recording.is_over:
        return error(404, "the recording still grows; its MP4 is there once it is closed")
    try:
        mp4 = await downloads.mp4(recording_id, held, media)
    except FileNotFoundError:
        return error(404, "no such recording")
    return await send_mp4(request, recording_id, mp4)

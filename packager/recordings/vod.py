"""Recordings over HTTP: `/vod/{recordingId}/master.m3u8` and all below it."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from aiohttp import hdrs, web

from packager.answers import PLAYLIST_TYPE
from packager.anywhere import error, preflight
from packager.media_files import media_file
from packager.plain_requests import GZIP
from packager.playlists import MEDIA_PLAYLIST
from packager.publication import THUMBNAILS
from packager.recordings.download import Downloads, download
from packager.recordings.fragments import BadFile
from packager.recordings.from_store import from_store
from packager.recordings.library import HeldRecording, Library, NoRecording
from packager.recordings.object_store import ObjectStore, StoreError
from packager.recordings.playlists import recording_multivariant, recording_playlist
from packager.recordings.recording import Recording
from packager.recordings.storyboard import storyboard

log = structlog.get_logger()

_RECORDING: Final = r"{recording_id:rec_[0-9a-z]{26}}"
_RENDITION: Final = r"{rendition:[0-9a-z]{1,16}}"
_FILE: Final = r"{file:init-[0-9]{1,9}\.mp4|[0-9]{1,12}\.m4s}"
_SHEET: Final = r"{file:sheet-[0-9]{1,12}\.jpg}"
_GROWS: Final = "public, max-age=1"
_CLOSED: Final = "public, max-age=60"
_MEDIA: Final = "public, max-age=86400, immutable"
"""What is deleted is gone from caches a day later."""

DOWNLOADS: Final = web.AppKey("downloads", Downloads)
LIBRARY: Final = web.AppKey("library", Library)
REDIRECTS: Final = web.AppKey("redirects", bool)


def setup_vod(
    app: web.Application, recordings_dir: Path, store: ObjectStore | None = None, *, redirects: bool = True
) -> None:
    """Serve `/vod/…` from this directory, and from a store: by redirects to it, or through this process."""
    app[LIBRARY] = Library(recordings_dir, store)
    app[REDIRECTS] = redirects
    app[DOWNLOADS] = Downloads()
    base = f"/vod/{_RECORDING}"
    app.router.add_get(f"{base}/master.m3u8", _multivariant)
    app.router.add_get(f"{base}/{_RENDITION}/{MEDIA_PLAYLIST}", _media_playlist)
    app.router.add_get(f"{base}/{_RENDITION}/{_FILE}", _media_file)
    app.router.add_get(f"{base}/download.mp4", _download)
    app.router.add_get(f"{base}/thumbnails.vtt", _storyboard)
    app.router.add_get(f"{base}/{THUMBNAILS}/{_SHEET}", _sheet)
    app.router.add_route(hdrs.METH_OPTIONS, "/vod/{path:.*}", preflight)
    app.router.add_get("/vod/{path:.*}", _unknown)


async def has_recording(library: Library, recording_id: str) -> bool:
    """Whether there is such a recording, as far as can be known now."""
    try:
        await library.find(recording_id)
    except NoRecording:
        return False
    except (StoreError, OSError, ValueError) as problem:
        log.error("recording_not_readable", recording_id=recording_id, error=str(problem))
    return True


async def held_recording(request: web.Request) -> HeldRecording | None:
    """The recording that is asked for; None when there is none, or what is there is not readable.

    Raises `web.HTTPServiceUnavailable` when only the store knows and does not answer, or the disk does not.
    """
    recording_id = request.match_info["recording_id"]
    try:
        held = await request.app[LIBRARY].find(recording_id)
        return held if held.recording.has_media else None
    except NoRecording:
        return None
    except (StoreError, OSError) as problem:
        log.error("recording_not_readable", recording_id=recording_id, error=str(problem))
        raise web.HTTPServiceUnavailable(text="the recording can't be read at the moment\n") from None
    except ValueError as problem:
        log.error("recording_not_readable", recording_id=recording_id, error=str(problem))
        return None


async def _multivariant(request: web.Request) -> web.Response:
    held = await held_recording(request)
    if held is None:
        return _no_recording()
    return _playlist(request, held, "", recording_multivariant)


async def _media_playlist(request: web.Request) -> web.Response:
    name = request.match_info["rendition"]
    held = await held_recording(request)
    if held is None:
        return _no_recording()
    if name not in held.recording.renditions:
        return error(404, "no such rendition")
    return _playlist(request, held, name, lambda recording: recording_playlist(recording, name))


async def _media_file(request: web.Request) -> web.StreamResponse:
    info = request.match_info
    kind = "audio/mp4" if info["rendition"] == "audio" else "video/mp4"
    return await _file(request, info["rendition"], _MEDIA, kind)


async def _file(request: web.Request, folder: str, cache_control: str, kind: str) -> web.StreamResponse:
    """A file of a recording from here, or else from the store."""
    library = request.app[LIBRARY]
    recording_id, file = request.match_info["recording_id"], request.match_info["file"]
    headers: dict[str, str] = {hdrs.CACHE_CONTROL: cache_control, hdrs.CONTENT_TYPE: kind}
    answer = media_file(request, library.path(recording_id, folder, file), headers)
    if answer is not None:
        return answer
    if library.store is None:
        return error(404, "no such file")
    return await from_store(
        request, library.store, f"{recording_id}/{folder}/{file}", headers, redirects=request.app[REDIRECTS]
    )


async def _download(request: web.Request) -> web.StreamResponse:
    held = await held_recording(request)
    if held is None:
        return _no_recording()
    try:
        return await download(request, request.app[DOWNLOADS], held, request.app[LIBRARY].media(held))
    except StoreError as problem:
        log.error("recording_not_readable", recording_id=request.match_info["recording_id"], error=str(problem))
        return error(502, "the store of recordings does not answer")
    except BadFile as problem:
        log.error("recording_not_readable", recording_id=request.match_info["recording_id"], error=str(problem))
        return error(500, "the recording is damaged")


async def _storyboard(request: web.Request) -> web.Response:
    held = await held_recording(request)
    if held is None or not held.recording.thumbnails:
        return error(404, "no storyboard")
    return _text(request, held, "storyboard", storyboard, "text/vtt")


async def _sheet(request: web.Request) -> web.StreamResponse:
    # The newest sheet of a recording that grows is written anew with each thumbnail.
    return await _file(request, THUMBNAILS, _CLOSED, "image/jpeg")


async def _unknown(request: web.Request) -> web.Response:
    return error(404, "not found")


def _no_recording() -> web.Response:
    return error(404, "no such recording")


def _playlist(request: web.Request, held: HeldRecording, key: str, render: Callable[[Recording], str]) -> web.Response:
    return _text(request, held, key, render, PLAYLIST_TYPE)


def _text(
    request: web.Request, held: HeldRecording, key: str, render: Callable[[Recording], str], kind: str
) -> web.Response:
    headers = {
        hdrs.CACHE_CONTROL: _CLOSED if held.recording.is_over else _GROWS,
        hdrs.CONTENT_TYPE: kind,
        hdrs.VARY: "Accept-Encoding",
    }
    plain = held.made(key, lambda recording: render(recording).encode())
    if GZIP.search(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        gzipped = held.made(f"gzip {key}", lambda _: gzip.compress(plain, 1, mtime=0))
        return web.Response(body=gzipped, headers=headers)
    return web.Response(body=plain, headers=headers)

"""Small files are read at once, large ones and special requests go through aiohttp's file response."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from packager.media_files import MAX_IN_MEMORY_BYTES
from tests.packager.conftest import Origin
from tests.packager.helpers import Writer


@pytest.mark.parametrize("size_bytes", [0, 1, MAX_IN_MEMORY_BYTES, MAX_IN_MEMORY_BYTES + 1])
async def test_a_file_of_any_size_arrives_whole(tmp_path: Path, origin: Origin, size_bytes: int) -> None:
    writer = Writer(tmp_path)
    writer.segments(1)
    data = os.urandom(size_bytes)
    (writer.directory / "720p/0.m4s").write_bytes(data)
    response = await origin.get("720p/0.m4s", **{"Accept-Encoding": "gzip"})
    assert (response.status, await response.read()) == (200, data)
    assert response.headers["Content-Length"] == str(size_bytes)
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Content-Type"] == "video/mp4"
    # aiohttp's file response, which never holds a whole file, names an entity tag.
    assert ("ETag" in response.headers) == (size_bytes > MAX_IN_MEMORY_BYTES)


async def test_what_has_not_changed_is_not_sent_again(tmp_path: Path, origin: Origin) -> None:
    Writer(tmp_path).segments(1)
    ranged = await origin.get("720p/0.m4s", Range="bytes=0-0")
    again = await origin.get("720p/0.m4s", **{"If-None-Match": ranged.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")
    assert again.headers["Cache-Control"].endswith("immutable")

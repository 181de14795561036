"""Small files are read at once, large ones and special requests go through aiohttp's file response."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from packager.hot_media import HOT_S, LARGEST_FILE_BYTES, SMALL_FILE_BYTES
from tests.packager.conftest import Origin
from tests.packager.helpers import Writer


@pytest.mark.parametrize("size_bytes", [0, 1, LARGEST_FILE_BYTES, LARGEST_FILE_BYTES + 1])
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
    assert ("ETag" in response.headers) == (size_bytes > LARGEST_FILE_BYTES)


async def test_what_has_not_changed_is_not_sent_again(tmp_path: Path, origin: Origin) -> None:
    Writer(tmp_path).segments(1)
    ranged = await origin.get("720p/0.m4s", Range="bytes=0-0")
    again = await origin.get("720p/0.m4s", **{"If-None-Match": ranged.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")
    assert again.headers["Cache-Control"].endswith("immutable")


@pytest.mark.parametrize(("size_bytes", "in_memory"), [(SMALL_FILE_BYTES, True), (SMALL_FILE_BYTES + 1, False)])
async def test_media_that_few_fetch_come_bit_by_bit(
    tmp_path: Path, origin: Origin, size_bytes: int, in_memory: bool
) -> None:
    """Slow viewers of a long window cost no memory; an init segment is small and always asked for."""
    writer = Writer(tmp_path)
    writer.segments(1)
    path = writer.directory / "720p/0.m4s"
    path.write_bytes(bytes(size_bytes))
    os.utime(path, (time.time() - HOT_S - 1,) * 2)
    response = await origin.get("720p/0.m4s")
    assert (response.status, await response.read()) == (200, bytes(size_bytes))
    assert ("ETag" not in response.headers) == in_memory

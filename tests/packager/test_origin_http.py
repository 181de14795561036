"""Types, caching, compression, ranges, CORS, and paths that must lead nowhere."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from tests.packager.conftest import BASE, MASTER, Origin
from tests.packager.helpers import EDGE_ID, Writer

IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("path", "content_type", "cache_control"),
    [
        (MASTER, "application/vnd.apple.mpegurl", "public, max-age=1"),
        ("720p/media.m3u8", "application/vnd.apple.mpegurl", "public, max-age=1"),
        ("720p/media.m3u8?_HLS_msn=0", "application/vnd.apple.mpegurl", "public, max-age=2"),
        ("720p/init-0.mp4", "video/mp4", IMMUTABLE),
        ("720p/0.m4s", "video/mp4", IMMUTABLE),
        ("720p/1.0.m4s", "video/mp4", IMMUTABLE),
        ("audio/init-0.mp4", "audio/mp4", IMMUTABLE),
        ("audio/1.0.m4s", "audio/mp4", IMMUTABLE),
    ],
)
async def test_everything_has_its_type_its_age_and_cors(
    tmp_path: Path, origin: Origin, path: str, content_type: str, cache_control: str
) -> None:
    Writer(tmp_path).parts(6)
    response = await origin.get(path)
    assert response.status == 200
    assert response.headers["Content-Type"] == content_type
    assert response.headers["Cache-Control"] == cache_control
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    url = path if path.startswith("/") else f"{BASE}/{path}"
    async with origin.client.head(url, headers={"Accept-Encoding": "identity"}) as head:
        assert head.status == 200
        assert head.headers["Content-Length"] == response.headers["Content-Length"]
        assert head.headers["Content-Type"] == content_type
        assert await head.read() == b""


async def test_playlists_are_gzipped_for_those_who_accept_it(tmp_path: Path, origin: Origin) -> None:
    Writer(tmp_path).parts(6)
    for path in (MASTER, "720p/media.m3u8"):
        plain = await origin.get(path, **{"Accept-Encoding": "identity"})
        packed = await origin.get(path, **{"Accept-Encoding": "gzip, deflate, br"})
        refused = await origin.get(path, **{"Accept-Encoding": "gzip;q=0, identity"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in plain.headers and "Content-Encoding" not in refused.headers
        assert gzip.decompress(await packed.read()) == await plain.read() == await refused.read()
        assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [("bytes=0-2", 206, b"msn"), ("bytes=4-", 206, b"0 part 0;"), ("bytes=-2", 206, b"0;"), ("bytes=99-", 416, None)],
)
async def test_media_is_served_by_ranges(
    tmp_path: Path, origin: Origin, wanted: str, status: int, body: bytes | None
) -> None:
    Writer(tmp_path).parts(1)
    response = await origin.get("720p/0.0.m4s", Range=wanted)
    assert response.status == status
    if body is not None:
        assert await response.read() == body
    else:
        assert response.headers["Cache-Control"] == "public, max-age=1"


async def test_browsers_may_ask_first(tmp_path: Path, origin: Origin) -> None:
    async with origin.client.options(f"{BASE}/720p/0.m4s", headers={"Origin": "https://a.example"}) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "GET" in response.headers["Access-Control-Allow-Methods"]
        assert "Range" in response.headers["Access-Control-Allow-Headers"]
    Writer(tmp_path).parts(1)
    answer = await origin.get("720p/0.0.m4s")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Methods" not in answer.headers, "the answer to a question that was not asked"


async def test_nothing_is_written_through_the_origin(tmp_path: Path, origin: Origin) -> None:
    Writer(tmp_path).parts(1)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        async with origin.client.request(method, f"{BASE}/720p/0.0.m4s", data=b"x") as response:
            assert response.status == 405
            assert response.headers["Cache-Control"] == "public, max-age=1"


OTHER = "lse_" + "0" * 26
PATHS = {
    "unknown edge": f"/live/{OTHER}/master.m3u8",
    "unknown edge's session": f"{BASE}/720p/media.m3u8".replace(EDGE_ID, OTHER),
    "unknown session": f"/live/{EDGE_ID}/se_{'0' * 26}/720p/media.m3u8",
    "unknown session's segment": f"/live/{EDGE_ID}/se_{'0' * 26}/720p/0.m4s",
    "unknown rendition": f"{BASE}/1080p/media.m3u8",
    "unknown rendition's segment": f"{BASE}/1080p/0.m4s",
    "unknown segment": f"{BASE}/720p/77.m4s",
    "unknown init": f"{BASE}/720p/init-7.mp4",
    "journal": f"{BASE}/journal.jsonl",
    "journal from a rendition": f"{BASE}/720p/..%2fjournal.jsonl",
    "journal being compacted": f"{BASE}/journal.tmp",
    "current": f"/live/{EDGE_ID}/current",
    "current from a session": f"{BASE}/..%2fcurrent",
    "file being written": f"{BASE}/720p/.0.m4s",
    "other file": f"{BASE}/720p/secret.txt",
    "encoded dots": f"{BASE}/720p/%2e%2e/%2e%2e/{EDGE_ID}/current",
    "double encoding": f"{BASE}/720p/%252e%252e%252fjournal.jsonl",
    "dots as rendition": f"{BASE}/%2e%2e/0.m4s",
    "dots as session": f"/live/{EDGE_ID}/%2e%2e/720p/0.m4s",
    "two slashes": f"{BASE}//720p//0.0.m4s",
    "two slashes first": f"//live/{EDGE_ID}/current",
    "backslash": f"{BASE}/720p%5c0.0.m4s",
    "null byte": f"{BASE}/720p/0.0.m4s%00",
    "newline": f"{BASE}/720p/0.0.m4s%0a",
    "other digits": f"{BASE}/720p/%D9%A0.0.m4s",
    "directory": f"{BASE}/720p/",
    "upper case": MASTER.replace(EDGE_ID, EDGE_ID.upper()),
}


@pytest.mark.parametrize("case", PATHS)
async def test_a_path_that_leads_nowhere_is_404_and_not_cached_for_long(
    tmp_path: Path, origin: Origin, case: str
) -> None:
    writer = Writer(tmp_path)
    writer.parts(6)
    for name in ("720p/.0.m4s", "720p/secret.txt", "journal.tmp"):
        (writer.directory / name).write_text("secret")
    # Written as it stands: a client's own normalizing of the path must not hide what a server would do.
    host, port = origin.client.server.host, origin.client.server.port
    status, headers, body = await raw_get(host, port, PATHS[case])
    assert status == 404
    assert b"secret" not in body and b"se_" not in body and b"msn" not in body
    if PATHS[case].startswith("/live/"):
        assert b"Cache-Control: public, max-age=1\r\n" in headers
        assert b"Access-Control-Allow-Origin: *\r\n" in headers


async def raw_get(host: str, port: int | None, path: str) -> tuple[int, bytes, bytes]:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
    data = await reader.read()
    writer.close()
    headers, _, body = data.partition(b"\r\n\r\n")
    return int(headers.split()[1]), headers + b"\r\n", body


async def test_the_multivariant_playlist_leads_to_every_playlist_and_file(tmp_path: Path, origin: Origin) -> None:
    Writer(tmp_path).parts(6)
    master = (await (await origin.get(MASTER)).read()).decode()
    for name in ("720p", "audio"):
        uri = f"{BASE}/{name}/media.m3u8"
        assert uri.removeprefix(f"/live/{EDGE_ID}/") in master
        playlist = (await (await origin.get(uri)).read()).decode()
        for file in ("init-0.mp4", "0.m4s", "1.1.m4s"):
            assert file in playlist
            assert (await origin.get(f"{BASE}/{name}/{file}")).status == 200


async def test_a_part_is_there_for_as_long_as_its_segment_is_listed(tmp_path: Path, origin: Origin) -> None:
    """Its own file is gone before: players that seek back remember parts (Shaka Player 5.2)."""
    writer = Writer(tmp_path, window_s=60)
    writer.segments(25)
    for name in ("720p", "audio"):
        for part in range(4):
            assert not (writer.directory / name / f"3.{part}.m4s").exists()
            response = await origin.get(f"{name}/3.{part}.m4s")
            assert (response.status, await response.read()) == (200, f"msn 3 part {part};".encode())
            assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert response.headers["Content-Type"] == ("audio/mp4" if name == "audio" else "video/mp4")
        for absent in ("3.4.m4s", "3.999999.m4s", "99.0.m4s", "3.00.m4s.m4s"):
            assert (await origin.get(f"{name}/{absent}")).status == 404
    writer.segments(20)
    assert (await origin.get("720p/3.0.m4s")).status == 404
    assert (await origin.get("720p/20.3.m4s")).status == 200

"""The player page and its files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from packager.player_page import setup_player
from tests.packager.helpers import EDGE_ID

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    hls_js = tmp_path / "hls.min.js"
    hls_js.write_text("window.Hls = {}")
    app = web.Application()
    setup_player(app, hls_js)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_the_page_runs_only_its_own_scripts(client: Client) -> None:
    async with client.get(f"/player/{EDGE_ID}") as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        policy = response.headers["Content-Security-Policy"]
        text = await response.text()
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert "<script>" not in text and "style=" not in text
    assert '<video id="video"' in text


@pytest.mark.parametrize(
    ("name", "content_type", "contains"),
    [("hls.js", "text/javascript", "window.Hls"), ("player.js", "text/javascript", "master.m3u8"),
     ("player.css", "text/css", "video")],
)  # fmt: skip
async def test_static_files_have_their_types(client: Client, name: str, content_type: str, contains: str) -> None:
    async with client.get(f"/player/static/{name}") as response:
        assert response.status == 200
        assert response.content_type == content_type
        assert contains in await response.text()


@pytest.mark.parametrize(
    "path", ["/player/static/index.html", "/player/static/..%2findex.html", "/player/static/", "/player/lse_x",
             "/player/"]
)  # fmt: skip
async def test_there_is_nothing_else(client: Client, path: str) -> None:
    async with client.get(path) as response:
        assert response.status == 404


def test_without_hls_js_the_page_is_not_set_up(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        setup_player(web.Application(), tmp_path / "hls.min.js")

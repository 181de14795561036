"""What every page and every file of a page has in common: no cookie, and nothing that would run from anywhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.node import Node

ROOT = Path(__file__).parents[2]
DIRECTORIES = ("control/console", "control/pages", "packager/player")
FILES = [path for name in DIRECTORIES for path in sorted((ROOT / name).iterdir()) if path.suffix in (".html", ".js")]
PAGES = ["/", "/docs", "/player/lse_01hxxxxxxxxxxxxxxxxxxxxxxx", "/player/rec_01hxxxxxxxxxxxxxxxxxxxxxxx"]

_IN_LINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=\"|javascript:", re.IGNORECASE)
_TEXT_AS_MARKUP = re.compile(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|new Function)\b")


@pytest.mark.asyncio(loop_scope="session")
async def test_no_page_sets_a_cookie_and_each_says_what_it_may_load(node: Node) -> None:
    for path in PAGES:
        async with node.http.get(node.base_url + path) as response:
            text = await response.text()
            assert response.status == (404 if "rec_" in path else 200), path
            policy = response.headers["Content-Security-Policy"]
            assert response.headers["Referrer-Policy"] == "no-referrer", path
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "*" not in policy, path
        assert not _IN_LINE.search(text), path
        for file in re.findall(r"(?:src|href)=\"(/[^\"#]+\.(?:js|css|svg))\"", text):
            async with node.http.get(node.base_url + file) as response:
                assert response.status == 200, file
                assert response.headers["X-Content-Type-Options"] == "nosniff", file
    for path in ("/openapi.json", "/v1/live-streams", "/v1/nothing", "/metrics", "/healthz", "/nothing", "/"):
        async with node.http.get(node.base_url + path, headers=node.auth) as response:
            assert response.headers["X-Content-Type-Options"] == "nosniff", path
            assert "Server" not in response.headers, path
    assert not list(node.http.cookie_jar), "something has set a cookie"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_of_a_page_has_script_or_style_in_line(path: Path) -> None:
    text = path.read_text()
    assert not _IN_LINE.search(text) if path.suffix == ".html" else not _TEXT_AS_MARKUP.search(text)


def test_what_is_in_line_would_be_found() -> None:
    for line in ("<script>x</script>", '<a onclick="x">', '<p style="x">', "<a href='javascript:x'>"):
        assert _IN_LINE.search(line)
    assert not _IN_LINE.search('<script type="module" src="/x.js"></script>')
    assert _TEXT_AS_MARKUP.search("element.innerHTML = name")

"""Requests that are no HTTP: an error like all others, and one line in the log; neither repeats anything of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.node import Node, running_node, wait_until


async def answer_to(node: Node, request: bytes) -> bytes:
    """Everything that is answered until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(node.base_url).port or 0)
    writer.write(request)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


async def test_what_is_no_http_is_refused_and_told_in_one_line_without_its_bytes(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node:
        secret = node.api_key.encode()
        requests = [
            b"GET /v1/live-streams HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + secret + b"\x00\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + secret * 2000 + b"\r\n\r\n",
            b"GET /\x00" + secret + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x16\x03\x01 not http " + secret + b"\r\n\r\n",
        ]
        for request in requests:
            head, _, body = (await answer_to(node, request)).partition(b"\r\n\r\n")
            assert b" 400 " in head.split(b"\r\n")[0] and b"application/json" in head
            assert b"Server: antlive\r\n" in head + b"\r\n" and b"aiohttp" not in head
            assert json.loads(body)["error"]["code"] == "malformed_request"
            assert secret not in body

        async def told() -> bool:
            # A first line that is none of HTTP's is not worth even that.
            return node.log_text().count("http_request_malformed") == len(requests) - 1

        await wait_until(told, "a line for each", 10, node.log_text)
        assert node.api_key not in node.log_text()
        await node.create()

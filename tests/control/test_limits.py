"""Rates, scopes, and bodies that do not end."""

from __future__ import annotations

import asyncio
import json
import re
from urllib.parse import urlsplit

import pytest

from control.idempotency import HEADER
from streams.api_keys import Rate, Scope
from streams.store import StreamStore
from tests.control.helpers import KEY_BLUE, KEY_RED, Api, serve_api

SLOW = Rate(per_s=0.1, burst=3)


async def test_above_the_rate_is_429_with_the_headers_of_the_draft(store: StreamStore) -> None:
    async with serve_api(store, rate=SLOW) as api:
        left = []
        for path in ("/v1/live-streams", "/v1/live-streams/x", "/v1/live-streams?limit=0"):
            reply = await api.get(path)
            assert reply.headers["RateLimit-Policy"] == '"api-key";q=3;w=30'
            match = re.fullmatch(r'"api-key";r=(\d+);t=(\d+)', reply.headers["RateLimit"])
            assert match is not None
            left.append((reply.status, int(match[1])))
            assert 0 < int(match[2]) <= 30
        assert left == [(200, 2), (404, 1), (400, 0)]
        for _ in range(2):
            reply = await api.create(name="too many")
            assert (reply.status, reply.error["code"]) == (429, "rate_limited")
            assert 1 <= int(reply.headers["Retry-After"]) <= 10
            assert reply.headers["RateLimit"].startswith('"api-key";r=0;')
        # Another key is not concerned, and nothing was created.
        assert (await api.get(key=KEY_BLUE)).status == 200
    assert (await store.list("red", limit=1)).total == 0


async def test_without_a_valid_key_no_rate_is_told(api: Api) -> None:
    for key in (None, "wrong"):
        reply = await api.get(key=key)
        assert reply.status == 401
        assert "RateLimit" not in reply.headers


async def test_a_key_that_may_only_read(api: Api, store: StreamStore) -> None:
    created = (await api.create(name="show")).body
    _, key = await store.api_keys.create("red", scope=Scope.READ)
    path = f"/v1/live-streams/{created['streamId']}"
    assert (await api.get(key=key)).body["total"] == 1
    assert (await api.get(path, key=key)).status == 200
    for method, where in (
        ("POST", "/v1/live-streams"), ("PATCH", path), ("DELETE", path), ("POST", path + "/rotate-key"),
        ("POST", path + "/end"),
    ):  # fmt: skip
        reply = await api.request(method, where, key=key, json={"name": "x"})
        assert (reply.status, reply.error["code"]) == (403, "forbidden")
        assert "insufficient_scope" in reply.headers["WWW-Authenticate"]
    assert (await api.get()).body["streams"][0]["name"] == "show"


async def test_a_revoked_key_is_401_at_once(api: Api, store: StreamStore) -> None:
    made, key = await store.api_keys.create("red")
    assert (await api.get(key=key)).status == 200
    await store.api_keys.revoke(made.key_id, "red")
    assert (await api.get(key=key)).status == 401


async def test_a_body_that_never_ends_is_408(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.validation.BODY_DEADLINE_S", 0.2)
    answer = await _send_raw(api, f"Authorization: Bearer {KEY_RED}\r\nContent-Length: 100\r\n", b'{"name": "a"')
    assert answer.startswith(b"HTTP/1.1 408 ")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["error"]["code"] == "request_timeout"
    assert (await api.get()).body["total"] == 0


async def test_an_expectation_that_is_not_met_is_417_in_json(api: Api) -> None:
    headers = f"Authorization: Bearer {KEY_RED}\r\nContent-Length: 2\r\nExpect: a-miracle\r\nConnection: close\r\n"
    answer = await _send_raw(api, headers, b"{}")
    assert answer.startswith(b"HTTP/1.1 417 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "expectation_failed"


@pytest.mark.parametrize("line", [f"{HEADER}: a\r\n{HEADER}: b\r\n", f"{HEADER}: a\tb\r\n"])
async def test_a_name_that_is_given_twice_or_holds_a_tab(api: Api, line: str) -> None:
    headers = f"Authorization: Bearer {KEY_RED}\r\nContent-Length: 13\r\nConnection: close\r\n{line}"
    answer = await _send_raw(api, headers, b'{"name": "a"}')
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["field"] == HEADER


async def _send_raw(api: Api, headers: str, body: bytes) -> bytes:
    address = urlsplit(api.base)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = f"POST /v1/live-streams HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}\r\n"
    writer.write(head.encode() + body)
    async with asyncio.timeout(10):
        head_bytes = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head_bytes.lower())
        assert length is not None
        answer = head_bytes + await reader.readexactly(int(length[1]))
    writer.close()
    return answer

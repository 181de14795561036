"""Every bad input gets its own clear answer, and the next request is served."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict, WrappedLogger

from control.validation import BODY_MAX_BYTES
from tests.control.helpers import KEY_RED, Api

# body, field that is named, what the message says besides
FIELDS: list[tuple[Any, str, list[str]]] = [
    ({}, "name", ["required"]),
    ({"quality": "high"}, "name", ["required"]),
    ({"name": None}, "name", ["string", "null"]),
    ({"name": 5}, "name", ["string", "number (5)"]),
    ({"name": True}, "name", ["string", "boolean (true)"]),
    ({"name": ["a"]}, "name", ["string", "array"]),
    ({"name": ""}, "name", ["1"]),
    ({"name": "  "}, "name", ["blank"]),
    ({"name": "x" * 201}, "name", ["201", "200"]),
    ({"name": "a\0b"}, "name", ["U+0000", "position 1"]),
    ({"name": "a\nb"}, "name", ["U+000A"]),
    ({"name": "a\x7f"}, "name", ["U+007F"]),
    ({"name": "a\x85"}, "name", ["U+0085"]),
    ({"name": "a\u2028"}, "name", ["U+2028"]),
    ({"name": "a\ud800"}, "name", ["surrogate"]),
    ({"name": "a", "quality": "ultra"}, "quality", ["'standard'", "'high'", "'passthrough'", '"ultra"']),
    ({"name": "a", "quality": "STANDARD"}, "quality", ["STANDARD"]),
    ({"name": "a", "quality": None}, "quality", ["null"]),
    ({"name": "a", "quality": 1}, "quality", ["number (1)"]),
    ({"name": "a", "quality": {}}, "quality", ["object"]),
    ({"name": "a", "quality": "q" * 5000}, "quality", ["…"]),
    ({"name": "a", "lowLatency": "true"}, "lowLatency", ["true or false", 'string ("true")']),
    ({"name": "a", "lowLatency": 1}, "lowLatency", ["true or false", "number (1)"]),
    ({"name": "a", "lowLatency": None}, "lowLatency", ["null"]),
    ({"name": "a", "recording": 0}, "recording", ["number (0)"]),
    ({"name": "a", "recording": []}, "recording", ["array"]),
    ({"name": "a", "reconnectWindowSeconds": 60.5}, "reconnectWindowSeconds", ["60.5"]),
    ({"name": "a", "reconnectWindowSeconds": True}, "reconnectWindowSeconds", ["true"]),
    ({"name": "a", "low_latency": True}, "low_latency", ["known", "lowLatency"]),
    ({"name": "a", "streamId": "ls_1"}, "streamId", ["not a known field"]),
    ({"name": "a", "": 1}, "", ["not a known field"]),
    ({"name": "a", "f\0\ud800" + "o" * 500: 1}, "f\\x00\\ud800", ["…"]),
]


@pytest.mark.parametrize(("body", "field", "says"), FIELDS)
async def test_a_wrong_field_is_named(api: Api, body: dict[str, Any], field: str, says: list[str]) -> None:
    reply = await api.post(json.dumps(body).encode())
    assert reply.status == 400
    assert reply.error["code"] == "invalid_field"
    assert reply.error["field"].startswith(field or "(empty)")
    assert reply.error["field"] in reply.error["message"]
    assert all(word in reply.error["message"] for word in says), reply.error["message"]
    assert len(reply.error["message"]) < 300
    assert (await api.get()).body["total"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"name": "a", "name": "b"}', "name"),
        (b'{"name": "a", "recording": true, "recording": true}', "recording"),
        (b'{"name": {"x": 1, "x": 2}}', "x"),
        (b'{"na\\u006de": "a", "name": "b"}', "name"),
    ],
)
async def test_a_duplicate_key_is_named(api: Api, body: bytes, field: str) -> None:
    reply = await api.post(body)
    assert reply.status == 400
    assert (reply.error["code"], reply.error["field"]) == ("invalid_field", field)
    assert "twice" in reply.error["message"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "line 1"),
        (b"{", "line 1"),
        (b'{"name": "a",}', "line 1"),
        (b'{"name": "a"} x', "Extra data"),
        (b'{"name": "a\nb"}', "control character"),
        (b'{"name": NaN}', "NaN"),
        (b'{"name": -Infinity}', "Infinity"),
        (b'{"name": "\xff"}', "UTF-8"),
        (b'\xef\xbb\xbf{"name": "a"}', "JSON"),
        (b'{"name": ' + b"9" * 5000 + b"}", "JSON"),
        (b"[" * 60_000, "nested"),
        (b"[]", "an array"),
        (b'"text"', "a string"),
        (b"5", "a number"),
        (b"null", "null"),
        (b"true", "a boolean"),
    ],
)
async def test_what_is_no_json_object(api: Api, body: bytes, says: str) -> None:
    reply = await api.post(body)
    assert reply.status == 400
    assert reply.error["code"] == "invalid_json"
    assert says in reply.error["message"]
    assert "field" not in reply.error


@pytest.mark.parametrize("depth", [*range(100, 1000, 150), *range(900, 1000, 7)])
async def test_deep_nesting_is_refused_at_every_depth(api: Api, depth: int) -> None:
    reply = await api.post(b'{"name": ' + b"[" * depth + b"]" * depth + b"}")
    assert reply.status == 400
    assert reply.error["code"] in ("invalid_field", "invalid_json")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "application/xml", "json"],
)
async def test_another_content_type(api: Api, content_type: str) -> None:
    reply = await api.post(b'{"name": "a"}', content_type)
    assert (reply.status, reply.error["code"]) == (415, "unsupported_media_type")
    assert content_type in reply.error["message"]


@pytest.mark.parametrize("content_type", ["application/json;charset=UTF-8", "Application/JSON"])
async def test_the_same_content_type_spelled_otherwise(api: Api, content_type: str) -> None:
    assert (await api.post(b'{"name": "a"}', content_type)).status == 201


async def test_the_bound_of_the_body(api: Api) -> None:
    body = b'{"name": "a"}'
    assert (await api.post(body.ljust(BODY_MAX_BYTES))).status == 201
    reply = await api.post(body.ljust(BODY_MAX_BYTES + 1))
    assert (reply.status, reply.error["code"]) == (413, "body_too_large")
    assert str(BODY_MAX_BYTES + 1) in reply.error["message"]
    assert str(BODY_MAX_BYTES) in reply.error["message"]


async def test_the_bound_of_a_body_of_unknown_length(api: Api) -> None:
    async def chunks(count: int) -> Any:
        yield b'{"name": "a"}'
        for _ in range(count):
            yield b" " * 1024

    headers = {"Content-Type": "application/json"}
    assert (await api.request("POST", "/v1/live-streams", data=chunks(3), headers=headers)).status == 201
    reply = await api.request("POST", "/v1/live-streams", data=chunks(80), headers=headers)
    assert (reply.status, reply.error["code"]) == (413, "body_too_large")


async def test_the_bound_holds_for_what_a_compressed_body_unpacks_to(api: Api) -> None:
    small, bomb = b'{"name": "a"}', b'{"name": "a"}'.ljust(8 * 1024 * 1024)
    headers = {"Content-Encoding": "gzip"}
    assert (await api.post(gzip.compress(small), **headers)).status == 201
    assert (await api.post(gzip.compress(bomb), **headers)).status == 413
    reply = await api.post(b"this is not gzip", **headers)
    assert (reply.status, reply.error["code"]) == (400, "invalid_body")


@pytest.mark.parametrize(
    ("query", "field", "says"),
    [
        ("limit=0", "limit", ["0", "1"]),
        ("limit=101", "limit", ["101", "100"]),
        ("limit=-1", "limit", ["-1", "1"]),
        ("limit=", "limit", ["integer"]),
        ("limit=ten", "limit", ["integer", "ten"]),
        ("limit=5.0", "limit", ["integer", "5.0"]),
        ("limit=%205", "limit", ["integer"]),
        ("limit=1_0", "limit", ["integer"]),
        ("limit=%D9%A5", "limit", ["integer"]),
        ("limit=" + "9" * 400, "limit", ["integer"]),
        ("limit=1&limit=2", "limit", ["twice"]),
        ("offset=-1", "offset", ["-1", "0"]),
        ("offset=2147483648", "offset", ["2147483648", "2147483647"]),
        ("page=2", "page", ["known", "limit, offset, state, cursor"]),
        ("state=", "state", ["'idle'", "'live'"]),
        ("state=LIVE", "state", ["LIVE"]),
        ("state=live&state=idle", "state", ["twice"]),
        ("cursor=", "cursor", ["pattern"]),
        ("cursor=-1", "cursor", ["-1"]),
        ("cursor=1e5", "cursor", ["1e5"]),
        ("cursor=" + "9" * 17, "cursor", ["pattern"]),
        ("cursor=%00", "cursor", ["pattern"]),
    ],
)
async def test_a_wrong_query_parameter_is_named(api: Api, query: str, field: str, says: list[str]) -> None:
    reply = await api.get(f"/v1/live-streams?{query}")
    assert reply.status == 400
    assert (reply.error["code"], reply.error["field"]) == ("invalid_field", field)
    assert all(word in reply.error["message"] for word in says), reply.error["message"]


@pytest.mark.parametrize("stream_id", ["x", "ls_", "ls_00000000000000000000000000", "..%2Fx", "%00", "l" * 5000, "*"])
async def test_an_unknown_stream(api: Api, stream_id: str) -> None:
    reply = await api.get(f"/v1/live-streams/{stream_id}")
    assert (reply.status, reply.error["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/v1/", "/v1/nothing", "/v1/live-streams/", "/v1/live-streams/a/b"])
@pytest.mark.parametrize("key", [KEY_RED, None])
async def test_an_unknown_path(api: Api, path: str, key: str | None) -> None:
    reply = await api.get(path, key=key)
    assert (reply.status, reply.error["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/live-streams", "GET, HEAD, POST"),
        ("DELETE", "/v1/live-streams", "GET, HEAD, POST"),
        ("POST", "/v1/live-streams/ls_00000000000000000000000000", "DELETE, GET, HEAD, PATCH"),
        ("GET", "/v1/live-streams/ls_00000000000000000000000000/end", "POST"),
    ],
)
async def test_a_method_that_is_not_allowed(api: Api, method: str, path: str, allowed: str) -> None:
    reply = await api.request(method, path)
    assert (reply.status, reply.error["code"]) == (405, "method_not_allowed")
    assert reply.headers["Allow"] == allowed


async def test_a_client_that_leaves_within_its_body_is_no_failure_of_ours(api: Api) -> None:
    address = urlsplit(api.base)
    is_logged = asyncio.Event()

    def note(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        is_logged.set()
        return line

    with capture_logs(processors=[note]) as logs:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        head = (
            f"POST /v1/live-streams HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY_RED}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
        )
        writer.write(head.encode())
        # "100 Continue" says that the handler waits for the body.
        assert (await reader.readline()).startswith(b"HTTP/1.1 100")
        writer.write(b'{"name"')
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(10):
            await is_logged.wait()
        assert (await api.get()).body["total"] == 0
    assert [(line["event"], line["log_level"]) for line in logs] == [("client_left", "info")]

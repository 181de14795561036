"""`/v1/webhooks`: fields, defaults, what is shown when, whose it is, and bad input."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.webhook_store import WEBHOOKS_MAX
from tests.control.helpers import KEY_BLUE, Api

WEBHOOKS = "/v1/webhooks"
URL = "http://127.0.0.1:9/hook"


async def create(api: Api, **fields: Any) -> dict[str, Any]:
    reply = await api.request("POST", WEBHOOKS, json={"url": URL, **fields})
    assert reply.status == 201
    made: dict[str, Any] = reply.body
    return made


async def test_a_webhook_from_its_creation_to_its_end(api: Api) -> None:
    made = await create(api)
    secret, path = made.pop("secret"), f"{WEBHOOKS}/{made['webhookId']}"
    assert {name: made[name] for name in ("url", "eventTypes", "enabled", "description", "deliveries")} == {
        "url": URL,
        "eventTypes": [],
        "enabled": True,
        "description": "",
        "deliveries": {"pending": 0, "delivered": 0, "dead": 0},
    }
    assert (await api.get(path)).body == made
    assert (await api.get(WEBHOOKS)).body == {"webhooks": [made], "total": 1}
    changes = {"enabled": False, "description": "staging  ✓", "eventTypes": ["stream.live"]}
    assert (await api.request("PATCH", path, json=changes)).body == {**made, **changes}
    rotated = (await api.request("POST", f"{path}/rotate-secret")).body
    assert rotated["secret"] != secret and set(rotated) == {"secret", "previousValidUntil"}
    assert (await api.request("DELETE", path)).status == 204
    assert (await api.get(path)).status == 404


@pytest.mark.parametrize(
    ("method", "below"),
    [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/rotate-secret"), ("GET", "/deliveries")],
)
async def test_those_of_other_environments_are_not_there(api: Api, method: str, below: str) -> None:
    path = f"{WEBHOOKS}/{(await create(api))['webhookId']}{below}"
    body = {"enabled": False} if method == "PATCH" else None
    reply = await api.request(method, path, key=KEY_BLUE, json=body)
    assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert (await api.get(WEBHOOKS, key=KEY_BLUE)).body == {"webhooks": [], "total": 0}


# field, value, what the message says
FIELDS: list[tuple[str, Any, str]] = [
    ("url", None, "url must be a string, not null"),
    ("url", 5, "url must be a string, not a number (5)"),
    ("url", "ftp://a.example", "url must be http(s)://host"),
    ("url", "http://a.example/" + "x" * 2048, "the bound is 2048"),
    ("eventTypes", "stream.live", 'eventTypes must be an array, not a string ("stream.live")'),
    ("eventTypes", ["stream.live"] * 21, "eventTypes has 21 items; the bound is 20"),
    ("eventTypes", ["stream.lives"], "must be one of 'stream.connecting'"),
    ("enabled", "yes", 'enabled must be true or false, not a string ("yes")'),
    ("description", "a\0", "description holds the character U+0000 at position 1"),
    ("description", "x" * 201, "has 201 characters; the bound is 200"),
    ("secret", "whsec_1", "secret is not a known field"),
]


@pytest.mark.parametrize(("field", "value", "says"), FIELDS)
async def test_a_wrong_field_is_named(api: Api, field: str, value: Any, says: str) -> None:
    made = await create(api)
    body = json.dumps({"url": URL, field: value}).encode()
    for method, path in (("POST", WEBHOOKS), ("PATCH", f"{WEBHOOKS}/{made['webhookId']}")):
        reply = await api.request(method, path, data=body, headers={"Content-Type": "application/json"})
        assert (reply.status, reply.error["code"]) == (400, "invalid_field")
        assert reply.error["field"].startswith(field)
        if (method, value) != ("PATCH", None):
            assert says in reply.error["message"]
    del made["secret"]
    assert (await api.get(WEBHOOKS)).body == {"webhooks": [made], "total": 1}


async def test_an_environment_has_so_many(api: Api) -> None:
    for _ in range(WEBHOOKS_MAX):
        await create(api)
    reply = await api.request("POST", WEBHOOKS, json={"url": URL})
    assert (reply.status, reply.error["code"]) == (409, "too_many_webhooks")
    assert str(WEBHOOKS_MAX) in reply.error["message"]

"""The document tells of every route, and of nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from aiohttp import web

from control.app import create_api
from control.docs_page import docs_page
from control.groups import GROUPS
from control.openapi import ERRORS, openapi_document
from control.routing import PathParameter, Routes
from control.schemas import CreateStream
from streams.store import StreamStore
from tests.control.helpers import URLS, Api


async def test_every_route_is_in_the_document_and_the_other_way_round(store: StreamStore) -> None:
    app = create_api(store, URLS, reconnect_window_s=60)
    served = {
        (route.method.lower(), "/v1" + route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    document = openapi_document(GROUPS)
    documented = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert served == documented
    assert ("patch", "/v1/live-streams/{streamId}") in documented


async def test_the_document_is_served_to_anybody(api: Api) -> None:
    reply = await api.get("/openapi.json", key=None)
    assert (reply.status, reply.headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert reply.body == openapi_document(GROUPS)
    assert reply.body["openapi"] == "3.1.0"


def test_every_reference_leads_somewhere_and_nothing_is_null() -> None:
    document = openapi_document(GROUPS)
    refs: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                refs.append(value["$ref"])
            assert value.get("type") != "null"
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(document)
    names = {ref.removeprefix("#/components/schemas/") for ref in refs}
    assert names == set(document["components"]["schemas"])


def test_operations_have_ids_of_their_own_and_every_error_a_text() -> None:
    document = openapi_document(GROUPS)
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert {tag for operation in operations for tag in operation["tags"]} == {group.tag for group in GROUPS}
    for group in GROUPS:
        for route in group.routes:
            assert set(route.all_errors) <= set(ERRORS)


def test_the_reference_is_what_the_document_says() -> None:
    document = openapi_document(GROUPS)
    create = document["components"]["schemas"]["CreateStream"]
    assert create["required"] == ["name"]
    assert create["additionalProperties"] is False
    defaults = {name: field.get("default") for name, field in create["properties"].items()}
    assert defaults == {
        "name": None,
        "quality": "standard",
        "lowLatency": True,
        "recording": False,
        "reconnectWindowSeconds": None,
    }
    parameters = {item["name"]: item["schema"] for item in document["paths"]["/v1/live-streams"]["get"]["parameters"]}
    assert parameters["limit"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
    created = document["components"]["schemas"]["CreatedStream"]
    assert {"startedAt", "endedAt"}.isdisjoint(created["required"])
    assert created["properties"]["createdAt"]["format"] == "date-time"


def test_a_wrong_declaration_is_refused() -> None:
    routes = Routes("T", "t")
    with pytest.raises(ValueError, match="the path has the parameters"):
        routes.get("/a/{b}", summary="s", response=None)
    with pytest.raises(ValueError, match="the path has the parameters"):
        routes.get("/a", summary="s", response=None, parameters=(PathParameter("b", "d"),))

    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    with pytest.raises(ValueError, match="no docstring"):
        routes.get("/a", summary="s", response=None)(handler)


async def test_a_group_that_is_not_json_is_documented_too() -> None:
    routes = Routes("Feed", "News <as> it comes.")

    @routes.get("/feed", summary="Follow", response=None, content_type="text/event-stream")
    async def follow(request: web.Request) -> web.Response:
        """Sends `events`."""
        return web.Response()

    @routes.post("/feed/{feedId}", summary="Add", request=CreateStream, response=None, status=204,
                 parameters=(PathParameter("feedId", "which"),))  # fmt: skip
    async def add(request: web.Request) -> web.Response:
        """Adds."""
        return web.Response()

    document = openapi_document([routes])
    assert document["paths"]["/v1/feed"]["get"]["responses"]["200"]["content"] == {
        "text/event-stream": {"schema": {"type": "string"}}
    }
    errors = set(document["paths"]["/v1/feed/{feedId}"]["post"]["responses"]) - {"204"}
    assert errors == {"400", "401", "403", "404", "408", "413", "415", "429", "500", "503"}
    page = docs_page(document)
    assert "News &lt;as&gt; it comes." in page and "<code>events</code>" in page


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        values = dict(attributes)
        self.ids |= {values["id"] or ""} if "id" in values else set()
        self.links |= {values["href"] or ""} if "href" in values else set()
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_the_page_shows_every_operation_and_runs_nothing(api: Api) -> None:
    reply = await api.get("/docs", key=None)
    assert reply.status == 200 and reply.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    page = _Page()
    page.feed(reply.body)
    assert page.open == []
    operations = {o["operationId"] for methods in openapi_document(GROUPS)["paths"].values() for o in methods.values()}
    assert page.ids == operations
    assert page.links == {f"#{name}" for name in operations} | {"/openapi.json", "/docs/docs.css", "/console/icon.svg"}
    assert not page.tags & {"script", "iframe", "img"}
    assert re.search(r"style\s*=", reply.body) is None
    style = await api.get("/docs/docs.css", key=None)
    assert (style.status, style.headers["Content-Type"]) == (200, "text/css; charset=utf-8")

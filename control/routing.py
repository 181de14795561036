"""Routes that carry what the OpenAPI document says of them, so that no route is undocumented.

A resource is a module with one `Routes` group; list the group in `control/groups.py` and it is served and documented:

    routes = Routes("Webhooks", "Where events are delivered to.")
    WEBHOOK_ID = PathParameter("webhookId", "id of the webhook", pattern="^wh_[0-9a-z]{26}$")

    @routes.post(
        "/webhooks/{webhookId}/rotate", summary="Rotate the secret", parameters=(WEBHOOK_ID,),
        request=RotateSecret, response=Secret, status=200, errors=(409,),
    )
    async def rotate(request: web.Request) -> web.Response:
        \"\"\"Sentences that the document shows below the summary.\"\"\"
        body = await read_body(request, RotateSecret)
        ...
        return json_response(Secret(...))

- Paths are those below `/v1`. Every `{name}` in a path is camelCase and declared as a `PathParameter`.
- Schemas derive from `control.schemas.Schema`. A field of type `X | None` may be *left out*; null is never sent, and
  the document says so. A `request` is read with `read_body`, a `query` with `read_query` (`control/validation.py`).
- Errors that follow from the declaration need not be listed: 401, 429, 500 and 503 everywhere; 403 where the method
  writes; 404 where the path has a parameter; 400 for a query; 400, 408, 413 and 415 for a body. `errors` adds others.
- Another content type than JSON, such as server-sent events: `content_type="text/event-stream"`, `response=None`, and
  what it holds as JSON Schema in `content_schema`.
- The caller is `request[ENVIRONMENT]`, the store `request.config_dict[STORE]` (`control/context.py`). A key of scope
  `read` never reaches a handler of another method than GET.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from aiohttp import web

from control.errors import refuse_expectation
from control.schemas import Schema

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HandlerT = TypeVar("HandlerT", bound=Handler)

READ_METHODS: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class PathParameter:
    """A `{name}` of a path."""

    name: str
    description: str
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """A header that a request may, or a response does, carry. `schema` is JSON Schema."""

    name: str
    description: str
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation."""

    method: str
    path: str
    handler: Handler
    tag: str
    summary: str
    description: str
    status: int
    response: type[Schema] | None
    response_description: str
    content_type: str
    content_schema: dict[str, Any]
    request: type[Schema] | None
    query: type[Schema] | None
    parameters: tuple[PathParameter, ...]
    request_headers: tuple[Header, ...]
    response_headers: tuple[Header, ...]
    errors: tuple[int, ...]

    @property
    def all_errors(self) -> tuple[int, ...]:
        """The error statuses of this route, those that follow from its declaration included."""
        statuses = {401, 429, 500, 503, *self.errors}
        if self.method not in READ_METHODS:
            statuses |= {403}
        if self.parameters:
            statuses |= {404}
        if self.query is not None:
            statuses |= {400}
        if self.request is not None:
            statuses |= {400, 408, 413, 415}
        return tuple(sorted(statuses))


class Routes:
    """The routes of one resource: a tag of the OpenAPI document."""

    def __init__(self, tag: str, description: str) -> None:
        self.tag = tag
        self.description = description
        self.routes: list[Route] = []

    def add_to(self, app: web.Application) -> None:
        """Serve the routes."""
        for route in self.routes:
            app.router.add_route(route.method, route.path, route.handler, expect_handler=refuse_expectation)
            if route.method == "GET":
                app.router.add_route("HEAD", route.path, route.handler, expect_handler=refuse_expectation)

    def get(self, path: str, **declaration: Any) -> Callable[[HandlerT], HandlerT]:
        """A GET route; see `route`."""
        return self.route("GET", path, **declaration)

    def post(self, path: str, **declaration: Any) -> Callable[[HandlerT], HandlerT]:
        """A POST route; see `route`."""
        return self.route("POST", path, **declaration)

    def patch(self, path: str, **declaration: Any) -> Callable[[HandlerT], HandlerT]:
        """A PATCH route; see `route`."""
        return self.route("PATCH", path, **declaration)

    def delete(self, path: str, **declaration: Any) -> Callable[[HandlerT], HandlerT]:
        """A DELETE route; see `route`."""
        return self.route("DELETE", path, **declaration)

    def route(
        self,
        method: str,
        path: str,
        *,
        summary: str,
        response: type[Schema] | None,
        status: int = 200,
        response_description: str = "",
        content_type: str = "application/json",
        content_schema: dict[str, Any] | None = None,
        request: type[Schema] | None = None,
        query: type[Schema] | None = None,
        parameters: tuple[PathParameter, ...] = (),
        request_headers: tuple[Header, ...] = (),
        response_headers: tuple[Header, ...] = (),
        errors: tuple[int, ...] = (),
    ) -> Callable[[HandlerT], HandlerT]:
        """Declare a route. Raises `ValueError` when path and `parameters` disagree or the handler has no docstring."""
        in_path, declared = re.findall(r"{(\w+)}", path), [parameter.name for parameter in parameters]
        if in_path != declared:
            raise ValueError(f"{method} {path}: the path has the parameters {in_path}, declared are {declared}")

        def add(handler: HandlerT) -> HandlerT:
            if not handler.__doc__:
                raise ValueError(f"{method} {path}: the handler has no docstring")
            self.routes.append(
                Route(
                    method=method,
                    path=path,
                    handler=handler,
                    tag=self.tag,
                    summary=summary,
                    description=" ".join(handler.__doc__.split()),
                    status=status,
                    response=response,
                    response_description=response_description or ("No content." if status == 204 else summary + "."),
                    content_type=content_type,
                    content_schema=content_schema or {"type": "string"},
                    request=request,
                    query=query,
                    parameters=parameters,
                    request_headers=request_headers,
                    response_headers=response_headers,
                    errors=errors,
                )
            )
            return handler

        return add

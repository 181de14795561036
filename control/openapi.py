"""The OpenAPI 3.1 document, made from the routes and their schemas (`control/routing.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from config.ladders import QUALITIES
from control.routing import Header, Route, Routes
from control.schemas import ErrorResource, Schema

Document = dict[str, Any]

PATH_PREFIX: Final = "/v1"
VERSION: Final = "1.0.0"
_REF: Final = "#/components/schemas/{model}"
_JSON: Final = "application/json"

_DESCRIPTION: Final = (
    "Live streams: create them, publish with the key that creation returns, watch their state. Every request carries "
    "an API key, which acts for one environment and sees the streams of that environment alone. Fields that have no "
    "value yet are left out; null is never sent and never accepted. Names of fields are camelCase, times ISO 8601 in "
    "UTC. Every error has the same shape, with a machine word in `error.code`."
)

ERRORS: Final = {
    400: "The request is malformed; `error.field` names the field or parameter if there is one.",
    401: "The API key is missing, unknown or revoked.",
    403: "The API key may only read.",
    404: "Your environment has nothing with this id.",
    408: "The body did not arrive in time.",
    409: "The state that the resource is in forbids it, or the idempotency key was used for something else.",
    413: "The body is too large.",
    415: "The body is not `application/json`.",
    429: "Too many requests with this API key.",
    500: "The request failed on our side.",
    503: "The store does not answer; nothing is lost, try again.",
}

_ERROR_HEADERS: Final = {
    401: (Header("WWW-Authenticate", "How to authenticate."),),
    403: (Header("WWW-Authenticate", "What the key lacks."),),
    429: (Header("Retry-After", "Seconds until a request is admitted.", {"type": "string", "pattern": "^[0-9]+$"}),),
    503: (Header("Retry-After", "Seconds after which to try again.", {"type": "string", "pattern": "^[0-9]+$"}),),
}

_RATE_HEADERS: Final = (
    Header("RateLimit-Policy", "The rate of this API key: `q` requests in `w` seconds."),
    Header("RateLimit", "What is left of it: `r` requests; all of them again after `t` seconds."),
)


class _Generator(GenerateJsonSchema):
    """Our JSON never holds null (None is left out), and a client must bear a field that a later version adds."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if made.get("default", ...) is None:
            del made["default"]
        return made

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        if self.mode == "serialization":
            made.pop("additionalProperties", None)
        return made


def openapi_document(groups: Sequence[Routes], qualities: Sequence[str] = QUALITIES) -> Document:
    """The document of all routes in `groups`, of a node with these qualities."""
    routes = [route for group in groups for route in group.routes]
    refs, schemas = _schemas(routes)
    for schema in schemas.values():
        quality = schema.get("properties", {}).get("quality", {})
        if "enum" in quality:
            quality["enum"] = list(qualities)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(PATH_PREFIX + route.path, {})[route.method.lower()] = _operation(route, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "antlive", "version": VERSION, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}],
        "tags": [{"name": group.tag, "description": group.description} for group in groups],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "description": "Made with `antlive keys create`."}
            },
        },
    }


_Refs = dict[tuple[type[Schema], JsonSchemaMode], JsonSchemaValue]


def _schemas(routes: Sequence[Route]) -> tuple[_Refs, dict[str, Any]]:
    wanted: dict[tuple[type[Schema], Literal["validation", "serialization"]], None] = {
        (ErrorResource, "serialization"): None
    }
    for route in routes:
        if route.request is not None:
            wanted[route.request, "validation"] = None
        if route.response is not None:
            wanted[route.response, "serialization"] = None
    refs, definitions = models_json_schema(list(wanted), ref_template=_REF, schema_generator=_Generator)
    return {(model, mode): ref for (model, mode), ref in refs.items()}, definitions.get("$defs", {})  # type: ignore[misc]


def _operation(route: Route, refs: _Refs) -> dict[str, Any]:
    responses = {str(route.status): _success(route, refs)}
    for status in route.all_errors:
        headers = _ERROR_HEADERS.get(status, ()) + (() if status == 401 else _RATE_HEADERS)
        content = {_JSON: {"schema": refs[ErrorResource, "serialization"]}}
        responses[str(status)] = {"description": ERRORS[status], "headers": _headers(headers), "content": content}
    operation: dict[str, Any] = {
        "operationId": route.handler.__module__.split(".")[-1] + "." + getattr(route.handler, "__name__", "handler"),
        "tags": [route.tag],
        "summary": route.summary,
        "description": route.description,
        "responses": responses,
    }
    parameters = _parameters(route)
    if parameters:
        operation["parameters"] = parameters
    if route.request is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {_JSON: {"schema": refs[route.request, "validation"]}},
        }
    return operation


def _success(route: Route, refs: _Refs) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": route.response_description,
        "headers": _headers(_RATE_HEADERS + route.response_headers),
    }
    if route.response is not None:
        response["content"] = {_JSON: {"schema": refs[route.response, "serialization"]}}
    elif route.status != 204:
        response["content"] = {route.content_type: {"schema": route.content_schema}}
    return response


def _headers(headers: Sequence[Header]) -> dict[str, Any]:
    return {header.name: {"description": header.description, "schema": header.schema} for header in headers}


def _parameters(route: Route) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    for parameter in route.parameters:
        schema = {"type": "string", **({"pattern": parameter.pattern} if parameter.pattern else {})}
        shown = {"name": parameter.name, "in": "path", "required": True}
        parameters.append({**shown, "description": parameter.description, "schema": schema})
    if route.query is not None:
        query = route.query.model_json_schema(schema_generator=_Generator)
        for name, schema in query["properties"].items():
            is_required = name in query.get("required", [])
            description = schema.pop("description", "")
            schema.pop("title", None)
            shown = {"name": name, "in": "query", "required": is_required}
            parameters.append({**shown, "description": description, "schema": schema})
    for header in route.request_headers:
        shown = {"name": header.name, "in": "header", "required": False}
        parameters.append({**shown, "description": header.description, "schema": header.schema})
    return parameters

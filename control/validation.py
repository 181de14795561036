"""Untrusted bodies and queries into typed models; the first thing wrong becomes a 400 that names field and bound."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Final, TypeVar, get_args

import structlog
from aiohttp import web
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from control.context import QUALITIES_OF_NODE
from control.errors import ApiError, invalid_field
from control.schemas import QUALITIES_CONTEXT, Schema

BODY_MAX_BYTES: Final = 64 * 1024
BODY_DEADLINE_S: Final = 10.0
SHOWN_CHARACTERS: Final = 64

log = structlog.get_logger()

SchemaT = TypeVar("SchemaT", bound=Schema)


class _DuplicateKey(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


async def read_body(request: web.Request, schema: type[SchemaT]) -> SchemaT:
    """The JSON object of the request body as `schema`. Raises `ApiError` 400, 413 or 415."""
    _check_content_type(request)
    value = _parse(await _read_bytes(request))
    if not isinstance(value, dict):
        raise ApiError(400, "invalid_json", f"the body must be a JSON object, not {_kind(value)}")
    return validate(schema, value, {QUALITIES_CONTEXT: request.config_dict[QUALITIES_OF_NODE]})


def read_query(request: web.Request, schema: type[SchemaT]) -> SchemaT:
    """The query parameters, integers where the schema has `int`, as `schema`. Raises `ApiError` 400."""
    fields = {field.alias or name: field for name, field in schema.model_fields.items()}
    values: dict[str, int | str] = {}
    for name, text in request.query.items():
        if name in values:
            raise invalid_field(_shown(name), f"query parameter {_shown(name)!r} is given twice")
        field = fields.get(name)
        is_integer = field is not None and (field.annotation is int or int in get_args(field.annotation))
        values[name] = _integer(name, text) if is_integer else text
    return validate(schema, values)


def validate(schema: type[SchemaT], values: dict[str, Any], context: dict[str, Any] | None = None) -> SchemaT:
    """`values` as `schema`. Raises `ApiError` 400 with the first wrong field; unknown names come first."""
    known = [field.alias or name for name, field in schema.model_fields.items()]
    for name in values:
        if name not in known:
            field = _shown(name) or "(empty)"
            raise invalid_field(field, f"{field} is not a known field; known: {', '.join(known)}")
    try:
        return schema.model_validate(values, context=context)
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        field = _shown(".".join(str(part) for part in details["loc"]))
        raise invalid_field(field, f"{field} {_complaint(details)}") from None


def _check_content_type(request: web.Request) -> None:
    charset = (request.charset or "utf-8").lower()
    if request.content_type != "application/json" or charset not in ("utf-8", "utf8"):
        given = request.headers.get("Content-Type", "none")
        message = f"the content type must be application/json (UTF-8), not {_shown(given)!r}"
        raise ApiError(415, "unsupported_media_type", message)


async def _read_bytes(request: web.Request) -> bytes:
    if request.content_length is not None and request.content_length > BODY_MAX_BYTES:
        raise _too_large(f"{request.content_length}")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_DEADLINE_S):
            await _collect(request, body)
    except TimeoutError:
        message = f"the body was not complete after {BODY_DEADLINE_S:g} s ({len(body)} bytes had come)"
        raise ApiError(408, "request_timeout", message, headers={"Connection": "close"}) from None
    except web.RequestPayloadError:
        raise ApiError(400, "invalid_body", "the body does not decode as its Content-Encoding says") from None
    except ConnectionError:
        log.info("client_left", path=request.path, received_bytes=len(body))
        raise ApiError(400, "invalid_body", "the connection ended within the body") from None
    return bytes(body)


async def _collect(request: web.Request, body: bytearray) -> None:
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > BODY_MAX_BYTES:
            raise _too_large(f"more than {BODY_MAX_BYTES}")


def _too_large(size: str) -> ApiError:
    return ApiError(413, "body_too_large", f"the body has {size} bytes; the bound is {BODY_MAX_BYTES}")


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except _DuplicateKey as duplicate:
        field = _shown(duplicate.key)
        raise invalid_field(field, f"{field!r} is given twice in one JSON object") from None
    except json.JSONDecodeError as error:
        message = f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise ApiError(400, "invalid_json", message) from None
    except UnicodeDecodeError as error:
        raise ApiError(400, "invalid_json", f"the body is not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise ApiError(400, "invalid_json", "the body is nested too deeply") from None
    except ValueError as error:
        # A number with more digits than Python converts, or NaN and its kin.
        raise ApiError(400, "invalid_json", f"the body is not JSON: {_shown(str(error))}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise _DuplicateKey(key)
        values[key] = value
    return values


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _integer(name: str, text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
        raise invalid_field(name, f"{name} must be an integer, not {_shown(text)!r}")
    return int(text)


def _complaint(details: ErrorDetails) -> str:
    """What is wrong with a field, as the end of a sentence that begins with its name."""
    value, context = details["input"], details.get("ctx", {})
    match details["type"]:
        case "missing":
            return "is required"
        case "literal_error":
            return f"must be one of {context['expected']}, not {_described(value)}"
        case "string_type":
            return f"must be a string, not {_described(value)}"
        case "string_unicode":
            return f"holds half of a surrogate pair, which is no character (value {_shown_value(value)})"
        case "list_type":
            return f"must be an array, not {_described(value)}"
        case "too_long":
            return f"has {len(value)} items; the bound is {context['max_length']}"
        case "int_type" | "int_from_float":
            return f"must be an integer, not {_described(value)}"
        case "bool_type":
            return f"must be true or false, not {_described(value)}"
        case "null":
            return details["msg"]
        case "string_pattern_mismatch":
            return f"does not look like one (value {_shown_value(value)}); the pattern is {context['pattern']}"
        case "string_too_short":
            return f"is empty; the bound is {context['min_length']} character or more"
        case "string_too_long":
            bound = context["max_length"]
            return f"{_shown_value(value)} has {len(value)} characters; the bound is {bound}"
        case "greater_than_equal":
            return f"is {_shown_value(value)}; the least is {context['ge']}"
        case "less_than_equal":
            return f"is {_shown_value(value)}; the most is {context['le']}"
        case _:
            return f"{details['msg']} (value {_shown_value(value)})"


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def _described(value: object) -> str:
    # Containers are not shown: they may be nested as deep as the parser goes, too deep to write out.
    is_plain = value is not None and not isinstance(value, (dict, list))
    return f"{_kind(value)} ({_shown_value(value)})" if is_plain else _kind(value)


def _shown_value(value: object) -> str:
    return _shown(json.dumps(value))


def _shown(text: str) -> str:
    """Text of a stranger, fit for one line of a message: escaped and cut."""
    printable = text.encode("unicode_escape").decode() if not text.isprintable() else text
    return printable if len(printable) <= SHOWN_CHARACTERS else printable[:SHOWN_CHARACTERS] + "…"

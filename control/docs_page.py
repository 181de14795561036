"""The OpenAPI document as one page of plain HTML: no script, nothing loaded from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape
from typing import Any

Document = dict[str, Any]

_BOUNDS = (("minLength", "maxLength", " characters"), ("minItems", "maxItems", " items"), ("minimum", "maximum", ""))
_REQUIRED = "<b>required</b>"
_MAY_BE_ABSENT = "left out when there is none"


def docs_page(document: Document) -> str:
    """The page. Everything from the document is escaped."""
    info = document["info"]
    groups = [
        (
            tag,
            [(path, method, operation) for path, method, operation in _operations(document) if _is_of(operation, tag)],
        )
        for tag in document["tags"]
    ]
    navigation = "".join(
        f"<li>{escape(tag['name'])}<ul>"
        + "".join(f'<li><a href="#{_anchor(op)}">{escape(op["summary"])}</a></li>' for _, _, op in operations)
        + "</ul></li>"
        for tag, operations in groups
    )
    sections = "".join(
        f"<section><h2>{escape(tag['name'])}</h2><p>{_prose(tag['description'])}</p>"
        + "".join(_operation(path, method, operation, document) for path, method, operation in operations)
        + "</section>"
        for tag, operations in groups
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])} API</title>"
        '<link rel="icon" type="image/svg+xml" href="/console/icon.svg">'
        '<link rel="stylesheet" href="/docs/docs.css"></head><body>'
        f'<nav aria-label="Operations"><ul>{navigation}</ul></nav>'
        f"<main><h1>{escape(info['title'])} API</h1><p>{_prose(info['description'])}</p>"
        '<p>For machines: <a href="/openapi.json">openapi.json</a></p>'
        f"{sections}</main></body></html>"
    )


def _operations(document: Document) -> Iterable[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _is_of(operation: Document, tag: Document) -> bool:
    return tag["name"] in operation["tags"]


def _operation(path: str, method: str, operation: Document, document: Document) -> str:
    body = operation.get("requestBody")
    success: list[tuple[str, Document]] = []
    errors: list[tuple[str, Document]] = []
    for status, response in operation["responses"].items():
        (success if status < "400" else errors).append((status, response))
    parts = [
        f'<article id="{_anchor(operation)}"><h3>{escape(operation["summary"])}</h3>',
        f'<p class="path"><b class="{method.lower()}">{method}</b> <code>{escape(path)}</code></p>',
        f"<p>{_prose(operation['description'])}</p>",
        _table("Parameters", (_parameter_row(parameter) for parameter in operation.get("parameters", ()))),
    ]
    if body is not None:
        schema = _resolved(body["content"]["application/json"]["schema"], document)
        parts.append(_table("Request body", _property_rows(schema, document)))
    for status, response in success:
        parts.append(f"<h4>{status}</h4><p>{_prose(response['description'])}</p>")
        for content_type, content in response.get("content", {}).items():
            if content_type == "application/json":
                rows = _property_rows(_resolved(content["schema"], document), document, is_answer=True)
                parts.append(_table("Response body", rows))
            else:
                parts.append(f"<p><code>{escape(content_type)}</code></p>")
    rows = (f"<tr><th>{status}</th><td>{_prose(response['description'])}</td></tr>" for status, response in errors)
    parts.append(f"<details><summary>Errors</summary>{_table('', rows)}</details></article>")
    return "".join(parts)


def _table(title: str, rows: Iterable[str]) -> str:
    body = "".join(rows)
    heading = f"<h4>{title}</h4>" if title else ""
    return f'{heading}<div class="table"><table><tbody>{body}</tbody></table></div>' if body else ""


def _parameter_row(parameter: Document) -> str:
    kind = f"{_kind(parameter['schema'])}, in the {parameter['in']}"
    note = _REQUIRED if parameter["required"] else ""
    return _row(parameter["name"], kind, note, parameter["description"], parameter["schema"])


def _property_rows(schema: Document, document: Document, prefix: str = "", *, is_answer: bool = False) -> Iterable[str]:
    for name, given in schema.get("properties", {}).items():
        described = _resolved(given, document)
        is_required = name in schema.get("required", [])
        note = ("" if is_answer else _REQUIRED) if is_required else (_MAY_BE_ABSENT if is_answer else "")
        yield _row(prefix + name, _kind(described), note, given.get("description", ""), described)
        items = _resolved(described.get("items", {}), document)
        yield from _property_rows(described, document, f"{prefix}{name}.", is_answer=is_answer)
        yield from _property_rows(items, document, f"{prefix}{name}[].", is_answer=is_answer)


def _row(name: str, kind: str, note: str, description: str, schema: Document) -> str:
    notes = [escape(kind)] + ([note] if note else []) + list(_bounds(schema))
    if "enum" in schema:
        notes.append("one of " + " ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"]))
    if "default" in schema:
        notes.append(f"default <code>{escape(json.dumps(schema['default']))}</code>")
    return f"<tr><th><code>{escape(name)}</code></th><td>{', '.join(notes)}<br>{_prose(description)}</td></tr>"


def _bounds(schema: Document) -> Iterable[str]:
    for least, most, unit in _BOUNDS:
        if least in schema and most in schema:
            yield f"{schema[least]} to {schema[most]}{unit}"
        elif most in schema:
            yield f"at most {schema[most]}{unit}"
        elif least in schema:
            yield f"{schema[least]} or more{unit}"


def _kind(schema: Document) -> str:
    kind = str(schema.get("type", "value"))
    return f"{kind} ({schema['format']})" if "format" in schema else kind


def _resolved(schema: Document, document: Document) -> Document:
    if "$ref" not in schema:
        return schema
    found: Document = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return found


def _anchor(operation: Document) -> str:
    return escape(operation["operationId"], quote=True)


def _prose(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))

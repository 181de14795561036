"""The reference page of the settings, generated from the code: `python -m config.reference` writes it."""

from __future__ import annotations

from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from config.secret_files import SUFFIX
from config.settings import ENV_PREFIX, SECRET_FILES, Settings

REFERENCE_FILE = Path(__file__).parent.parent / "docs/settings.md"
_HEAD = """# Settings

Generated from `config/settings.py` by `python -m config.reference`.

A setting comes from its variable, else from the TOML file that `ANTLIVE_CONFIG` names
([sample](../config/antlive.sample.toml), with all defaults), else it is the default. An unknown setting, or a value
out of bounds, ends the start with exit code 2 and a line that names the setting, the value (unless it is a secret) and
the bound. `antlive config` prints what is in force, as TOML and without secrets.

A secret ({secrets}) may lie in a file of its own, as those
of containers and systemd do: `ANTLIVE_API_KEY_FILE` and so on name it. One of the two is set, not both.

| variable | in the file | default | bounds | what it is |
| --- | --- | --- | --- | --- |
"""
_KINDS = {int: "whole number", float: "number", str: "text", bool: "true or false", Path: "path"}
_BOUNDS = (
    ("ge", "≥"),
    ("gt", ">"),
    ("le", "≤"),
    ("lt", "<"),
    ("min_length", "characters ≥"),
    ("max_length", "characters ≤"),
)


def reference() -> str:
    """The page."""
    secrets = ", ".join(f"`{variable.removesuffix(SUFFIX)}`" for variable in SECRET_FILES)
    return _HEAD.format(secrets=secrets) + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    default = (
        ""
        if field.default in (None, {})
        else f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"
    )
    cells = [f"`{ENV_PREFIX}{name.upper()}`", f"`{name}`", default, _bounds(field), field.description or ""]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _bounds(field: FieldInfo) -> str:
    kind, metadata = _plain(field.annotation, list(field.metadata))
    found = [f"{sign} {getattr(item, name):g}" for item in metadata for name, sign in _BOUNDS if hasattr(item, name)]
    patterns = [f"`{item.pattern}`" for item in metadata if getattr(item, "pattern", None)]
    if get_origin(kind) is dict:
        return "tables"
    return ", ".join([_KINDS.get(kind, str(kind)), *dict.fromkeys(found), *patterns])


def _plain(annotation: Any, metadata: list[Any]) -> tuple[Any, list[Any]]:
    """The type without `None` and `Annotated`, and all that bounds it."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        for item in more:
            metadata.extend(item.metadata if isinstance(item, FieldInfo) else [item])
        return _plain(inner, metadata)
    if get_origin(annotation) in (Union, UnionType):
        return _plain(next(part for part in get_args(annotation) if part is not NoneType), metadata)
    return annotation, metadata


if __name__ == "__main__":
    REFERENCE_FILE.write_text(reference())

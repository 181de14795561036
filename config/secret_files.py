"""Secrets from files: `ANTLIVE_API_KEY_FILE` names a file that holds what `ANTLIVE_API_KEY` would.

The way of containers and systemd credentials: a file can be kept from others, a process's environment is inherited.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

SUFFIX = "_FILE"
_MAX_BYTES = 4096


class SecretFileError(ValueError):
    """A secret's file can't be used; the text names variable and path, never what is in it."""


class SecretFiles(PydanticBaseSettingsSource):
    """Reads the files that variables name (`ANTLIVE_API_KEY_FILE: api_key`). A line break at the end is left out."""

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._variables = variables

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not asked: `__call__` gives all values at once."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        """The secrets that a variable names a file of. Raises `SecretFileError`."""
        named = ((name, setting, os.environ.get(name)) for name, setting in self._variables.items())
        return {setting: _read(name, path) for name, setting, path in named if path}


def _read(name: str, path: str) -> str:
    if os.environ.get(plain := name.removesuffix(SUFFIX)):
        raise SecretFileError(f"{plain} and {name} are both set: which one counts?")
    try:
        # Opening a pipe would wait for whoever writes into it.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise SecretFileError(f"{name}: {path!r} is no regular file")
        with Path(path).open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise SecretFileError(f"{name}: {path!r} is longer than {_MAX_BYTES} bytes")
        text = content.decode("utf-8-sig").rstrip("\r\n")
    except OSError as error:
        raise SecretFileError(f"{name}: can't read {path!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretFileError(f"{name}: {path!r} is no text in UTF-8") from None
    if not text.strip():
        raise SecretFileError(f"{name}: {path!r} is empty")
    if len(text.splitlines()) > 1:
        raise SecretFileError(f"{name}: {path!r} has {len(text.splitlines())} lines; a secret is one")
    return text

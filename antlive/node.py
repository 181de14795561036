"""What a node keeps in its data directory: its id, the API key it made, the stream that is ready to publish to."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from antlive.node_locks import DirectoryUnusable, locked, told, usable

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_API_KEY_CHARACTERS = 32
_DRAINING = "draining"
_FULL = "full"


class NodeFiles:
    """Small files under the data directory. Those with secrets are readable by the owner alone."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    @property
    def has_node(self) -> bool:
        """Whether a node has ever run on this directory."""
        with told(path := self.data_dir / "node_id"):
            return path.is_file()

    def node_id(self) -> str:
        """This node's id, made once."""
        return self._text("node_id", lambda: f"node_{secrets.token_hex(6)}")

    def api_key(self) -> str:
        """The API key of environment `default`, made once."""
        return self._text(
            "api_key", lambda: "ak_" + "".join(secrets.choice(_ALPHABET) for _ in range(_API_KEY_CHARACTERS))
        )

    def read_json(self, name: str) -> dict[str, Any] | None:
        """The object in this file, or None when there is none. Raises `DirectoryUnusable`."""
        path = self.data_dir / name
        try:
            with told(path):
                if not path.exists():
                    return None
                value = json.loads(path.read_text())
        except ValueError:
            raise DirectoryUnusable(f"cannot use {path}: it is no JSON; remove it") from None
        return value if isinstance(value, dict) else None

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Write an object to this file, for the owner alone."""
        self._write(name, json.dumps(value))

    @property
    def draining(self) -> bool:
        """Whether this node takes no publishers any more: what ingest knows, for the other processes of the node."""
        return (self.data_dir / _DRAINING).exists()

    @draining.setter
    def draining(self, value: bool) -> None:
        self._mark(_DRAINING, value)

    @property
    def full(self) -> bool:
        """Whether this node has no room for some new session, as `draining` otherwise."""
        return (self.data_dir / _FULL).exists()

    @full.setter
    def full(self, value: bool) -> None:
        self._mark(_FULL, value)

    def _mark(self, name: str, value: bool) -> None:
        path = self.data_dir / name
        if value:
            path.touch()
        else:
            path.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Remove this file if it is there."""
        (self.data_dir / name).unlink(missing_ok=True)

    def _text(self, name: str, make: Any) -> str:
        path = usable("DATA_DIR", self.data_dir) / name
        # Several processes of a node may start at once: what the first of them makes counts.
        with told(path), locked(self.data_dir):
            if path.is_file() and (text := path.read_text().strip()):
                return text
            text = str(make())
            self._write(name, text)
            return text

    def _write(self, name: str, text: str) -> None:
        temporary = self.data_dir / f".{name}.tmp"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(text)
        temporary.rename(self.data_dir / name)

"""How files of a session are named, and written."""

from __future__ import annotations

from pathlib import Path


def part_file(msn: int, part: int) -> str:
    """The name of a part's file."""
    return f"{msn}.{part}.m4s"


def temporary_of(path: Path) -> Path:
    """Where a file is written that appears at `path` once it is whole."""
    return path.with_name(f".{path.name}")


def write_whole(path: Path, *buffers: bytes) -> None:
    """Write a file that is there whole or not at all."""
    temporary = temporary_of(path)
    with temporary.open("wb") as file:
        file.writelines(buffers)
    temporary.rename(path)

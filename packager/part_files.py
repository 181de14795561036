"""The files of parts: written whole, or as they grow.

With progressive parts the file that is to become a part grows, chunk by chunk, under a name of its own; it is renamed
when the part is whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from packager.files import temporary_of, write_whole


class PartFiles:
    """The files of the parts that are being written: at most one of each rendition, which are threads of their own."""

    def __init__(self) -> None:
        self._growing: dict[Path, BinaryIO] = {}

    def append(self, path: Path, data: bytes) -> None:
        """The next bytes of the part that is to be at `path`."""
        if path not in self._growing:
            self._growing[path] = temporary_of(path).open("wb", buffering=0)
        self._growing[path].write(data)

    def finish(self, path: Path, data: bytes) -> None:
        """The part is whole: `data`, which begins with what was appended."""
        growing = self._growing.pop(path, None)
        if growing is None:
            write_whole(path, data)
            return
        growing.write(data[growing.tell() :])
        growing.close()
        temporary_of(path).rename(path)


def remove_growing(directory: Path) -> None:
    """Remove what a writer has left that was killed: who reads it has the beginning of a part that will never be."""
    for left in directory.glob(".*"):
        left.unlink()

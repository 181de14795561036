"""Whether the setting `slate_image` names a picture. A process that ends looks: the decoders would stay in ours."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

_READ = "import sys; from PIL import Image; Image.open(sys.argv[1]).convert('RGB')"

_OF_THE_SYSTEM = {
    "FileNotFoundError": "there is no such file",
    "IsADirectoryError": "it is a directory",
    "PermissionError": "it can't be read",
}


async def slate_problem(path: Path) -> str:
    """What is wrong with the file, in a line; empty when it is a picture."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _READ, str(path)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode == 0:
        return ""
    name, _, text = said.decode(errors="replace").strip().rpartition("\n")[2].partition(": ")
    if (system := _OF_THE_SYSTEM.get(name)) is not None:
        return system
    # What the reader says of a picture that is damaged or too large is worth hearing.
    return "it is no picture" if name.endswith("UnidentifiedImageError") else f"its picture can't be read: {text}"

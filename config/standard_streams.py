"""Standard input, output and error: there in every process, whatever started it."""

from __future__ import annotations

import os
import sys
from typing import Final

_COUNT: Final = 3


def open_standard_streams() -> None:
    """Those that are closed lead nowhere from now on: the next file opened would have their number, and get what is
    meant for them."""
    while (fd := os.open(os.devnull, os.O_RDWR)) < _COUNT:
        os.set_inheritable(fd, True)
    os.close(fd)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, closefd=False)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)

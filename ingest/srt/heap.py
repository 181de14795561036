"""Memory that libsrt frees goes back to the system, so that a flood of handshakes is not paid for ever after."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
_THRESHOLD_BYTES = 64 * 1024


def give_back_what_is_freed() -> None:
    """Blocks of 64 kB and more are mapped and unmapped one by one, which mallopt(3) calls a fixed threshold.

    libsrt takes half a megabyte for each handshake, refused or not, and keeps it for some seconds. glibc's own
    threshold rises with the first that is freed; from then on they come from a heap that does not shrink again.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _THRESHOLD_BYTES)

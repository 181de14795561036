"""Processes forked from one that has loaded what they need: that lies in memory once, and is there at once.

Only a process without other threads and without an event loop forks here: what such hold at that moment would stay
held in the new process for ever.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import setproctitle

_STANDARD_FDS = 3
_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
"""By whoever forks here."""
_COMMAND_LINE = Path("/proc/self/cmdline")
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def forked(run: Callable[[], int], command: str, keep_fds: Collection[int]) -> int:
    """The id of a process that runs `run` and ends with the exit code that it returns; `command` is what it shows.

    Of what is open it has the standard streams but the input, and `keep_fds`; no signal handler, no exit handler. What
    else is in memory stays there unused.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        # Filled up, because what reads command lines takes what is left of the old one for empty arguments.
        setproctitle.setproctitle(f"{sys.executable} {command}".ljust(len(_COMMAND_LINE.read_bytes())))
        _leave_parent(keep_fds)
        code = run()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        end(code)


def end(code: int) -> NoReturn:
    """End a forked process without a way back: below on the stack is what its parent does."""
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def keep_what_is_loaded() -> None:
    """Before forking: the collectors of the new processes would write to all that they look at, which copies it."""
    gc.collect()
    gc.freeze()


def die_with_parent(parent: int, number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent dies, which may have happened already."""
    _libc.prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        end(1)


def adopt_orphans() -> None:
    """Become the parent of those below this process whose own parents end."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _leave_parent(keep_fds: Collection[int]) -> None:
    atexit._clear()
    signal.set_wakeup_fd(-1)
    for number in _HANDLED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for fd in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if fd >= _STANDARD_FDS and fd not in keep_fds:
            with suppress(OSError):  # the one that was listing
                os.close(fd)

"""Locks that keep a second node, or a second process of a role, out of a directory. The system frees them at death.

`serve` holds the data directory. Each role that keeps a node's state holds that role of it, and, together with the
other roles of its node, the media directory: a node removes whatever it does not know there.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from config.settings import ENV_PREFIX, Settings
from streams.ids import EDGE_PREFIX

MEDIA_LOCK: Final = ".node"
"""In the media directory: it holds the id of the node whose roles share the lock on it."""
WAIT_S: Final = 3.0
"""How long what ends at the moment, such as the roles of a `serve` that was killed, is waited for."""
_NOBODYS: Final = {MEDIA_LOCK, "lost+found"}
_LOOK_S: Final = 0.05
_LOCKED_ROLES: Final = {"ingest": "ingest", "recorder": "recorder", "origin": "origin", "web": "origin"}


class DirectoryBusy(RuntimeError):
    """Another process has the directory. The message is one line that names the setting."""


class DirectoryUnusable(RuntimeError):
    """The directory can't be made or written to. The message is one line that names the setting."""


def usable(setting: str, directory: Path) -> Path:
    """The directory, made if need be. Raises `DirectoryUnusable`."""
    problem = ""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = "not a directory" if isinstance(error, FileExistsError) else str(error.strerror).lower()
    else:
        if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            problem = f"user {os.geteuid()} can't write to it"
    if problem:
        raise DirectoryUnusable(f"cannot use {ENV_PREFIX}{setting}={directory}: {problem}")
    return directory


def lock_data_dir(data_dir: Path) -> int:
    """Take a data directory for `serve`. Raises `DirectoryBusy`."""
    fd = _open(data_dir / "lock")
    if not _taken(fd, fcntl.LOCK_EX):
        os.close(fd)
        raise DirectoryBusy(f"another antlive runs with {ENV_PREFIX}DATA_DIR={data_dir}")
    return fd


def lock_role(
    settings: Settings, role: str, node_id: Callable[[], str], stack: ExitStack, wait_s: float = WAIT_S
) -> None:
    """Take what a process of this role has for itself, until `stack` is closed.

    Raises `DirectoryBusy`, and `DirectoryUnusable`.
    """
    lock = _LOCKED_ROLES.get(role)
    if lock is None:
        return
    usable("DATA_DIR", settings.data_dir)
    usable("MEDIA_DIR", settings.effective_media_dir)
    if lock == "recorder":
        usable("RECORDINGS_DIR", settings.effective_recordings_dir)
    fd = _open(settings.data_dir / f"{lock}.lock")
    stack.callback(os.close, fd)
    if not _within(wait_s, lambda: _taken(fd, fcntl.LOCK_EX)):
        raise DirectoryBusy(f"another {lock} process runs with {ENV_PREFIX}DATA_DIR={settings.data_dir}")
    stack.callback(os.close, lock_media_dir(settings.effective_media_dir, node_id(), wait_s))


def lock_media_dir(media_dir: Path, node_id: str, wait_s: float = WAIT_S) -> int:
    """Share the media directory with the other processes of this node.

    Raises `DirectoryBusy`, and `DirectoryUnusable` for one that is full, or was never a node's and holds something.
    """
    if not (media_dir / MEDIA_LOCK).exists() and (foreign := _foreign(media_dir)):
        text = f"it holds {foreign}, which is not ours: name an empty directory"
        raise DirectoryUnusable(f"cannot use {ENV_PREFIX}MEDIA_DIR={media_dir}: {text}")
    fd = _open(media_dir / MEDIA_LOCK)
    other = ""

    def is_ours() -> bool:
        nonlocal other
        # Whoever comes first has it alone for a moment, in which the file gets its id.
        if _taken(fd, fcntl.LOCK_EX):
            os.truncate(fd, 0)
            os.pwrite(fd, node_id.encode(), 0)
        if not _taken(fd, fcntl.LOCK_SH):
            return False
        other = os.pread(fd, 100, 0).decode(errors="replace")
        if other == node_id:
            return True
        fcntl.flock(fd, fcntl.LOCK_UN)
        return False

    try:
        with told(media_dir / MEDIA_LOCK):  # a full disk has no room for an id
            got = _within(wait_s, is_ours)
    except DirectoryUnusable:
        os.close(fd)
        raise
    if not got:
        os.close(fd)
        setting = f"{ENV_PREFIX}MEDIA_DIR={media_dir}"
        raise DirectoryBusy(f"{setting} is in use by {other or 'another node'}: each node needs one of its own")
    return fd


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Alone in this directory for a moment."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What the system has against this file or directory, as `DirectoryUnusable`."""
    try:
        yield
    except OSError as error:
        raise DirectoryUnusable(f"cannot use {path}: {error.strerror or error}") from error


def _foreign(media_dir: Path) -> str:
    """The name of something in a media directory that no node has put there."""
    with told(media_dir):
        names = sorted(entry.name for entry in os.scandir(media_dir))
    return next((name for name in names if name not in _NOBODYS and not name.startswith(EDGE_PREFIX)), "")


def _open(path: Path) -> int:
    with told(path):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _taken(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _within(wait_s: float, condition: Callable[[], bool]) -> bool:
    give_up_s = time.monotonic() + wait_s
    while not condition():
        if time.monotonic() >= give_up_s:
            return False
        time.sleep(_LOOK_S)
    return True

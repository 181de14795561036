"""The TLS certificate of a listener, loaded anew when its files change: a renewal needs no restart."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import structlog

log = structlog.get_logger()

CHECK_EVERY_S = 2.0

_Stamp = tuple[tuple[int, int, int], ...]


def _no_password() -> str:
    """Without this OpenSSL would ask for it on the terminal."""
    return ""


def certificate_problem(error: OSError) -> str:
    """What keeps certificate and key from being used, in words."""
    if isinstance(error, ssl.SSLError):
        if "MISMATCH" in (error.reason or ""):
            return "the key is not that of the certificate"
        return "they must be PEM files without a password"
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)


class Certificate:
    """`context` serves the newest certificate that could be loaded. Raises `OSError` (`ssl.SSLError` is one)."""

    def __init__(self, cert_file: Path, key_file: Path, check_every_s: float = CHECK_EVERY_S) -> None:
        self._files = (cert_file, key_file)
        self._check_every_s = check_every_s
        self._stamp = self._look()
        self.context = self._load()
        self._task: asyncio.Task[None] | None = None

    def follow(self) -> None:
        """Begin to look for changes."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def check(self) -> None:
        """Load the files if they have changed. Files that can't be used leave the certificate as it is."""
        try:
            stamp = self._look()
        except OSError:
            return  # between the removal of the old file and the new one's coming
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            # A context of its own first: half a renewal must not reach the one that is served.
            self._load()
            self.context.load_cert_chain(*self._files, password=_no_password)
        except OSError as error:
            log.warning("certificate_not_loaded", file=str(self._files[0]), error=certificate_problem(error))
        else:
            log.info("certificate_loaded", file=str(self._files[0]))

    def _look(self) -> _Stamp:
        stats = [file.stat() for file in self._files]
        return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Encoders stay for hours and resume nothing; librtmp fails at a ticket that comes before its first answer.
        context.num_tickets = 0
        context.load_cert_chain(*self._files, password=_no_password)
        return context

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._check_every_s)
            self.check()

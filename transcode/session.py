"""What every kind of session offers its worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from config.session import Container, Message, Stats

Report = Callable[[Message], None]
"""Takes a message for ingest. May be called from any thread."""


class Session(Protocol):
    """One session: the media of one stream, over all the encoder connections it has."""

    def connected(self, container: Container) -> None:
        """A new encoder connection takes over; what the previous one left unfinished is dropped."""

    def feed(self, data: memoryview) -> None:
        """Bytes of the current connection. Raises `UnsupportedCodec` or `BadMedia`: that connection is useless."""

    def disconnected(self) -> None:
        """The current connection is gone; the session waits for the next."""

    @property
    def congested(self) -> bool:
        """Whether so much waits inside that the caller should stop reading for a while."""

    def stats(self, cpu_s: float) -> Stats:
        """What it has measured since the last time; `cpu_s` is passed on. Called on the worker's loop."""

    def end(self, *, final: bool = True) -> None:
        """Flush, close the playlists, free everything. Blocks until done; called once, from any thread.

        Not `final`: another node goes on with the session, so its playlists stay open.
        """

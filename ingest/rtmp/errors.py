"""The one error that bytes from a peer can cause."""

from __future__ import annotations


class ProtocolError(Exception):
    """The peer broke RTMP or one of our bounds.

    The text names the value and the bound. It never quotes a string of the peer's, which may hold a stream key.
    """

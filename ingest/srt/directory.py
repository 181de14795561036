"""The key directory: who may publish, as far as this node knows without asking anybody.

The handshake hook looks here, so nothing waits. The directory follows Redis (`directory_follower.py`); while it
doesn't, or while a change is under way, it is unsure, and the caller is let in to be checked properly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum


class Verdict(Enum):
    """What the directory says of a key."""

    MAY_PUBLISH = "may_publish"
    WRONG_KEY = "wrong_key"
    ALREADY_PUBLISHING = "already_publishing"
    DRAINING = "draining"
    FULL = "full"
    UNSURE = "unsure"


class KeyDirectory:
    """Read from any thread, written by the event loop's. Each write replaces or sets one reference."""

    def __init__(self, node_id: str, delivering: Callable[[str], bool]) -> None:
        self._node_id = node_id
        self._delivering = delivering
        self._streams: dict[str, str] = {}  # SHA-256 of a key to its stream id
        self._changing: set[str] = set()
        self._hosts: dict[str, str] = {}  # stream id to the node that hosts its session
        self._hosts_known = False
        self.following = False
        self.draining = False
        self.full = False
        """Whether this node has no room for a new session."""

    def verdict(self, key_hash: str) -> Verdict:
        """Whether the key of this SHA-256 may publish."""
        stream_id = self._streams.get(key_hash)
        if stream_id is None:
            sure = self.following and key_hash not in self._changing
            return Verdict.WRONG_KEY if sure else Verdict.UNSURE
        if self.draining:
            return Verdict.DRAINING
        if self._delivering(stream_id):
            return Verdict.ALREADY_PUBLISHING
        if not self.following or not self._hosts_known or key_hash in self._changing:
            return Verdict.UNSURE
        if self.full and stream_id not in self._hosts:
            return Verdict.FULL
        # Another node that hosts it may be gone, or without its encoder: Redis has to be asked.
        return Verdict.MAY_PUBLISH if self._hosts.get(stream_id, self._node_id) == self._node_id else Verdict.UNSURE

    def changing(self, key_hashes: Iterable[str]) -> None:
        """These keys have changed in Redis; until `set_key` says how, nothing is sure about them."""
        self._changing |= set(key_hashes)

    def set_key(self, key_hash: str, stream_id: str | None) -> None:
        """The stream that a key belongs to; None: no stream any more."""
        if stream_id is None:
            self._streams.pop(key_hash, None)
        else:
            self._streams[key_hash] = stream_id
        self._changing.discard(key_hash)

    def replace_keys(self, streams: Mapping[str, str]) -> None:
        """All keys there are."""
        self._streams = dict(streams)
        self._changing = set()

    def hosts_changing(self) -> None:
        """Sessions have begun or ended somewhere."""
        self._hosts_known = False

    def replace_hosts(self, hosts: Mapping[str, str]) -> None:
        """All sessions there are: stream id to node id."""
        self._hosts = dict(hosts)
        self._hosts_known = True

"""Ids and stream keys: how they are made and how they look.

Ids are a prefix and a lower-case ULID, so they sort by creation time to the millisecond. A stream key is `sk_` and 28
characters of base62 (166 bits): below the 32 characters at which some encoders cut, and nothing in it needs escaping.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from typing import Final

from ulid import PureRandomPolicy, ULIDGenerator

STREAM_PREFIX: Final = "ls_"
EDGE_PREFIX: Final = "lse_"
SESSION_PREFIX: Final = "se_"
EVENT_PREFIX: Final = "ev_"
WEBHOOK_PREFIX: Final = "wh_"
RECORDING_PREFIX: Final = "rec_"
KEY_PREFIX: Final = "sk_"
KEY_RANDOM_CHARACTERS: Final = 28
API_KEY_ID_PREFIX: Final = "kid_"
API_KEY_PREFIX: Final = "ak_"
API_KEY_RANDOM_CHARACTERS: Final = 32

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
# Crockford's base32; the first of a ULID's 26 characters carries only three bits.
_ULID = "[0-7][0-9a-hjkmnp-tv-z]{25}"
_STREAM_ID = re.compile(STREAM_PREFIX + _ULID)
_EDGE_ID = re.compile(EDGE_PREFIX + _ULID)
_SESSION_ID = re.compile(SESSION_PREFIX + _ULID)
_RECORDING_ID = re.compile(RECORDING_PREFIX + _ULID)
_STREAM_KEY = re.compile(KEY_PREFIX + f"[0-9A-Za-z]{{{KEY_RANDOM_CHARACTERS}}}")
# Not monotonic within a millisecond: the neighbour of a public id must not be guessable.
_ULIDS = ULIDGenerator(policy=PureRandomPolicy())


def new_stream_id() -> str:
    """A new id of a stream, `ls_…`: stable, known to its owner."""
    return STREAM_PREFIX + _new_ulid()


def new_edge_id() -> str:
    """A new public id of a stream, `lse_…`: the one in playback URLs."""
    return EDGE_PREFIX + _new_ulid()


def new_session_id() -> str:
    """A new id of a session, `se_…`: never used again, so media URLs that hold it can be cached for ever."""
    return SESSION_PREFIX + _new_ulid()


def new_event_id() -> str:
    """A new id of an event, `ev_…`: a consumer that sees it twice has seen one event twice."""
    return EVENT_PREFIX + _new_ulid()


def new_webhook_id() -> str:
    """A new id of a webhook, `wh_…`."""
    return WEBHOOK_PREFIX + _new_ulid()


def new_stream_key() -> str:
    """A new stream key, `sk_…`, from the system's random source. It is a secret: store only its `key_hash`."""
    return KEY_PREFIX + _random_base62(KEY_RANDOM_CHARACTERS)


def new_api_key() -> str:
    """A new API key, `ak_…`, from the system's random source. It is a secret: store only its `key_hash`."""
    return API_KEY_PREFIX + _random_base62(API_KEY_RANDOM_CHARACTERS)


def new_api_key_id() -> str:
    """A new id of an API key, `kid_…`: what logs and lists call the key."""
    return API_KEY_ID_PREFIX + _new_ulid()


def key_hash(key: str) -> str:
    """SHA-256 of a stream key or API key as 64 lower-case hex digits. Takes any text, lone surrogates too."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _random_base62(characters: int) -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(characters))


def _new_ulid() -> str:
    return str(_ULIDS.generate()).lower()


def is_stream_id(text: str) -> bool:
    """Whether `text` has the form of a stream id."""
    return _STREAM_ID.fullmatch(text) is not None


def is_edge_id(text: str) -> bool:
    """Whether `text` has the form of an edge id."""
    return _EDGE_ID.fullmatch(text) is not None


def is_session_id(text: str) -> bool:
    """Whether `text` has the form of a session id."""
    return _SESSION_ID.fullmatch(text) is not None


def is_recording_id(text: str) -> bool:
    """Whether `text` has the form of a recording id: that of its session, with another prefix."""
    return _RECORDING_ID.fullmatch(text) is not None


def is_stream_key(text: str) -> bool:
    """Whether `text` has the form of a stream key; only the store knows whether it is one."""
    return _STREAM_KEY.fullmatch(text) is not None

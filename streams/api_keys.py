"""API keys in Redis: who may ask, for which environment, how much, and how often.

Only the SHA-256 of a key is kept. A revoked key stays as a record, so that it cannot come back by accident.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import structlog
from redis.asyncio import Redis

from streams import ids
from streams.keys import Keys
from streams.records import text
from streams.scripts import script_text
from streams.times import format_utc_s, parse_utc, utc_now

log = structlog.get_logger()

LABEL_MAX_CHARACTERS: Final = 100
DEFAULT_ENVIRONMENT: Final = "default"
_ENVIRONMENT = re.compile("[a-z0-9][a-z0-9-]{0,62}")
_US = 1_000_000


class Scope(StrEnum):
    """What a key may do."""

    FULL = "full"
    READ = "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What is known of an API key. `shown_prefix` is how it begins, to recognise it by."""

    key_id: str
    env: str
    scope: Scope
    label: str
    shown_prefix: str
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who makes a request."""

    key_id: str
    env: str
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often a key may ask: `burst` requests at once, refilled at `per_s`."""

    per_s: float
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What is left of a rate: `remaining` requests now; all of them again after `full_after_s`."""

    admitted: bool
    remaining: int
    wait_s: float  # until a request is admitted; 0 when this one was
    full_after_s: float


class ApiKeys:
    """The API keys of one installation."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._admit = redis.register_script(script_text("admit"))
        self._add = redis.register_script(script_text("add_api_key"))

    async def admit(self, key: str, rate: Rate) -> tuple[Caller, Quota] | None:
        """Count a request with this key. None when the key is unknown or revoked."""
        key_hash = ids.key_hash(key)
        interval_us = _US / rate.per_s
        found = await self._admit(
            keys=(self._keys.api_key(key_hash), self._keys.rate(key_hash)), args=(interval_us, rate.burst)
        )
        if not found:
            return None
        key_id, env, scope, admitted, remaining, wait_us, full_us = found
        caller = Caller(key_id=text(key_id), env=text(env), scope=Scope(text(scope)))
        return caller, Quota(
            admitted=bool(admitted), remaining=remaining, wait_s=wait_us / _US, full_after_s=full_us / _US
        )

    async def create(self, env: str, *, label: str = "", scope: Scope = Scope.FULL) -> tuple[ApiKey, str]:
        """A new key, returned here and kept nowhere. Raises `ValueError` for a wrong name of an environment."""
        key = ids.new_api_key()
        return await self.add(env, key, label=label, scope=scope), key

    async def add(self, env: str, key: str, *, label: str = "", scope: Scope = Scope.FULL) -> ApiKey:
        """Let a key in that was made elsewhere. One that is known stays as it is, revoked or not."""
        check_environment(env)
        if len(label) > LABEL_MAX_CHARACTERS or not (label.isprintable() or label == ""):
            raise ValueError(f"the label must be one line of at most {LABEL_MAX_CHARACTERS} characters, not {label!r}")
        key_hash = ids.key_hash(key)
        record = ["env", env, "scope", scope.value, "label", label]
        record += ["shown_prefix", _shown_prefix(key), "created_at", format_utc_s(utc_now())]
        flat = await self._add(
            keys=(self._keys.api_key(key_hash), self._keys.api_keys), args=(ids.new_api_key_id(), key_hash, *record)
        )
        return _read([text(item) for item in flat])

    async def list(self, env: str | None = None) -> Sequence[ApiKey]:
        """The keys of an environment, or of all, oldest first, revoked ones included."""
        hashes = await self._redis.hgetall(self._keys.api_keys)
        async with self._redis.pipeline(transaction=False) as pipe:
            for key_hash in hashes.values():
                pipe.hgetall(self._keys.api_key(text(key_hash)))
            records = await pipe.execute()
        keys = [_read([text(item) for pair in record.items() for item in pair]) for record in records if record]
        return sorted((key for key in keys if env in (None, key.env)), key=lambda key: (key.created_at, key.key_id))

    async def revoke(self, key_id: str, env: str) -> ApiKey | None:
        """Revoke a key; its very next request is refused. None when the environment has no key of this id."""
        found = next((key for key in await self.list(env) if key.key_id == key_id), None)
        key_hash = await self._redis.hget(self._keys.api_keys, key_id)
        if found is None or key_hash is None:
            return None
        name = self._keys.api_key(text(key_hash))
        await self._redis.hsetnx(name, "revoked_at", format_utc_s(utc_now()))
        log.info("api_key_revoked", key_id=key_id, env=env)
        return _read([text(item) for pair in (await self._redis.hgetall(name)).items() for item in pair])


def check_environment(env: str) -> None:
    """Raises `ValueError` for what is no name of an environment."""
    if not _ENVIRONMENT.fullmatch(env):
        raise ValueError(
            f"the name of an environment is 1 to 63 of a-z, 0-9 and -, and begins with no -; {env[:80]!r} is not one"
        )


def _shown_prefix(key: str) -> str:
    # A short key, chosen by hand, would lose too much of itself.
    return key[: len(ids.API_KEY_PREFIX) + 4] if len(key) >= 24 else key[:2]


def _read(flat: list[str]) -> ApiKey:
    fields: dict[str, Any] = dict(zip(flat[::2], flat[1::2], strict=True))
    return ApiKey(
        key_id=fields["id"],
        env=fields["env"],
        scope=Scope(fields["scope"]),
        label=fields["label"],
        shown_prefix=fields["shown_prefix"],
        created_at=parse_utc(fields["created_at"]),
        revoked_at=parse_utc(fields["revoked_at"]) if "revoked_at" in fields else None,
    )

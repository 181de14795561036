"""What the roles have in common: how one that has come up, or has not, is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from antlive.listener import listen_problem
from config.settings import ENV_PREFIX, Settings
from streams.problems import problem_of

if TYPE_CHECKING:
    from ingest.drain import Drain

DEFAULT_REDIS_URL = "redis://localhost:6379/0"


@dataclass(frozen=True, slots=True)
class Running:
    """A role that has come up: its actual ports, and how to drain it if it takes publishers."""

    ports: dict[str, Any]
    drain: Drain | None = None


class CannotStart(RuntimeError):
    """A role did not come up. The message is one line for the person who started it."""


@contextmanager
def listening(settings: Settings, name: str, port: int) -> Iterator[None]:
    """Names the setting behind a port that can't be had."""
    try:
        yield
    except OSError as error:
        raise CannotStart(listen_problem(settings, name, port, error)) from error


@contextmanager
def asking_redis() -> Iterator[None]:
    """Says what is wrong with Redis."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise CannotStart(f"cannot use Redis ({ENV_PREFIX}REDIS_URL): {problem_of(error)}") from error

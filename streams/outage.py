"""A Redis that is away is said once, and once that it is back, however often it is tried meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from redis.exceptions import RedisError

from streams.problems import problem_of

log = structlog.get_logger()


class Outage:
    """What one loop knows of Redis. `warning` is the log's word for what it can't do meanwhile."""

    def __init__(self, warning: str) -> None:
        self._warning = warning
        self.is_on = False
        """Whether the last try has failed."""

    @contextmanager
    def noted(self) -> Iterator[None]:
        """One try: errors of Redis end here."""
        try:
            yield
        except (RedisError, OSError) as error:
            if not self.is_on:
                log.warning(self._warning, error=problem_of(error))
            self.is_on = True
        else:
            if self.is_on:
                log.info("redis_is_back", after=self._warning)
            self.is_on = False

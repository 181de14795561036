"""A Redis that is away is said once, and that it is back."""

from __future__ import annotations

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from streams.outage import Outage


def test_it_is_said_once_and_that_it_is_over() -> None:
    outage = Outage("heartbeat_not_sent")
    with capture_logs() as logs:
        for error in (None, RedisConnectionError("gone"), ConnectionRefusedError(), None, None, OSError("again")):
            with outage.noted():
                if error is not None:
                    raise error
            assert outage.is_on == (error is not None)
    said = [(entry["log_level"], entry["event"]) for entry in logs]
    assert said == [("warning", "heartbeat_not_sent"), ("info", "redis_is_back"), ("warning", "heartbeat_not_sent")]


def test_any_other_error_is_a_bug_and_passes() -> None:
    outage = Outage("heartbeat_not_sent")
    with pytest.raises(KeyError), outage.noted():
        raise KeyError
    assert not outage.is_on

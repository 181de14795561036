"""Limits on those who have not shown a key, by address."""

from __future__ import annotations

import threading

import pytest

from config.limits import IngestLimits
from ingest.addresses import AddressRate, network_of, plain_ip
from ingest.strangers import TOO_MANY_CONNECTIONS, TOO_MANY_FAILURES, Strangers


def test_connections_are_counted_in_all_and_by_address() -> None:
    strangers = Strangers(IngestLimits(unauthenticated_connections=3, unauthenticated_connections_per_ip=2))
    assert strangers.enter("192.0.2.1") is None
    assert strangers.enter("192.0.2.1") is None
    assert strangers.enter("192.0.2.1") == TOO_MANY_CONNECTIONS
    assert strangers.enter("192.0.2.2") is None
    assert strangers.enter("192.0.2.3") == TOO_MANY_CONNECTIONS
    strangers.leave("192.0.2.1")
    assert strangers.enter("192.0.2.3") is None


def test_a_host_with_ipv6_has_one_network_and_not_2_to_the_64_addresses() -> None:
    strangers = Strangers(IngestLimits(unauthenticated_connections_per_ip=2, failures_per_ip=2))
    assert [strangers.enter(f"2001:db8::{n:x}") for n in (1, 2, 3)] == [None, None, TOO_MANY_CONNECTIONS]
    assert strangers.enter("2001:db8:0:1::1") is None
    strangers.leave("2001:db8::1")
    strangers.leave("2001:db8::2")
    for n in range(2):
        strangers.failed(f"2001:db8::{n:x}", "wrong_key")
    assert strangers.enter("2001:db8::77") == TOO_MANY_FAILURES


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("unknown", "unknown"),
    ],
)
def test_network_of(ip: str, network: str) -> None:
    assert network_of(ip) == network


def test_an_ipv4_address_is_the_same_over_ipv6() -> None:
    assert plain_ip("::ffff:192.0.2.1") == "192.0.2.1"
    assert plain_ip("2001:db8::1") == "2001:db8::1"


def test_only_faults_count_and_they_are_forgiven_in_time() -> None:
    now_s = 0.0
    strangers = Strangers(IngestLimits(failures_per_ip=2, failures_per_ip_per_s=0.5), lambda: now_s)
    for reason in ("already_publishing", "try_again", "peer_closed", "shutdown", "too_many_failures"):
        for _ in range(3):
            strangers.failed("192.0.2.1", reason)
    assert not strangers.is_slowed("192.0.2.1")
    strangers.failed("192.0.2.1", "wrong_key")
    strangers.failed("192.0.2.1", "protocol_error")
    assert strangers.is_slowed("192.0.2.1") and not strangers.is_slowed("192.0.2.2")
    now_s = 2.0
    assert not strangers.is_slowed("192.0.2.1")


def test_a_rate_is_a_burst_and_then_per_second_and_memory_is_bounded() -> None:
    now_s = 0.0
    rate = AddressRate(2, 2, lambda: now_s)
    assert [rate.take("a") for _ in range(3)] == [True, True, False]
    now_s = 0.5
    assert not rate.spent("a")
    assert [rate.take("a") for _ in range(2)] == [True, False]
    assert rate.spent("a")
    for number in range(10_000):
        rate.take(str(number))
    assert len(rate._left) <= 4096


def test_a_rate_counts_from_any_thread() -> None:
    rate = AddressRate(1000, 0.0)
    allowed: list[bool] = []
    threads = [threading.Thread(target=lambda: allowed.extend(rate.take("a") for _ in range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(allowed) == 1000 and len(allowed) == 2000

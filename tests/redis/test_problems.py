"""What is said of a Redis that can't be used: what is wrong, and never a password."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from streams.connection import open_redis
from streams.problems import problem_of
from tests.certificates import write_certificate
from tests.redis.servers import Server as RedisProcess
from tests.redis.servers import answers, listens, servers, until

PASSWORD = "hunter22-hunter22"


async def problem_at(url: str, *command: str) -> str:
    redis = open_redis(url, timeout_s=0.7)
    try:
        with pytest.raises((RedisError, OSError)) as failed:
            await redis.execute_command(*(command or ("PING",)))  # type: ignore[no-untyped-call]
    finally:
        await redis.aclose()
    problem = problem_of(failed.value)
    assert not any(host in problem_of(failed.value, for_anybody=True) for host in ("127.0.0.1", "localhost:"))
    assert PASSWORD not in problem and "\n" not in problem
    return problem


async def test_each_way_to_fail_is_told(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    write_certificate(cert, key, "redis.example")
    files = ("--tls-cert-file", str(cert), "--tls-key-file", str(key), "--tls-ca-cert-file", str(cert))
    with servers() as (stack, directory):
        tls = RedisProcess(stack, directory / "tls", "--tls-auth-clients", "no", *files, tls=True)
        closed = RedisProcess(stack, directory / "closed", "--requirepass", PASSWORD)
        plain = RedisProcess(stack, directory / "plain")
        until(lambda: listens(tls) and listens(closed) and answers(plain), "the servers")
        plain.ask("ACL", "SETUSER", "weak", "on", f">{PASSWORD}", "-@all", "+ping", "+hello")

        cases = {
            f"rediss://{tls.address}": f"{tls.address}: TLS: the certificate is refused: self-signed certificate",
            f"rediss://localhost:{tls.port}?ssl_ca_certs={cert}": f"localhost:{tls.port}: TLS: the certificate is "
            "refused: Hostname mismatch, certificate is not valid for 'localhost'",
            f"rediss://{tls.address}?ssl_ca_certs={tmp_path}/none": f"{tls.address}: No such file or directory",
            f"redis://{closed.address}": "it wants a login, and none is set (NOAUTH)",
            f"redis://:x{PASSWORD}@{closed.address}": "login refused: wrong user or password, or the user is "
            "disabled (WRONGPASS)",
            f"redis://{plain.address}/99": "DB index is out of range",
            f"redis+sentinel://:{PASSWORD}@{plain.address},127.0.0.1:1/live": "no sentinel node names a master "
            f"({plain.address}: unknown command 'SENTINEL'; 127.0.0.1:1: connection refused)",
        }
        for url, words in cases.items():
            assert await problem_at(url) == words
        refused = await problem_at(f"redis://weak:{PASSWORD}@{plain.address}", "GET", "name")
        assert refused.startswith("the user lacks a right (NOPERM): ") and "'get'" in refused
    assert await problem_at(f"redis://:{PASSWORD}@127.0.0.1:1") == "127.0.0.1:1: connection refused"
    assert (await problem_at(f"redis://:{PASSWORD}@nobody.invalid:6379")).startswith(
        "nobody.invalid:6379: host not found: "
    )


def test_what_a_server_quotes_is_left_out() -> None:
    quoting = ResponseError(f"unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' '{PASSWORD}'")
    assert problem_of(quoting) == "unknown command 'HELLO'"


def test_a_cause_that_is_not_kept_is_read_from_the_text() -> None:
    alone = RedisConnectionError("Error 111 connecting to redis:6379. Connection refused.")
    assert problem_of(alone) == "redis:6379: connection refused"

"""Real Redis servers on TCP ports of their own: a cluster of three masters, a Sentinel set, a server with TLS."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError

HOST = "127.0.0.1"
START_S = 20.0


class Server:
    """One redis-server process, or a Sentinel."""

    def __init__(self, stack: ExitStack, directory: Path, *options: str, tls: bool = False) -> None:
        self.port = free_port()
        self.address = f"{HOST}:{self.port}"
        directory.mkdir()
        sentinel = [str(directory / "sentinel.conf")] if "--sentinel" in options else []
        if sentinel:
            (directory / "sentinel.conf").touch()
        port = ["--port", "0", "--tls-port", str(self.port)] if tls else ["--port", str(self.port)]
        command = ["redis-server", *sentinel, *port, "--bind", HOST, "--dir", str(directory)]
        if not sentinel:
            command += ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"]
        with (directory / "log").open("wb") as log:
            self.process = subprocess.Popen([*command, *options], stdout=log, stderr=log)
        stack.callback(self.kill)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()

    def ask(self, *command: str | int) -> Any:
        """The answer to one command, as whoever may do everything."""
        with Redis(host=HOST, port=self.port, socket_timeout=2) as client:
            return client.execute_command(*command)

    def info(self, section: str) -> dict[str, Any]:
        """INFO."""
        with Redis(host=HOST, port=self.port, socket_timeout=2) as client:
            found: dict[str, Any] = client.info(section)
            return found


def free_port() -> int:
    """A TCP port that is free now, with the port of the cluster bus above it."""
    while True:
        with socket.socket() as one:
            one.bind((HOST, 0))
            port: int = one.getsockname()[1]
        if port < 50_000:
            return port


def until(condition: Callable[[], bool], what: str, timeout_s: float = START_S) -> None:
    """Return once it holds. An error of Redis is a no."""
    give_up_s = time.monotonic() + timeout_s
    while True:
        try:
            if condition():
                return
        except (RedisError, OSError):
            pass
        assert time.monotonic() < give_up_s, f"waited {timeout_s} s for {what}"
        time.sleep(0.02)


def answers(server: Server) -> bool:
    """Whether it is up."""
    return bool(server.ask("PING"))


def listens(server: Server) -> bool:
    """Whether it takes connections."""
    with socket.create_connection((HOST, server.port)):
        return True


class Cluster:
    """Three masters, and a replica of the one that has the slot of `tag`. `acl` are commands for each of them."""

    def __init__(self, stack: ExitStack, directory: Path, tag: str, *acl: Sequence[str]) -> None:
        options = (
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "1000",
            "--cluster-replica-validity-factor",
            "0",
        )
        self.servers = [Server(stack, directory / str(number), *options) for number in range(4)]
        until(lambda: all(answers(server) for server in self.servers), "the servers")
        ranges = ((0, 5460), (5461, 10922), (10923, 16383))
        slot = key_slot(tag.encode())
        for server, (first, last) in zip(self.servers, ranges, strict=False):
            server.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
            if first <= slot <= last:
                self.master = server
        self.replica = self.servers[3]
        for number, server in enumerate(self.servers):
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            server.ask("CLUSTER", "MEET", HOST, self.servers[0].port)
            for command in acl:
                server.ask(*command)
        until(lambda: all(len(nodes_of(server)) == 4 for server in self.servers), "all nodes")
        self.replica.ask("CLUSTER", "REPLICATE", self.master.ask("CLUSTER", "MYID").decode())
        until(lambda: all(is_ok(server) for server in self.servers), "the cluster")
        until(lambda: in_sync(self.master), "the replica")

    @property
    def url(self) -> str:
        """Two of its masters."""
        return f"redis+cluster://{self.servers[0].address},{self.servers[1].address}"


class SentinelSet:
    """A master `live` with a replica, and three Sentinels."""

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        self.master = Server(stack, directory / "master")
        until(lambda: answers(self.master), "the master")
        self.replica = Server(stack, directory / "replica", "--replicaof", HOST, str(self.master.port))
        until(lambda: in_sync(self.master), "the replica")
        watch = ("--sentinel", "monitor", "live", HOST, str(self.master.port), "2")
        quick = (
            "--sentinel",
            "down-after-milliseconds",
            "live",
            "500",
            "--sentinel",
            "failover-timeout",
            "live",
            "2000",
        )
        self.sentinels = [Server(stack, directory / f"sentinel{number}", *watch, *quick) for number in range(3)]
        until(lambda: all(knows_the_others(sentinel) for sentinel in self.sentinels), "the Sentinels")

    def has_changed(self) -> bool:
        """Whether every Sentinel takes the replica for the master."""
        found = [sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "live") for sentinel in self.sentinels]
        return all(int(port) == self.replica.port for _, port in found)

    @property
    def url(self) -> str:
        """All Sentinels."""
        return f"redis+sentinel://{','.join(sentinel.address for sentinel in self.sentinels)}/live"


def nodes_of(server: Server) -> list[bytes]:
    """The lines of CLUSTER NODES without those that are only being met."""
    lines: list[bytes] = server.ask("CLUSTER", "NODES").splitlines()
    return [line for line in lines if b"handshake" not in line]


def is_ok(server: Server) -> bool:
    """Whether it thinks that all slots are served."""
    return b"cluster_state:ok" in server.ask("CLUSTER", "INFO")


def is_master(server: Server) -> bool:
    """Whether it is one now."""
    return bool(server.info("replication")["role"] == "master")


def in_sync(master: Server) -> bool:
    """Whether its replica has all that was written."""
    state = master.info("replication")
    replica = state.get("slave0") or {}
    return replica.get("state") == "online" and replica.get("offset") == state["master_repl_offset"]


def knows_the_others(sentinel: Server) -> bool:
    """Whether a Sentinel has found the two others, and the replica."""
    found = sentinel.info("sentinel").get("master0", {})
    return (found.get("sentinels"), found.get("slaves")) == (3, 1)


@contextmanager
def servers() -> Iterator[tuple[ExitStack, Path]]:
    """Where servers are started, which are gone at the end."""
    with tempfile.TemporaryDirectory(prefix="antlive-redis-") as directory, ExitStack() as stack:
        yield stack, Path(directory)

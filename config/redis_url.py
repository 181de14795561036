"""Where Redis is, as one URL: a server, a set of Sentinels, or a cluster.

    redis://[user:password@]host[:port][/db]                       one server; rediss:// for TLS; unix:///path
    redis+sentinel://[user:password@]host[:port],…/service[/db]    whichever server the Sentinels call the master
    redis+cluster://[user:password@]host[:port],…                  the master that has our hash slot

`rediss+sentinel` and `rediss+cluster` are TLS. Sentinels that want a login get `sentinel_username` and
`sentinel_password` from the query; the other options of the query are redis-py's, such as `ssl_ca_certs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from redis.asyncio.connection import parse_url

CLUSTER_PREFIX: Final = "{antlive}:"
"""Of all keys on a cluster: what is in braces decides the hash slot, so they are all in one."""
_DEFAULT_PORTS: Final = {"sentinel": 26379, "cluster": 6379}
_PREFIX_OPTION: Final = "prefix"
_OPTIONS: Final = frozenset({"db", "username", "password", "client_name", "health_check_interval"}) | {
    f"socket_{name}" for name in ("timeout", "connect_timeout", "keepalive")
}
_TLS_OPTIONS: Final = frozenset(
    f"ssl_{name}"
    for name in ["ca_certs", "ca_path", "certfile", "keyfile", "password", "cert_reqs", "check_hostname", "ciphers"]
)
_SENTINEL_OPTIONS: Final = ("sentinel_username", "sentinel_password")


class Kind(Enum):
    """What the hosts of a URL are."""

    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisUrl:
    """A URL taken apart. `server_url` is that of its first host, with all options, for redis-py."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...]
    server_url: str
    service: str = ""
    sentinel_login: tuple[str | None, str | None] = (None, None)
    prefix: str = CLUSTER_PREFIX

    def __repr__(self) -> str:
        return f"RedisUrl(kind={self.kind}, hosts={self.hosts})"


def split_url(url: str) -> SplitResult:
    """As `urlsplit`, whose newer versions refuse an IPv6 address that is not the only host."""
    rest, _, fragment = url.partition("#")
    rest, _, query = rest.partition("?")
    scheme, _, rest = rest.partition("://")
    netloc, slash, path = rest.partition("/")
    return SplitResult(scheme.lower(), netloc, f"{slash}{path}", query, fragment)


def joined_url(parts: SplitResult) -> str:
    """As `urlunsplit`, which leaves `//` out where no host follows."""
    query, fragment = (f"{sign}{text}" if text else "" for sign, text in (("?", parts.query), ("#", parts.fragment)))
    return f"{parts.scheme}://{parts.netloc}{parts.path}{query}{fragment}"


def parse_redis_url(url: str) -> RedisUrl:
    """Raises `ValueError` for what is no such URL; its text does not repeat the URL."""
    parts = split_url(url)
    scheme, _, kind_name = parts.scheme.partition("+")
    is_known = scheme in ("redis", "rediss") and kind_name in ("", *_DEFAULT_PORTS)
    if not is_known and parts.scheme != "unix":
        raise ValueError("must begin with redis://, rediss://, unix://, or redis or rediss with +sentinel or +cluster")
    if parts.scheme != "unix" and "@" in parts.path:
        raise ValueError("has a / in its login, which must be written as %2F")
    if not kind_name:
        if parts.scheme != "unix":
            _host(parts.netloc.rpartition("@")[2], _DEFAULT_PORTS["cluster"])
        _check_options(url)
        return RedisUrl(kind=Kind.SERVER, hosts=(), server_url=url)
    login, at, names = parts.netloc.rpartition("@")
    hosts = tuple(_host(name, _DEFAULT_PORTS[kind_name]) for name in names.split(","))
    path = [step for step in parts.path.split("/") if step]
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    service, prefix = "", options.pop(_PREFIX_OPTION, CLUSTER_PREFIX)
    if kind_name == "sentinel":
        if not path:
            raise ValueError(
                "needs the name of the service behind the hosts, as in redis+sentinel://host:26379/service"
            )
        service = path.pop(0)
    elif path and path != ["0"]:
        raise ValueError(f"a cluster has database 0 only, not {path[0][:20]!r}")
    if len(path) > 1 or (path and not path[0].isdigit()):
        raise ValueError("may end with the number of a database, and nothing behind it")
    username, password = (options.pop(name, None) for name in _SENTINEL_OPTIONS)
    first_host, first_port = hosts[0]
    first = f"{login}{at}{f'[{first_host}]' if ':' in first_host else first_host}:{first_port}"
    server_url = joined_url(SplitResult(scheme, first, "/".join(["", *path]), urlencode(options), ""))
    _check_options(server_url)
    return RedisUrl(
        kind=Kind(kind_name),
        hosts=hosts,
        server_url=server_url,
        service=service,
        sentinel_login=(username, password),
        prefix=prefix,
    )


def complete_redis_url(
    url: str, *, username: str | None, password: str | None, ca_file: str | None, prefix: str
) -> str:
    """The URL with what is set apart from it: login, certificate authority (PEM file), prefix of all keys."""
    parts = split_url(url)
    own_login, at, hosts = parts.netloc.rpartition("@")
    own_user, _, own_password = own_login.partition(":")
    user = own_user if username is None else quote(username, safe="")
    secret = own_password if password is None else quote(password, safe="")
    netloc = f"{user}:{secret}@{hosts}" if user or secret else f"{own_login}{at}{hosts}"
    options = parse_qsl(parts.query, keep_blank_values=True)
    if ca_file is not None:
        options.append(("ssl_ca_certs", ca_file))
    if parts.scheme.endswith("+cluster"):
        options.append((_PREFIX_OPTION, prefix))
    return joined_url(parts._replace(netloc=netloc, query=urlencode(options)))


def _check_options(server_url: str) -> None:
    parts = urlsplit(server_url)
    known = _OPTIONS | (_TLS_OPTIONS if parts.scheme == "rediss" else set())
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:
            raise ValueError(f"has an unknown option {name[:40]!r}; known: {', '.join(sorted(known))}")
    parse_url(server_url)  # raises for a value that can't be one, and names the option


def _host(name: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{name}")
    try:
        host, port = parts.hostname, parts.port or default_port
    except ValueError:
        host = None
    if not host:
        raise ValueError("needs a host, or several with commas between them, each with :port or not")
    return host, port


def has_hash_tag(prefix: str) -> bool:
    """Whether all keys with this prefix are in one hash slot of a cluster."""
    _, _, rest = prefix.partition("{")
    tag, brace, _ = rest.partition("}")
    return bool(tag and brace)

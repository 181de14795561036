"""Redis URLs: one server, Sentinels, clusters; what is set apart from them; prefixes."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from config.effective import effective_toml, without_password
from config.fitting import MASK
from config.redis_url import Kind, complete_redis_url, has_hash_tag, joined_url, parse_redis_url, split_url
from config.settings import Settings, SettingsError, load_settings


def test_one_server_is_left_to_redis_py() -> None:
    for url in ("redis://host", "rediss://u:p@host:6380/1?ssl_check_hostname=false", "unix:///run/redis.sock?db=2"):
        parsed = parse_redis_url(url)
        assert (parsed.kind, parsed.server_url) == (Kind.SERVER, url)


def test_sentinels_and_their_service() -> None:
    parsed = parse_redis_url(
        "rediss+sentinel://u:p%40ss@one,two:5,[::1]:6/live/3?ssl_ca_certs=x&sentinel_username=s&sentinel_password=t"
    )
    assert parsed.kind is Kind.SENTINEL and parsed.service == "live" and parsed.sentinel_login == ("s", "t")
    assert parsed.hosts == (("one", 26379), ("two", 5), ("::1", 6))
    assert parsed.server_url == "rediss://u:p%40ss@one:26379/3?ssl_ca_certs=x"
    assert "ss" not in repr(parsed)


def test_a_cluster_and_its_prefix() -> None:
    parsed = parse_redis_url("redis+cluster://one:7000,two?prefix=%7Bx%7D%3A")
    assert (parsed.kind, parsed.prefix) == (Kind.CLUSTER, "{x}:")
    assert parsed.hosts == (("one", 7000), ("two", 6379)) and parsed.server_url == "redis://one:7000"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://host", "must begin with"),
        ("redis+other://host", "must begin with"),
        ("unix+cluster:///x", "must begin with"),
        ("redis+sentinel://host", "service"),
        ("redis+sentinel://host/live/x", "number of a database"),
        ("redis+sentinel://host/live/0/1", "number of a database"),
        ("redis+cluster://host/2", "database 0"),
        ("redis+cluster://", "needs a host"),
        ("redis+cluster://one,,two", "needs a host"),
        ("redis+cluster://one:99999", "needs a host"),
        ("redis://one:99999", "needs a host"),
        ("redis://user:pass/word@host", "%2F"),
        ("redis://host?ssl_ca_certs=x", "unknown option 'ssl_ca_certs'; known: client_name, db"),
        ("rediss://host?foo=1", "unknown option 'foo'; known: .*ssl_ca_certs"),
        ("redis+sentinel://host/live?foo=1", "unknown option 'foo'"),
        ("redis://host?db=one", "Invalid value for 'db'"),
        ("unix:///x?socket_timeout=long", "Invalid value for 'socket_timeout'"),
    ],
)
def test_what_is_no_such_url_is_refused(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_redis_url(url)


def test_login_and_authority_are_put_in() -> None:
    def complete(url: str, username: str | None, password: str | None) -> str:
        return complete_redis_url(url, username=username, password=password, ca_file=None, prefix="{p}:")

    assert complete("redis://host:1/2", None, "p@ss/word") == "redis://:p%40ss%2Fword@host:1/2"
    assert complete("redis://a:b@host", "user", "new") == "redis://user:new@host"
    assert complete("redis://a:b@host", None, None) == "redis://a:b@host"
    url = complete("rediss+cluster://one,two", "u", None)
    assert url == "rediss+cluster://u:@one,two?prefix=%7Bp%7D%3A"
    assert parse_redis_url(url).prefix == "{p}:"


def test_hash_tags() -> None:
    assert has_hash_tag("{antlive}:") and has_hash_tag("x{y}z")
    assert not any(map(has_hash_tag, ("antlive:", "{}:", "{x", "x}")))


def test_on_a_cluster_the_prefix_has_a_hash_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(redis_url="redis://host").redis_prefix == "antlive:"
    assert Settings(redis_url="redis+sentinel://host/live").redis_prefix == "antlive:"
    assert Settings(redis_url="redis+cluster://host").redis_prefix == "{antlive}:"
    assert Settings(redis_url="redis+cluster://host", redis_prefix="{x}:").redis_prefix == "{x}:"
    monkeypatch.setenv("ANTLIVE_REDIS_URL", "redis+cluster://host")
    monkeypatch.setenv("ANTLIVE_REDIS_PREFIX", "live:")
    with pytest.raises(SettingsError, match=r"REDIS_PREFIX = 'live:'.*hash tag"):
        load_settings()


def test_the_password_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter22\n")
    monkeypatch.setenv("ANTLIVE_REDIS_URL", "redis://host")
    monkeypatch.setenv("ANTLIVE_REDIS_PASSWORD_FILE", str(file))
    settings = load_settings()
    assert settings.full_redis_url == "redis://:hunter22@host"
    assert "hunter22" not in effective_toml(settings) + repr(settings)


def test_what_belongs_to_a_redis_of_ones_own_needs_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTLIVE_REDIS_PASSWORD", "hunter22")
    with pytest.raises(SettingsError, match="redis_password needs redis_url") as caught:
        load_settings()
    assert "hunter22" not in str(caught.value)
    monkeypatch.setenv("ANTLIVE_REDIS_URL", "redis://host")
    monkeypatch.setenv("ANTLIVE_REDIS_CA", "/ca.pem")
    with pytest.raises(SettingsError, match="redis_ca needs a redis_url with TLS"):
        load_settings()


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:p@host:1/2?db=3#x",
        "unix:///run/r.sock?db=2",
        "rediss+cluster://a,b:7/0",
        "redis://[::1]:5",
        "nonsense",
        "",
    ],
)
def test_a_url_is_split_as_others_are(url: str) -> None:
    parts, usual = split_url(url), urlsplit(url)
    if "://" in url:
        assert parts == usual and joined_url(parts) == url
        completed = complete_redis_url(url, username=None, password=None, ca_file=None, prefix="")
        assert completed.startswith(url.partition("#")[0])
    else:
        assert parts.netloc == usual.netloc == ""


def test_an_ipv6_address_may_stand_anywhere() -> None:
    url = "redis+sentinel://u:p@one,[::1]:6,[::2]/live"
    assert parse_redis_url(url).hosts == (("one", 26379), ("::1", 6), ("::2", 26379))
    assert without_password(url) == url.replace(":p@", f":{MASK}@")
    assert complete_redis_url(url, username="x", password=None, ca_file=None, prefix="") == url.replace("u:", "x:")

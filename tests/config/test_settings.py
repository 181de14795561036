from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.effective import effective_toml
from config.fitting import MASK
from config.settings import PATHS, Settings, SettingsError, load_settings

SECRET = "ak_very_secret"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith("ANTLIVE_"):
            monkeypatch.delenv(name)
    yield


def test_without_any_configuration_the_defaults_hold() -> None:
    settings = load_settings()
    assert (settings.http_port, settings.rtmp_port) == (8080, 1935)
    assert (settings.segment_s, settings.part_s, settings.reconnect_window_s) == (2.0, 0.333, 60)
    assert settings.redis_url is None


@pytest.mark.parametrize(
    ("name", "value", "parts"),
    [
        ("ANTLIVE_HTTP_PORT", "70000", ["ANTLIVE_HTTP_PORT", "70000", "65535"]),
        ("ANTLIVE_HTTP_PORT", "eighty", ["ANTLIVE_HTTP_PORT", "eighty"]),
        ("ANTLIVE_SEGMENT_S", "0.1", ["ANTLIVE_SEGMENT_S", "0.1", "1"]),
        ("ANTLIVE_PART_S", "1.5", ["ANTLIVE_PART_S", "1.5", "half of segment_s"]),
        ("ANTLIVE_LOG_LEVEL", "loud", ["ANTLIVE_LOG_LEVEL", "loud", "debug"]),
        ("ANTLIVE_CHUNK_S", "0.5", ["chunk_s = 0.5", "part_s (0.333)"]),
        ("ANTLIVE_RECORDING_STORE", "https://bucket", ["ANTLIVE_RECORDING_STORE", "https://bucket", "s3://"]),
        ("ANTLIVE_RECORDING_STORE_ENDPOINT", "http://s3", ["recording_store_endpoint needs recording_store"]),
        ("ANTLIVE_RECORDING_STORE_SECRET_KEY", "x", ["recording_store_access_key", "need each other"]),
        ("ANTLIVE_RECORDING_SPOOL_MB", "1", ["ANTLIVE_RECORDING_SPOOL_MB", "1", "64"]),
        ("ANTLIVE_RECONNECT_WINDOW_S", "-1", ["ANTLIVE_RECONNECT_WINDOW_S", "-1", "0"]),
        ("ANTLIVE_HTTP_PROT", "80", ["ANTLIVE_HTTP_PROT", "unknown"]),
        ("ANTLIVE_RECORDING_RETENTION_S", "inf", ["ANTLIVE_RECORDING_RETENTION_S", "inf", "finite"]),
        ("ANTLIVE_PUBLIC_HOST", "a b/c", ["ANTLIVE_PUBLIC_HOST", "a b/c"]),
        ("ANTLIVE_REDIS_PREFIX", "", ["ANTLIVE_REDIS_PREFIX", "at least 1"]),
        ("ANTLIVE_API_KEY", "ak with spaces", ["ANTLIVE_API_KEY = <hidden>", "pattern"]),
        ("ANTLIVE_DATA_DIR", "", ["ANTLIVE_DATA_DIR = ''", "must be a path"]),
        ("ANTLIVE_MEDIA_DIR", "", ["ANTLIVE_MEDIA_DIR = ''", "must be a path"]),
        ("ANTLIVE_BIND", "", ["ANTLIVE_BIND", "at least 1"]),
        ("ANTLIVE_TLS_CERT", "/c.pem", ["tls_cert = '/c.pem' needs tls_key"]),
        ("ANTLIVE_TLS_KEY", "/k.pem", ["tls_key = '/k.pem' needs tls_cert"]),
        ("ANTLIVE_DRAIN_S", "nan", ["ANTLIVE_DRAIN_S", "nan", "finite"]),
    ],
)
def test_a_wrong_setting_is_named_with_value_and_bound(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, parts: list[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    for part in parts:
        assert part in str(caught.value)


def test_a_secret_is_not_repeated_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTLIVE_API_KEY", "short!")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "ANTLIVE_API_KEY" in str(caught.value)
    assert "short!" not in str(caught.value)


@pytest.mark.parametrize("passphrase", ["too short", "x" * 80, "p\u00e4ssphrase of words"])
def test_a_passphrase_that_srt_cannot_use_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, passphrase: str
) -> None:
    monkeypatch.setenv("ANTLIVE_SRT_PASSPHRASE", passphrase)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "ANTLIVE_SRT_PASSPHRASE" in str(caught.value)
    assert passphrase not in str(caught.value)


def test_a_passphrase_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTLIVE_SRT_PASSPHRASE", "correct horse battery")
    assert "correct horse" not in repr(load_settings())


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "antlive.toml"
    file.write_text("http_port = 9001\nrtmp_port = 9002\n")
    monkeypatch.setenv("ANTLIVE_CONFIG", str(file))
    monkeypatch.setenv("ANTLIVE_HTTP_PORT", "9003")
    settings = load_settings()
    assert (settings.http_port, settings.rtmp_port, settings.segment_s) == (9003, 9002, 2.0)


def test_an_unknown_setting_in_the_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "antlive.toml"
    file.write_text("htpt_port = 1\n")
    monkeypatch.setenv("ANTLIVE_CONFIG", str(file))
    with pytest.raises(SettingsError, match=r"unknown setting htpt_port; known: .*http_port"):
        load_settings()


def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTLIVE_CONFIG", "/nowhere/antlive.toml")
    with pytest.raises(SettingsError, match=r"/nowhere/antlive\.toml"):
        load_settings()


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def numbers_in(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if schema.get("type") in ("number", "integer"):
        yield path, schema
    for key, value in schema.items():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                yield from numbers_in(inner, f"{path}.{key}")


def test_every_number_has_a_least_and_a_greatest_value() -> None:
    numbers = list(numbers_in(Settings.model_json_schema(), ""))
    assert len(numbers) > 20
    for path, schema in numbers:
        if not {"enum", "const"} & set(schema):
            assert {"minimum", "exclusiveMinimum"} & set(schema) and "maximum" in schema, path


def test_a_file_that_is_no_toml_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "antlive.toml"
    file.write_text("http_port: 1\n")
    monkeypatch.setenv("ANTLIVE_CONFIG", str(file))
    with pytest.raises(SettingsError, match=r"antlive\.toml' is no TOML: .*line 1"):
        load_settings()
    file.write_bytes(b"\xef\xbb\xbfhttp_port = 1\n")
    with pytest.raises(SettingsError, match=r"antlive\.toml' begins with a byte order mark"):
        load_settings()
    file.write_text("http_port = 1\n", encoding="utf-16")
    with pytest.raises(SettingsError, match=r"antlive\.toml' is no text in UTF-8"):
        load_settings()


def test_every_path_is_among_those_that_must_not_be_empty() -> None:
    assert {name for name, field in Settings.model_fields.items() if "Path" in str(field.annotation)} == PATHS


def test_ladders_that_are_no_json_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTLIVE_LADDERS", "{bad")
    with pytest.raises(SettingsError, match=r"ANTLIVE_LADDERS = '\{bad': must be JSON: .*column 2"):
        load_settings()


def test_a_redis_url_that_is_none_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTLIVE_REDIS_URL", "http://user:hunter22@redis")
    with pytest.raises(SettingsError, match=r"REDIS_URL = <hidden>.*rediss") as caught:
        load_settings()
    assert "hunter22" not in str(caught.value)


def test_what_is_in_force_is_shown_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "API_KEY": SECRET,
        "SRT_PASSPHRASE": "correct horse battery",
        "REDIS_URL": "rediss://live:hunter22@redis:6380/1?password=hunter23&ssl_cert_reqs=none",
        "RECORDING_STORE": "s3://shows",
        "RECORDING_STORE_ACCESS_KEY": "hunter24",
        "RECORDING_STORE_SECRET_KEY": "hunter25",
        "HTTP_PORT": "9001",
        "MEDIA_DIR": "/tmp/media",
    }.items():
        monkeypatch.setenv(f"ANTLIVE_{name}", value)
    settings = load_settings()
    text = effective_toml(settings)
    assert not any(secret in text + repr(settings) for secret in (SECRET, "correct horse", "hunter2"))
    shown = tomllib.loads(text)
    assert (shown["http_port"], shown["media_dir"], shown["api_key"]) == (9001, "/tmp/media", MASK)
    assert shown["redis_url"] == f"rediss://live:{MASK}@redis:6380/1?password={MASK}&ssl_cert_reqs=none"
    assert "# rtmps_port =" in text
    assert all(name in text for name in Settings.model_fields)


@pytest.mark.parametrize(("name", "value"), [("API_KEY", "ak_very_secret"), ("REDIS_URL", "redis://:hunter22@redis")])
def test_a_mask_is_not_taken_for_the_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    monkeypatch.setenv(f"ANTLIVE_{name}", value)
    (tmp_path / "antlive.toml").write_text(effective_toml(load_settings()))
    monkeypatch.delenv(f"ANTLIVE_{name}")
    monkeypatch.setenv("ANTLIVE_CONFIG", str(tmp_path / "antlive.toml"))
    with pytest.raises(SettingsError, match=f"{name.lower()} holds what `antlive config` shows"):
        load_settings()


def test_what_is_shown_can_be_read_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = load_settings()
    file = tmp_path / "antlive.toml"
    file.write_text(effective_toml(settings))
    monkeypatch.setenv("ANTLIVE_CONFIG", str(file))
    again = load_settings()
    assert again.model_copy(update={"media_dir": None}) == settings

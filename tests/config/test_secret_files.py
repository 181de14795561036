from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.reference import reference
from config.settings import SECRET_FILES, SECRETS, Settings, SettingsError, load_settings
from tests.config.test_settings import clean_environment

__all__ = ["clean_environment"]

VALUES = {
    "api_key": "ak_from_a_file",
    "redis_url": "redis://:hunter22@redis:6379/0",
    "srt_passphrase": "correct horse battery",
}


def test_every_secret_can_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert set(SECRET_FILES.values()) == SECRETS >= set(VALUES)
    for variable, name in SECRET_FILES.items():
        (tmp_path / name).write_text(VALUES.get(name, "a secret of some words") + "\n")
        monkeypatch.setenv(variable, str(tmp_path / name))
    settings = load_settings()
    for name in SECRETS:
        assert getattr(settings, name) == VALUES.get(name, "a secret of some words")
    assert all(variable.removesuffix("_FILE") in reference() for variable in SECRET_FILES)


def test_a_file_wins_over_the_settings_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "antlive.toml").write_text('api_key = "ak_of_the_settings"\n')
    (tmp_path / "key").write_text("ak_of_its_own\n")
    monkeypatch.setenv("ANTLIVE_CONFIG", str(tmp_path / "antlive.toml"))
    monkeypatch.setenv("ANTLIVE_API_KEY_FILE", str(tmp_path / "key"))
    assert load_settings().api_key == "ak_of_its_own"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"short", "ANTLIVE_API_KEY = <hidden>"),
        (b"", "key' is empty"),
        (b" \n\n", "key' is empty"),
        (b"ak_one_secret\nak_another\n", "has 2 lines; a secret is one"),
        (b"\xff\xfe\xfd secret", "no text in UTF-8"),
        (b"secret " * 1000, "longer than 4096 bytes"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_what_is_in_it_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, says: str
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("ANTLIVE_API_KEY_FILE", str(file))
    with pytest.raises(SettingsError, match=says) as caught:
        load_settings()
    text = (content or b"").decode(errors="replace").strip()
    assert not text or text not in str(caught.value)


def test_a_pipe_is_no_file_and_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key")
    monkeypatch.setenv("ANTLIVE_API_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(SettingsError, match="key' is no regular file"):
        load_settings()


def test_a_byte_order_mark_is_no_part_of_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbfak_very_secret\r\n")
    monkeypatch.setenv("ANTLIVE_API_KEY_FILE", str(tmp_path / "key"))
    assert load_settings().api_key == "ak_very_secret"


def test_a_secret_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANTLIVE_API_KEY", "ak_very_secret")
    monkeypatch.setenv("ANTLIVE_API_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(SettingsError, match="ANTLIVE_API_KEY and ANTLIVE_API_KEY_FILE are both set"):
        load_settings()


def test_only_secrets_have_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTLIVE_HTTP_PORT_FILE", "/nowhere")
    with pytest.raises(SettingsError, match="unknown setting ANTLIVE_HTTP_PORT_FILE"):
        load_settings()
    assert "http_port" in Settings.model_fields

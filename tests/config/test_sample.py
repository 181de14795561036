from __future__ import annotations

import pytest

from config.reference import REFERENCE_FILE, reference
from config.sample import SAMPLE_FILE, sample_toml
from config.settings import Settings, load_settings


def test_the_sample_file_is_what_the_settings_say() -> None:
    assert SAMPLE_FILE.read_text() == sample_toml(), "run `python -m config.sample`"


def test_the_sample_file_equals_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ANTLIVE_{name.upper()}", raising=False)
    defaults = load_settings()
    monkeypatch.setenv("ANTLIVE_CONFIG", str(SAMPLE_FILE))
    assert load_settings() == defaults


def test_the_reference_page_is_what_the_settings_say() -> None:
    assert REFERENCE_FILE.read_text() == reference(), "run `python -m config.reference`"

"""Ladders of one's own: what they may be, and where they show."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from config.costs import session_units
from config.effective import effective_toml
from config.ladders import LADDERS, Ladder, Rung
from config.own_ladders import LADDERS_MAX
from config.settings import SettingsError, load_settings

TOP = {"height": 720, "bitrate_bps": 3_000_000}
LOW = {"height": 360, "bitrate_bps": 700_000}
SPORT = Ladder((Rung(1080, 7_000_000, 60), Rung(540, 2_000_000, 60), Rung(270, 500_000, 30)), 192_000)


def ladder_of(*renditions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"renditions": list(renditions), **more}


def test_the_documented_example_is_a_ladder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent.parent / "docs/ladders.md").read_text()
    file = tmp_path / "antlive.toml"
    file.write_text(page.split("```toml\n")[1].split("```")[0])
    monkeypatch.setenv("ANTLIVE_CONFIG", str(file))
    settings = load_settings()
    assert settings.all_ladders == {**LADDERS, "sport": SPORT}
    assert settings.qualities == ("standard", "high", "passthrough", "sport")
    assert session_units(SPORT) > session_units(LADDERS["standard"])
    file.write_text(effective_toml(settings))
    assert load_settings().all_ladders["sport"] == SPORT
    assert tomllib.loads(file.read_text())["ladders"]["sport"]["renditions"][1]["height"] == 540


@pytest.mark.parametrize(
    ("ladders", "complaint"),
    [
        ({"x": ladder_of({**TOP, "height": 721})}, r"ladders\.x\.renditions\.0\.height = 721: .*multiple of 2"),
        ({"x": ladder_of({**TOP, "height": 142})}, r"height = 142: .*144"),
        ({"x": ladder_of({**TOP, "height": 2162})}, r"height = 2162: .*2160"),
        ({"x": ladder_of({**TOP, "bitrate_bps": 99_999})}, r"bitrate_bps = 99999: .*100000"),
        ({"x": ladder_of({**TOP, "bitrate_bps": 40_000_001})}, r"bitrate_bps = 40000001: .*40000000"),
        ({"x": ladder_of({**TOP, "max_fps": 50})}, r"max_fps = 50: .*30 or 60"),
        ({"x": ladder_of({**TOP, "heigth": 2})}, r"unknown setting ladders\.x\.renditions\.0\.heigth\n"),
        ({"x": ladder_of({"height": 720})}, r"renditions\.0\.bitrate_bps = .*required"),
        ({"x": ladder_of(LOW, TOP)}, r"ladders\.x = .*height 720 must be below 360"),
        ({"x": ladder_of(TOP, {**LOW, "height": 720})}, r"height 720 must be below 720"),
        ({"x": ladder_of(TOP, {**LOW, "bitrate_bps": 3_000_000})}, r"bitrate_bps 3000000 must be below 3000000"),
        ({"x": ladder_of({**TOP, "max_fps": 30}, {**LOW, "max_fps": 60})}, r"max_fps 60 must be at most 30"),
        ({"x": ladder_of()}, r"renditions = .*at least 1"),
        ({"x": ladder_of(*({"height": 720 - 2 * n, "bitrate_bps": 900_000 - n} for n in range(7)))}, "at most 6"),
        ({"x": ladder_of(TOP, audio_bitrate_bps=31_999)}, r"audio_bitrate_bps = 31999: .*32000"),
        ({"x": ladder_of(TOP, audio_bitrate_bps=320_001)}, r"audio_bitrate_bps = 320001: .*320000"),
        ({"High": ladder_of(TOP)}, r"ladders\.High = 'High': .*pattern"),
        ({"high": ladder_of(TOP)}, r"high is a fixed quality"),
        ({f"x{n}": ladder_of(TOP) for n in range(LADDERS_MAX + 1)}, "at most 16"),
    ],
)
def test_what_is_out_of_bounds_is_named(
    monkeypatch: pytest.MonkeyPatch, ladders: dict[str, Any], complaint: str
) -> None:
    monkeypatch.setenv("ANTLIVE_LADDERS", json.dumps(ladders))
    with pytest.raises(SettingsError, match=complaint):
        load_settings()

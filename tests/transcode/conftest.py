from __future__ import annotations

from pathlib import Path

import pytest

from tests.av_sync import flashing_clip


@pytest.fixture(scope="session")
def flashes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """320x180, 30 frames/s, AAC at 48 kHz; 8 s."""
    return flashing_clip(tmp_path_factory.mktemp("flashes") / "30.flv", seconds=8)


@pytest.fixture(scope="session")
def other_flashes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """480x270, 25 frames/s, AAC at 44.1 kHz; 8 s."""
    path = tmp_path_factory.mktemp("flashes") / "25.flv"
    return flashing_clip(path, size="480x270", fps="25", gop_frames=25, audio_rate_hz=44_100, seconds=8)


@pytest.fixture(scope="session")
def sound_of_44_khz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures of `flashes` with AAC at 44.1 kHz."""
    return flashing_clip(tmp_path_factory.mktemp("flashes") / "44.flv", audio_rate_hz=44_100, seconds=8)

"""What a slate picture may be."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from antlive.slate_check import slate_problem


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("slate.png", ""),
        ("text.png", "it is no picture"),
        ("half.png", "its picture can't be read: image file is truncated"),
        ("nowhere.png", "there is no such file"),
        (".", "it is a directory"),
    ],
)
async def test_a_file_is_a_picture_or_it_is_said_why_not(tmp_path: Path, name: str, problem: str) -> None:
    Image.effect_noise((320, 180), 50).save(tmp_path / "slate.png")
    picture = (tmp_path / "slate.png").read_bytes()
    (tmp_path / "half.png").write_bytes(picture[: len(picture) // 2])
    (tmp_path / "text.png").write_text("no picture")
    said = await slate_problem(tmp_path / name)
    assert said.startswith(problem) and bool(said) == bool(problem)

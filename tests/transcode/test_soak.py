"""The soak of `python -m benchmarks.soak`, for a minute: what it would find at length must not be there at once."""

from __future__ import annotations

from pathlib import Path

from benchmarks.soak import figures, soak


def test_a_minute_of_drops_leaves_no_file_open_and_nothing_out_of_sync(tmp_path: Path) -> None:
    looks = soak(tmp_path, minutes=1, longest_s=5.0)
    assert looks[-1].drops >= 8
    found = {figure.name: figure for figure in figures(looks)}
    for name in ("sound and picture apart at most", "open files grown"):
        assert found[name].verdict == "ok", found[name]

"""Closed standard streams are opened before anything else takes their numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from config.standard_streams import open_standard_streams
open_standard_streams()
target = sys.argv[1]
with open(target, "w") as file:
    print("nobody reads this", flush=True)
    print("nor this", file=sys.stderr, flush=True)
    file.write(f"{file.fileno() > 2} {sys.stdin.read()!r} {[os.get_inheritable(fd) for fd in range(3)]}")
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_lead_nowhere(tmp_path: Path, closed: str) -> None:
    target = tmp_path / "written"
    shell = f'exec "$0" -c "$1" "$2" {closed}'
    ran = subprocess.run(
        ["/bin/sh", "-c", shell, sys.executable, PROGRAM, str(target)],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert target.read_text() == "True '' [True, True, True]"

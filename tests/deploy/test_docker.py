"""The Dockerfile as far as it can be checked without building it; `tests/container_image.sh` builds and runs it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.deploy.files import DEPLOY, ROOT

DOCKERFILE = DEPLOY / "docker/Dockerfile"


def hadolint(path: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "hadolint"
    return subprocess.run([program, path], capture_output=True, text=True, timeout=30)


def test_hadolint_finds_nothing() -> None:
    linted = hadolint(DOCKERFILE)
    assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.read_text().replace("USER 10001:10001", "USER root"))
    assert "Last USER should not be root" in hadolint(tmp_path / "Dockerfile").stdout


def test_the_context_has_every_package_and_nothing_that_is_no_part_of_the_service() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line[1:] for line in lines if line.startswith("!")}
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {name.partition(".")[0] for name in packages}
    assert {name for name in sent if (ROOT / name).is_dir()} == folders
    assert all((ROOT / name).exists() for name in sent)


def test_the_image_has_the_libraries_that_set_up_installs_for_running() -> None:
    run = (ROOT / "scripts/setup.sh").read_text().partition("\nrun)")[2].partition(";;")[0]
    needed = {name for _, name in re.findall(r"need(?:_library)? (\S+) (\S+)", run)}
    last_stage = DOCKERFILE.read_text().rpartition("FROM ")[2]
    assert needed - {"npm"} <= set(last_stage.split())


def test_every_package_is_compiled_since_a_read_only_root_keeps_nothing() -> None:
    compiled = re.search(r"compileall -q (.+?) \\", DOCKERFILE.read_text())
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert compiled is not None and set(compiled[1].split()) == {name.partition(".")[0] for name in packages}

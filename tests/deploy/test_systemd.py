"""The units, verified by systemd itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY

UNITS = DEPLOY / "systemd"
NAMES = [
    "antlive.service",
    *(f"antlive@{role}.service" for role in ("control", "ingest", "origin", "recorder")),
]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A root directory with our units, systemd's targets and a command that can be executed."""
    units = tmp_path / "etc/systemd/system"
    shutil.copytree(UNITS, units)
    targets = tmp_path / "usr/lib/systemd/system"
    targets.mkdir(parents=True)
    for target in Path("/lib/systemd/system").glob("*.target"):
        shutil.copy(target, targets)
    command = tmp_path / "opt/antlive/.venv/bin/antlive"
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    return tmp_path


def analyze(root: Path, *arguments: str) -> str:
    command = ["systemd-analyze", arguments[0], f"--root={root}", *arguments[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_nothing(machine: Path, name: str) -> None:
    assert analyze(machine, "verify", "--man=no", name) == ""


def test_systemd_would_find_something(machine: Path) -> None:
    unit = machine / "etc/systemd/system/antlive.service"
    unit.write_text(unit.read_text().replace("ProtectHome", "ProtectHoem"))
    assert "Unknown key 'ProtectHoem'" in analyze(machine, "verify", "--man=no", "antlive.service")


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_is_closed_as_far_as_the_service_allows(machine: Path, name: str) -> None:
    found = re.search(r"exposure level for \S+: ([\d.]+)", analyze(machine, "security", "--offline=true", name))
    assert found is not None and float(found[1]) < 2.0


def test_both_units_are_closed_alike() -> None:
    def hardening(name: str) -> str:
        return (UNITS / name).read_text().partition("# What it can't do")[2]

    assert hardening("antlive.service") == hardening("antlive@.service") != ""

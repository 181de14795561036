"""Every setting, and every role, that something in `deploy/` names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from antlive.cli import main
from config.settings import ENV_PREFIX, SECRET_FILES, Settings
from tests.deploy.files import COMPOSE, DEPLOY, compose_services, pods

SETTINGS = {ENV_PREFIX + name.upper() for name in Settings.model_fields} | set(SECRET_FILES)
FILES = [
    path
    for path in sorted(DEPLOY.rglob("*"))
    if path.is_file() and "edge" not in path.parts and "secrets" not in path.parts
]


def edge_variables() -> set[str]:
    return set(re.findall(r"\$\{(ANTLIVE_\w+)\}", (DEPLOY / "edge/edge.conf.template").read_text()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_setting_that_is_named_exists(path: Path) -> None:
    named = set(re.findall(r"ANTLIVE_[A-Z_]+[A-Z]", path.read_text()))
    assert named <= SETTINGS | (edge_variables() if path == COMPOSE else set())


def test_the_edge_gets_every_variable_of_its_template_and_nothing_else() -> None:
    assert set(compose_services()["edge"]["environment"]) == edge_variables()


def roles() -> set[str]:
    """What containers and units are told to run."""
    of_compose = {service["command"][0] for service in compose_services().values() if service["image"] == "antlive"}
    of_pods = {container["args"][0] for pod in pods().values() for container in pod["containers"]}
    of_units = set(re.findall(r"antlive@(\w+)", "".join(str(path) for path in FILES))) | {"serve"}
    return of_compose | of_pods | of_units


@pytest.mark.parametrize("role", sorted(roles()))
def test_every_role_exists(role: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([role, "--help"])
    assert ended.value.code == 0
    assert f"antlive {role}" in capsys.readouterr().out

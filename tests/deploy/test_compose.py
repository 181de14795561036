"""compose.yaml against the Compose specification (its parser in Rust), and against what it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from compose_spec import PyCompose

from tests.deploy.files import COMPOSE, PROMETHEUS, ROOT, compose_services, documents

OURS = {name: service for name, service in compose_services().items() if service["image"] == "antlive"}


def parsed(text: str) -> PyCompose:
    return PyCompose.from_yaml(yaml.safe_dump(yaml.safe_load(text)))  # anchors and merges resolved


def test_it_keeps_to_the_specification_and_names_only_what_it_has() -> None:
    parsed(COMPOSE.read_text()).validate()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("read_only:", "raed_only:"),
        ("condition: service_healthy", "condition: healthy"),
        ('"8443:8443"', '"8443:https"'),
        ("\n  media2:", "\n  media3:"),
    ],
)
def test_a_mistake_in_it_would_be_found(right: str, wrong: str) -> None:
    text = COMPOSE.read_text()
    assert right in text
    with pytest.raises(ValueError):
        parsed(text.replace(right, wrong)).validate()


@pytest.mark.parametrize("name", OURS)
def test_every_role_has_nothing_that_it_does_not_need(name: str) -> None:
    service = OURS[name]
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and "/tmp" in service["tmpfs"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not any("PASS" in key or key.endswith("_KEY") for key in service["environment"]), "secrets are files"


@pytest.mark.parametrize("node", ["1", "2"])
def test_a_node_shares_network_and_volumes_and_ends_with_ingest_first(node: str) -> None:
    origin, recorder, ingest = (compose_services()[f"{role}{node}"] for role in ("origin", "recorder", "ingest"))
    assert recorder["network_mode"] == ingest["network_mode"] == f"service:origin{node}"
    assert origin["volumes"] == recorder["volumes"] == ingest["volumes"]
    assert ingest["depends_on"] == [f"recorder{node}"] and recorder["depends_on"] == [f"origin{node}"]
    assert float(ingest["environment"]["ANTLIVE_DRAIN_S"]) < float(ingest["stop_grace_period"].removesuffix("s"))


def test_what_is_mounted_is_there_and_every_secret_is_made() -> None:
    for service in compose_services().values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert not source.startswith(".") or (COMPOSE.parent / source).exists(), volume
    made = set(re.findall(r"(?:>|-keyout |-out )secrets/([\w.]+)", (COMPOSE.parent / "secrets.sh").read_text()))
    files = {Path(secret["file"]).name for secret in documents(COMPOSE)[0]["secrets"].values()}
    assert files == made
    assert "deploy/compose/secrets/" in (ROOT / ".gitignore").read_text().split()


def test_only_doors_for_encoders_and_viewers_are_open_to_others() -> None:
    published = {port for service in compose_services().values() for port in service.get("ports", ())}
    assert {port for port in published if not port.startswith("127.0.0.1:")} == {
        "1935:1935", "9000:9000/udp", "1936:1935", "9001:9000/udp", "8443:8443",
    }  # fmt: skip


def test_prometheus_scrapes_what_serves_http() -> None:
    scraped = documents(PROMETHEUS / "prometheus.yml")[0]["scrape_configs"][0]
    targets = {target for config in scraped["static_configs"] for target in config["targets"]}
    assert targets == {f"{name}:8080" for name, service in OURS.items() if service["command"][0] != "recorder"} - {
        f"{name}:8080" for name in OURS if name.startswith("ingest")
    }
    assert scraped["job_name"] == "antlive"

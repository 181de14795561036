"""What lies in `deploy/`, loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose/compose.yaml"
KUBERNETES = DEPLOY / "kubernetes"
PROMETHEUS = DEPLOY / "prometheus"


def documents(path: Path) -> list[dict[str, Any]]:
    """The YAML documents of a file."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def compose_services() -> dict[str, dict[str, Any]]:
    """Name → service."""
    services: dict[str, dict[str, Any]] = documents(COMPOSE)[0]["services"]
    return services


def manifests() -> list[dict[str, Any]]:
    """Every manifest that the kustomization lists."""
    listed = documents(KUBERNETES / "kustomization.yaml")[0]["resources"]
    return [document for name in listed for document in documents(KUBERNETES / name)]


def pods() -> dict[str, dict[str, Any]]:
    """Name of the workload → its pod's spec."""
    return {
        document["metadata"]["name"]: document["spec"]["template"]["spec"]
        for document in manifests()
        if "template" in document.get("spec", {})
    }

"""The dashboard, the alerts and the reference name only metrics, and labels of metrics, that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from antlive.metrics_reference import REFERENCE_FILE, all_families, exposed_name, reference

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
_HISTOGRAM = ("_bucket", "_count", "_sum")


def exposed() -> dict[str, set[str]]:
    """The name of each series, and its labels."""
    names: dict[str, set[str]] = {}
    for family in all_families():
        labels = set(getattr(family, "_labelnames", ())) | {"instance", "job"}
        if family.type == "histogram":
            names |= {family.name + suffix: labels | {"le"} for suffix in _HISTOGRAM}
        else:
            names[exposed_name(family)] = labels
    return names


def assert_known(expression: str) -> None:
    """Every metric in a query exists, with every label that the query asks of it."""
    names = exposed()
    found = re.findall(r"(antlive_\w+)(?:\{([^}]*)\})?", expression)
    for name, matchers in found:
        assert name in names, f"{name} in {expression}"
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert asked <= names[name], f"{name} has no label {asked - names[name]}"
    grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
    assert all(any(label in names[name] for name, _ in found) for label in grouped), expression


def alerts() -> list[dict[str, Any]]:
    loaded = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())
    return [rule for group in loaded["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_asks_for_what_exists_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["expr"].count("(") == rule["expr"].count(")")
    assert_known(rule["expr"])
    assert rule["labels"]["severity"] in ("page", "warn")
    assert len(rule["annotations"]["do"]) > 40


def test_the_dashboard_asks_for_what_exists() -> None:
    dashboard = json.loads((DEPLOY / "grafana/antlive.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(queries) > 20
    for query in queries:
        assert query.count("(") == query.count(")")
        assert_known(query)


def test_a_metric_that_does_not_exist_is_found() -> None:
    with pytest.raises(AssertionError, match="antlive_sessons"):
        assert_known("sum by (tier) (antlive_sessons)")
    with pytest.raises(AssertionError, match="stream"):
        assert_known('sum(antlive_sessions{stream="x"})')


def test_no_label_could_hold_an_id() -> None:
    labels = {label for names in exposed().values() for label in names}
    assert labels <= {
        "instance", "job", "le", "state", "tier", "protocol", "reason", "code", "outcome", "stage", "role", "kind",
        "status", "rule", "rendition",
    }  # fmt: skip


def test_the_reference_is_what_the_code_says() -> None:
    assert REFERENCE_FILE.read_text() == reference(), "run `python -m antlive.metrics_reference`"

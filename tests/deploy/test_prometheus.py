"""Alerts and scrape configuration under Prometheus' own tool; `tests/e2e/test_prometheus.py` runs the server."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.deploy.files import PROMETHEUS


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_and_configuration_are_what_prometheus_takes() -> None:
    assert "rules found" in promtool("check", "config", PROMETHEUS / "prometheus.yml")


def test_alerts_ring_when_they_should_and_not_before() -> None:
    assert "SUCCESS" in promtool("test", "rules", Path(__file__).parent / "alerts_test.yml")

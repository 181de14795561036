from __future__ import annotations

import subprocess
import sys

import pytest

FAILING = """
import sys
import structlog
from antlive.logs import configure_logs

configure_logs("test", sys.argv[1], "info")
stream_key = "sk_" + "s" * 3
try:
    raise ValueError("of a test")
except ValueError:
    structlog.get_logger().exception("it_failed")
"""


@pytest.mark.parametrize("log_format", ["pretty", "json"])
def test_a_traceback_shows_no_values(log_format: str) -> None:
    command = [sys.executable, "-c", FAILING, log_format]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stderr
    assert "it_failed" in text and "ValueError: of a test" in text
    assert "sk_sss" not in text

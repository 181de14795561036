"""The log of a process: role, repeats, and what nobody catches; in processes of their own, as it is set up for all."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from config.logs import LEFT_OUT, RepeatLimit

SET_UP = """
import logging, sys, threading, warnings
import structlog
from config.logs import LogStyle, configure_logs
configure_logs("ingest", LogStyle("json", "info"))
log = structlog.get_logger()
"""


def lines_of(program: str, code: int = 0) -> list[dict[str, Any]]:
    """The lines that a process logs, each of which must be JSON."""
    done = subprocess.run([sys.executable, "-c", SET_UP + program], capture_output=True, text=True, timeout=30)
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_every_line_is_one_object_with_role_level_and_time() -> None:
    lines = lines_of("""
log.debug("not_seen")
log.info("seen", stream_id="ls_1")
thread = threading.Thread(target=lambda: log.warning("of_a_thread"))
thread.start(); thread.join()
logging.getLogger("asyncio").error("of a %s", "library")
warnings.warn("of a module")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("caught")
""")
    assert [line["event"] for line in lines[:3]] == ["seen", "of_a_thread", "of a library"]
    assert "of a module" in lines[3]["event"] and "ZeroDivisionError" in lines[4]["exception"]
    assert {line["role"] for line in lines} == {"ingest"}
    assert [line["level"] for line in lines] == ["info", "warning", "error", "warning", "error"]
    assert all(line["timestamp"].endswith("Z") for line in lines)


@pytest.mark.parametrize(
    ("program", "event", "code"),
    [
        ("raise KeyError('gone')", "process_failed", 1),
        ("t = threading.Thread(target=lambda: {}['gone'], name='rung'); t.start(); t.join()", "thread_failed", 0),
        ("class Gone:\n def __del__(self): raise KeyError('gone')\nGone()", "error_nobody_sees", 0),
        (
            "import asyncio\nasync def main():\n asyncio.get_running_loop().call_soon({}.__getitem__, 'gone')\n"
            " await asyncio.sleep(0.01)\nasyncio.run(main())",
            "Exception in callback",
            0,
        ),
    ],
)
def test_what_nobody_catches_is_a_line_with_its_traceback(program: str, event: str, code: int) -> None:
    (line,) = lines_of(program, code)
    assert line["event"].startswith(event) and "KeyError: 'gone'" in line["exception"]
    assert line["level"] in ("error", "critical") and line["role"] == "ingest"


@pytest.mark.parametrize("style", ["pretty", "json"])
def test_a_traceback_shows_no_values(style: str) -> None:
    # Where rich is installed, it would print the values of locals, of which one may be a stream key.
    failing = """
configure_logs("ingest", LogStyle(sys.argv[1]))
stream_key = "sk_" + "s" * 3
try:
    raise ValueError("of a test")
except ValueError:
    structlog.get_logger().exception("it_failed")
"""
    command = [sys.executable, "-c", SET_UP + failing, style]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stderr
    assert "it_failed" in text and "ValueError: of a test" in text
    assert "sk_sss" not in text


def test_repeats_are_left_out_and_counted() -> None:
    now_s = [0.0]
    limit = RepeatLimit(3, lambda: now_s[0])

    def passes(event: str, **fields: str) -> bool:
        try:
            return bool(limit(None, "info", {"event": event, **fields}))
        except structlog.DropEvent:
            return False

    with capture_logs() as logs:
        assert [passes("a", stream_id="ls_1") for _ in range(5)] == [True, True, True, False, False]
        assert passes("a", stream_id="ls_2") and passes("b", stream_id="ls_1")
        assert passes("a", stream_id="ls_1", reason="another")
        now_s[0] = 59.0
        assert not passes("a", stream_id="ls_1") and logs == []
        now_s[0] = 61.0
        assert passes("a", stream_id="ls_1")
        (told,) = logs
        assert (told["event"], told["of"], told["lines"], told["stream_id"]) == (LEFT_OUT, "a", 3, "ls_1")
        now_s[0] = 200.0
        assert [passes("a", stream_id="ls_1") for _ in range(4)] == [True, True, True, False]
        limit.tell()  # as at the end of the process
    assert [line["lines"] for line in logs] == [3, 1]
    assert all(passes(LEFT_OUT) for _ in range(9))


def test_a_process_tells_at_its_end_what_it_left_out() -> None:
    lines = lines_of("for _ in range(100): log.info('again', stream_id='ls_1')")
    assert len(lines) == 61
    assert (lines[-1]["event"], lines[-1]["lines"], lines[-1]["stream_id"]) == (LEFT_OUT, 40, "ls_1")

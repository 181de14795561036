"""docs/troubleshooting.md has an entry for every word that the service gives as a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from control.failures import MESSAGES
from ingest.admission import Refusal
from ingest.connected_encoder import BITRATE_TOO_HIGH
from ingest.handoff import OVERFLOW, WORKER_GONE
from ingest.health_warnings import WARNINGS
from ingest.rtmp.status import CUTS
from ingest.srt.directory import Verdict
from ingest.srt.handshakes import TOO_MANY_HANDSHAKES
from ingest.srt.stream_id import Fault
from ingest.srt.unfinished import HANDSHAKE_FAILED
from ingest.strangers import FAULTS, TOO_MANY_CONNECTIONS, TOO_MANY_FAILURES
from ingest.workers import WORKER_DIED
from streams.state import TABLE, Event, EventType, State

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/troubleshooting.md").read_text()
HAS_ENTRY = set(re.findall(r"`([A-Za-z_]+)`", PAGE))

_REASON_CALLS = re.compile(
    r"""(?:\.close|\.end|\._end|\._fail|_refused|on_failure)\((?:ip,\s*)?"([a-z_]+)"|reason="([a-z_]+)"|(?<![\w.])code="([a-z_]+)\""""
)
_FAILURES = re.compile(r"""_on_failure\("([a-z_]+)"|Failed\([^)]*code="([a-z_]+)\"""")
_API_ERRORS = re.compile(r'(?:ApiError\(\s*\d+,\s*|conflict\(\s*)"([a-z_]+)"')


def written(pattern: re.Pattern[str], *packages: str) -> set[str]:
    """What the source gives to the calls of this pattern."""
    files = (path for package in packages for path in (ROOT / package).rglob("*.py"))
    found = (word for path in files for groups in pattern.findall(path.read_text()) for word in as_tuple(groups))
    return {word for word in found if word}


def as_tuple(groups: str | tuple[str, ...]) -> tuple[str, ...]:
    return (groups,) if isinstance(groups, str) else groups


ENDS = {
    str(event)
    for rows in TABLE.values()
    for event, row in rows.items()
    if row.to in (State.ENDED, State.ERROR) or row.emits is EventType.ERROR
}
REASONS = {
    "warnings": set(WARNINGS),
    "refusals": {refusal.value for refusal in Refusal},
    "verdicts": {verdict.value for verdict in Verdict} - {"may_publish", "unsure"},
    "faults of strangers": FAULTS | {fault.value for fault in Fault},
    "limits": {
        HANDSHAKE_FAILED,
        TOO_MANY_HANDSHAKES,
        TOO_MANY_CONNECTIONS,
        TOO_MANY_FAILURES,
        BITRATE_TOO_HIGH,
        OVERFLOW,
    },
    "cuts": set(CUTS),
    "workers": {WORKER_GONE, WORKER_DIED},
    "ends of a session": ENDS,
    "errors of a stream": set(MESSAGES),
    "words in the source": written(_REASON_CALLS, "ingest", "transcode") - {"api"},
    "errors of the API": written(_API_ERRORS, "control"),
}


@pytest.mark.parametrize("kind", REASONS)
def test_every_reason_has_an_entry(kind: str) -> None:
    assert REASONS[kind], "nothing was found to look for"
    assert REASONS[kind] - HAS_ENTRY == set()


def test_every_failure_has_words_for_the_owner_of_the_stream() -> None:
    failures = {str(event) for rows in TABLE.values() for event, row in rows.items() if row.to is State.ERROR}
    failures |= written(_FAILURES, "transcode") | {WORKER_DIED}
    assert len(failures) > 4 and failures <= set(MESSAGES)


def test_the_source_is_read() -> None:
    assert {"no_media", "handshake_timeout", "tls_error"} <= REASONS["words in the source"]
    assert {"unauthorized", "stream_busy"} <= REASONS["errors of the API"]
    assert str(Event.UNSUPPORTED_CODEC) in ENDS

"""What `serve` prints when it is ready."""

from __future__ import annotations

from antlive.ready_stream import ReadyStream
from antlive.welcome import welcome
from config.settings import Settings

PORTS = {"rtmp_port": 1935, "srt_port": 9000}
STREAM = ReadyStream("lse_" + "e" * 26, "sk_ready")


def test_an_api_key_that_was_made_is_shown_with_all_else_that_a_newcomer_needs() -> None:
    text = welcome(Settings(public_host="live.example"), STREAM, PORTS, 8080, "ak_made")
    assert [line.split() for line in text.splitlines() if line.startswith("  ")] == [
        ["RTMP", "URL", "rtmp://live.example:1935/live"],
        ["SRT", "URL", "srt://live.example:9000"],
        ["Stream", "key", "sk_ready"],
        ["Player", f"http://live.example:8080/player/{STREAM.edge_id}"],
        ["API", "http://live.example:8080/v1/live-streams"],
        ["API", "key", "ak_made"],
    ]


def test_an_api_key_that_was_configured_is_not() -> None:
    text = welcome(Settings(api_key="ak_very_secret"), STREAM, PORTS, 8080, None)
    assert "API key     (as configured)" in text and "ak_very_secret" not in text

"""What `serve` prints when it is ready."""

from __future__ import annotations

from collections.abc import Mapping

from antlive.ready_stream import ReadyStream
from config.settings import Settings


def welcome(
    settings: Settings, stream: ReadyStream, ports: Mapping[str, int], http_port: int, made_api_key: str | None
) -> str:
    """Where to publish, play and ask. An API key is printed only where nobody knows it yet: antlive has made it."""
    host = settings.public_host
    base = f"http://{host}:{http_port}"
    rtmps = [("RTMPS URL", f"rtmps://{host}:{ports['rtmps_port']}/live")] if "rtmps_port" in ports else []
    lines = [
        ("RTMP URL", f"rtmp://{host}:{ports['rtmp_port']}/live"),
        *rtmps,
        ("SRT URL", f"srt://{host}:{ports['srt_port']}"),
        ("Stream key", stream.key),
        ("Player", f"{base}/player/{stream.edge_id}"),
        ("API", f"{base}/v1/live-streams"),
        ("API key", made_api_key or "(as configured)"),
    ]
    rows = "\n".join(f"  {name:<12}{value}" for name, value in lines)
    hint = "No encoder at hand? `make demo` pushes a test picture. Ctrl-C stops."
    return f"\nantlive is ready. Push to it:\n\n{rows}\n\n{hint}\n"

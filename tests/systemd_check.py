"""What `tests/systemd_machine.sh` checks, as root inside the machine that it boots. Each line `ok …` is one check."""

from __future__ import annotations

import json
import pwd
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

ANTLIVE = "/opt/antlive/.venv/bin/antlive"
API_KEY = "ak_only_for_this_machine"
MEDIA_NODE = ("antlive@origin", "antlive@recorder", "antlive@ingest")


def systemctl(*arguments: str) -> str:
    return subprocess.run(["systemctl", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def fetched(url: str, **options: Any) -> bytes | None:
    """The body, or None for any other answer than 2xx."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, **options), timeout=5) as response:
            body: bytes = response.read()
            return body
    except (urllib.error.URLError, OSError):
        return None


def until(what: str, condition: Callable[[], Any], seconds: float = 40.0) -> Any:
    """What the condition gives, once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.1)
    print("ok", what, flush=True)
    return found


def pushing(*arguments: str, data_dir: str = "/tmp/demo") -> subprocess.Popen[bytes]:
    command = ["runuser", "-u", "antlive", "--", "env", f"ANTLIVE_DATA_DIR={data_dir}", ANTLIVE, "demo"]
    return subprocess.Popen([*command, "--size", "640x360", *arguments])


def is_closed(unit: str) -> bool:
    """The main process has no capabilities, can't get any, and runs as the service's user."""
    status = Path(f"/proc/{systemctl('show', '--value', '-p', 'MainPID', unit)}/status").read_text()
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    is_root = lines["Uid"].startswith("0")
    return not is_root and int(lines["CapEff"], 16) == 0 and lines["NoNewPrivs"] == "1" and lines["Seccomp"] == "2"


def nobody_is_left() -> bool:
    """No process of the service's user runs."""
    uid = f"Uid:\t{pwd.getpwnam('antlive').pw_uid}\t"
    texts = []
    for path in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):  # it has just ended
            texts.append(path.read_text())
    return not any(uid in text for text in texts)


def one_machine() -> None:
    systemctl("start", "antlive")
    until("antlive.service is ready", lambda: fetched("http://localhost:8080/readyz"))
    until("it is closed", lambda: is_closed("antlive"), 1)
    ready = json.loads(Path("/var/lib/antlive/ready_stream.json").read_text())
    encoder = pushing("--url", f"rtmp://localhost/live/{ready['key']}")
    key = Path("/var/lib/antlive/api_key").read_text().strip()

    def playlist() -> bytes | None:
        listed = fetched("http://localhost:8080/v1/live-streams?state=live", headers={"Authorization": f"Bearer {key}"})
        streams = json.loads(listed)["streams"] if listed else []
        return fetched(streams[0]["playback"]["hlsUrl"]) if streams else None

    until("a stream plays", playlist)
    encoder.terminate()
    encoder.wait(10)
    systemctl("stop", "antlive")
    until("it has stopped well", lambda: systemctl("show", "--value", "-p", "Result", "antlive") == "success", 1)
    until("nothing of it is left", nobody_is_left, 5)


def roles() -> None:
    etc = Path("/etc/antlive")
    etc.mkdir(exist_ok=True)
    (etc / "redis_url").write_text("redis://localhost:6379/0\n")
    (etc / "api_key").write_text(API_KEY + "\n")
    (etc / "control.env").write_text("ANTLIVE_HTTP_PORT=8081\nANTLIVE_PLAYBACK_URL=http://localhost:8080\n")
    for secret in ("redis_url", "api_key"):
        (etc / secret).chmod(0o600)
    systemctl("start", "antlive@control", *MEDIA_NODE)
    until("control is ready", lambda: fetched("http://localhost:8081/readyz"))
    until("origin is ready", lambda: fetched("http://localhost:8080/readyz"))
    until("they are closed", lambda: all(map(is_closed, ("antlive@control", *MEDIA_NODE))), 1)
    headers = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"}
    url = "http://localhost:8081/v1/live-streams"
    body = until("a stream is created", lambda: fetched(url, data=b'{"name": "x"}', headers=headers))
    stream = json.loads(body)
    encoder = pushing("--url", stream["ingest"]["rtmpFullUrl"])
    master = until("it plays", lambda: fetched(stream["playback"]["hlsUrl"]))
    systemctl("kill", "--signal=KILL", "--kill-whom=main", "antlive@ingest")
    encoder.wait(30)
    until("ingest was started again", lambda: systemctl("show", "--value", "-p", "NRestarts", "antlive@ingest") == "1")
    encoder = until("an encoder connects again", lambda: connected(stream))
    again = until("it plays on", lambda: fetched(stream["playback"]["hlsUrl"]))
    assert again == master, "another session"
    print("ok in the same session: its worker has outlived ingest", flush=True)
    encoder.terminate()
    encoder.wait(10)
    systemctl("stop", "antlive@control", *MEDIA_NODE)
    until("nothing of the roles is left", nobody_is_left, 5)


def connected(stream: dict[str, Any]) -> subprocess.Popen[bytes] | None:
    """An encoder that is still there after two seconds."""
    encoder = pushing("--url", stream["ingest"]["rtmpFullUrl"])
    try:
        encoder.wait(2)
    except subprocess.TimeoutExpired:
        return encoder
    return None


if __name__ == "__main__":
    one_machine()
    roles()

"""OBS under Xvfb with software GL: a profile that streams a green picture and starts by itself."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

from tests.encoders.target import Target

SOFTWARE_GL = {"LIBGL_ALWAYS_SOFTWARE": "1", "QT_QPA_PLATFORM": "xcb"}
_TRUSTED = "/etc/ssl/certs"


def obs(protocol: str) -> Callable[[Path, Target], list[str]]:
    """The command of OBS over this protocol."""

    def command(directory: Path, target: Target) -> list[str]:
        server, key = (target.url, "") if protocol == "srt" else (target.server, target.key)
        _write_profile(directory / ".config/obs-studio", server, key)
        obs = ["obs", "--multi", "--startstreaming", "--profile", "P", "--collection", "P", "--disable-shutdown-check"]
        run = ["env", f"HOME={directory}", "xvfb-run", "-a", "-s", "-screen 0 1280x720x24", *obs]
        return _trusting(directory, target, run) if protocol == "rtmps" else run

    return command


def log_of(directory: Path) -> str:
    """What OBS has written into its log so far."""
    return "\n".join(path.read_text(errors="replace") for path in directory.glob(".config/obs-studio/logs/*.txt"))


def _trusting(directory: Path, target: Target, command: list[str]) -> list[str]:
    """OBS checks the server's certificate: in a mount namespace of its own it trusts the test's, and no other."""
    trusted = directory / "trusted"
    trusted.mkdir()
    (trusted / "test.pem").write_bytes(target.cert_file.read_bytes())
    script = f"mount --bind {shlex.quote(str(trusted))} {_TRUSTED} && exec {shlex.join(command)}"
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", script]


def _write_profile(directory: Path, server: str, key: str) -> None:
    profile = directory / "basic/profiles/P"
    scenes = directory / "basic/scenes"
    profile.mkdir(parents=True)
    scenes.mkdir(parents=True)
    (directory / "global.ini").write_text(
        "[General]\nFirstRun=true\n[Basic]\nProfile=P\nProfileDir=P\nSceneCollection=P\nSceneCollectionFile=P\n"
    )
    (profile / "basic.ini").write_text(
        "[General]\nName=P\n[Output]\nMode=Simple\n[SimpleOutput]\nVBitrate=2000\nStreamEncoder=x264\nABitrate=128\n"
        "[Video]\nBaseCX=1280\nBaseCY=720\nOutputCX=1280\nOutputCY=720\nFPSCommon=30\n[Audio]\nSampleRate=48000\n"
    )
    service = {"type": "rtmp_custom", "settings": {"server": server, "key": key, "use_auth": False}}
    (profile / "service.json").write_text(json.dumps(service))
    color = {"color": 0xFF00AA00, "width": 1280, "height": 720}
    scene = {
        "name": "P",
        "current_scene": "Scene",
        "current_program_scene": "Scene",
        "scene_order": [{"name": "Scene"}],
        "sources": [
            {"id": "scene", "name": "Scene", "settings": {"id_counter": 1, "items": [{"id": 1, "name": "Color"}]}},
            {"id": "color_source", "versioned_id": "color_source_v3", "name": "Color", "settings": color},
        ],
    }
    (scenes / "P.json").write_text(json.dumps(scene))

"""How each encoder is started to push a test picture, by the protocols that it has."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.clips import FFMPEG, synthetic_clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to push to. `url` has the key in it; OBS wants server and key apart."""

    url: str
    server: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """An encoder over one protocol. `command` gets a directory of its own and the target."""

    name: str
    protocol: str
    program: str
    command: Callable[[Path, Target], list[str]]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def is_installed(self) -> bool:
        return shutil.which(self.program) is not None


def _ffmpeg(program: str, container: str) -> Callable[[Path, Target], list[str]]:
    def command(directory: Path, target: Target) -> list[str]:
        clip = synthetic_clip(directory / "clip.flv", size="640x360", seconds=4)
        arguments = ["-v", "error", "-re", "-stream_loop", "-1", "-i", str(clip), "-c", "copy"]
        # The certificate of a test is signed by nobody.
        tls = ["-tls_verify", "0"] if target.url.startswith("rtmps") else []
        return [program, *arguments, *tls, "-f", container, target.url]

    return command


_PICTURE = (
    "videotestsrc is-live=true ! video/x-raw,width=640,height=360,framerate=30/1,format=I420 "
    "! x264enc tune=zerolatency key-int-max=30 ! h264parse config-interval=1 ! "
)
_SOUND = " audiotestsrc is-live=true ! avenc_aac ! aacparse ! mux."


def _gstreamer(sink: str) -> Callable[[Path, Target], list[str]]:
    def command(directory: Path, target: Target) -> list[str]:
        picture, sound = _PICTURE.split(), _SOUND.split()
        if sink == "srtsink":
            # Seven TS packets to a message: by itself the muxer sends each alone, and the sink loses some of them.
            mux = ["mpegtsmux", "name=mux", "alignment=7", "!"]
            streamid = f"streamid=#!::r=live/{target.key},m=publish"
            return ["gst-launch-1.0", "-q", *picture, *mux, "srtsink", f"uri={target.server}", streamid, *sound]
        mux = ["flvmux", "name=mux", "streamable=true", "!"]
        return ["gst-launch-1.0", "-q", *picture, *mux, sink, f"location={target.url}", *sound]

    return command


def _srt_live_transmit(directory: Path, target: Target) -> list[str]:
    clip = synthetic_clip(directory / "clip.flv", size="640x360", seconds=4)
    push = f"{FFMPEG} -v error -re -stream_loop -1 -i {clip} -c copy -f mpegts -flush_packets 1 -"
    return ["sh", "-c", f"{push} | srt-live-transmit -q file://con '{target.url}'"]


def _obs(protocol: str) -> Callable[[Path, Target], list[str]]:
    def command(directory: Path, target: Target) -> list[str]:
        server, key = (target.server, target.key) if protocol == "rtmp" else (target.url, "")
        _write_obs_profile(directory / ".config/obs-studio", server, key)
        obs = ["obs", "--multi", "--startstreaming", "--profile", "P", "--collection", "P", "--disable-shutdown-check"]
        return ["env", f"HOME={directory}", "xvfb-run", "-a", "-s", "-screen 0 1280x720x24", *obs]

    return command


def _write_obs_profile(directory: Path, server: str, key: str) -> None:
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


_SOFTWARE_GL = {"LIBGL_ALWAYS_SOFTWARE": "1", "QT_QPA_PLATFORM": "xcb", "PATH": os.environ["PATH"]}

ENCODERS = [
    *(
        Encoder(name=name, protocol=protocol, program=program, command=_ffmpeg(program, container))
        for name, program in (("ffmpeg (wheel)", FFMPEG), ("ffmpeg (Debian)", "ffmpeg"))
        for protocol, container in (("rtmp", "flv"), ("rtmps", "flv"), ("srt", "mpegts"))
    ),
    Encoder(name="rtmp2sink", protocol="rtmp", program="gst-launch-1.0", command=_gstreamer("rtmp2sink")),
    Encoder(name="rtmpsink", protocol="rtmp", program="gst-launch-1.0", command=_gstreamer("rtmpsink")),
    Encoder(name="srtsink", protocol="srt", program="gst-launch-1.0", command=_gstreamer("srtsink")),
    Encoder(name="srt-live-transmit", protocol="srt", program="srt-live-transmit", command=_srt_live_transmit),
    Encoder(name="OBS", protocol="rtmp", program="obs", command=_obs("rtmp"), environment=_SOFTWARE_GL),
    Encoder(name="OBS", protocol="srt", program="obs", command=_obs("srt"), environment=_SOFTWARE_GL),
]

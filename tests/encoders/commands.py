"""How each encoder is started to push a test picture, by the protocols and codecs that it has."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.clips import FFMPEG, synthetic_clip
from tests.encoders.obs import SOFTWARE_GL, obs
from tests.encoders.target import Target

HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=30")
AV1 = ("-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "lp=1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """An encoder over one protocol. `command` gets a directory of its own and the target."""

    name: str
    protocol: str
    program: str
    command: Callable[[Path, Target], list[str]]
    codec: str = "h264"
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def is_installed(self) -> bool:
        return shutil.which(self.program) is not None


def _ffmpeg(
    program: str, container: str, video: tuple[str, ...] = (), audio: str = "aac"
) -> Callable[[Path, Target], list[str]]:
    def command(directory: Path, target: Target) -> list[str]:
        # The picture is made by one ffmpeg for all; what each does is muxing and sending.
        clip = synthetic_clip(
            directory / "clip.nut", size="640x360", seconds=4, video=video, audio=("-c:a", audio), container="nut"
        )
        arguments = ["-v", "error", "-re", "-stream_loop", "-1", "-i", str(clip), "-c", "copy"]
        # The certificate of a test is signed by nobody.
        tls = ["-tls_verify", "0"] if target.url.startswith("rtmps") else []
        return [program, *arguments, *tls, "-f", container, target.url]

    return command


_PICTURE = (
    "videotestsrc is-live=true ! video/x-raw,width=640,height=360,framerate=30/1,format=I420 "
    "! x264enc tune=zerolatency key-int-max=30 ! h264parse config-interval=1 ! "
)
_HEVC_PICTURE = (
    "videotestsrc is-live=true ! video/x-raw,width=640,height=360,framerate=30/1,format=I420 "
    "! x265enc speed-preset=ultrafast tune=zerolatency key-int-max=30 ! h265parse config-interval=1 ! "
)
_AAC, _OPUS = "avenc_aac ! aacparse", "opusenc ! opusparse"


def _gstreamer(sink: str, picture: str = _PICTURE, sound: str = _AAC) -> Callable[[Path, Target], list[str]]:
    def command(directory: Path, target: Target) -> list[str]:
        source = ["gst-launch-1.0", "-q", *picture.split()]
        heard = f" audiotestsrc is-live=true ! audioconvert ! {sound} ! mux.".split()
        if sink == "srtsink":
            # Seven TS packets to a message: by itself the muxer sends each alone, and the sink loses some of them.
            mux = ["mpegtsmux", "name=mux", "alignment=7", "!"]
            streamid = f"streamid=#!::r=live/{target.key},m=publish"
            return [*source, *mux, "srtsink", f"uri={target.server}", streamid, *heard]
        mux = ["flvmux", "name=mux", "streamable=true", "!"]
        tls = ["tls-validation-flags=0"] if sink == "rtmp2sink" and target.url.startswith("rtmps") else []
        return [*source, *mux, sink, f"location={target.url}", *tls, *heard]

    return command


def _srt_live_transmit(directory: Path, target: Target) -> list[str]:
    clip = synthetic_clip(directory / "clip.flv", size="640x360", seconds=4)
    push = f"{FFMPEG} -v error -re -stream_loop -1 -i {clip} -c copy -f mpegts -flush_packets 1 -"
    return ["sh", "-c", f"{push} | srt-live-transmit -q file://con '{target.url}'"]


_FFMPEGS = (("ffmpeg (wheel)", FFMPEG), ("ffmpeg (Debian)", "ffmpeg"))
_GST, _TRANSMIT = "gst-launch-1.0", "srt-live-transmit"

ENCODERS = [
    *(
        Encoder(name=name, protocol=protocol, program=program, command=_ffmpeg(program, container))
        for name, program in _FFMPEGS
        for protocol, container in (("rtmp", "flv"), ("rtmps", "flv"), ("srt", "mpegts"))
    ),
    *(
        Encoder(name=name, protocol="srt", program=program, command=_ffmpeg(program, "mpegts", HEVC), codec="hevc")
        for name, program in _FFMPEGS
    ),
    # ffmpeg 5 knows nothing of Enhanced RTMP.
    *(
        Encoder(
            name="ffmpeg (wheel)", protocol="rtmp", program=FFMPEG, command=_ffmpeg(FFMPEG, "flv", *how), codec=codec
        )
        for codec, how in {"hevc": (HEVC, "aac"), "av1": (AV1, "libopus")}.items()
    ),
    *(
        Encoder(name=sink, protocol=protocol, program=_GST, command=_gstreamer(sink))
        for sink in ("rtmp2sink", "rtmpsink")
        for protocol in ("rtmp", "rtmps")
    ),
    Encoder(name="srtsink", protocol="srt", program=_GST, command=_gstreamer("srtsink")),
    Encoder(
        name="srtsink, Opus",
        protocol="srt",
        program=_GST,
        command=_gstreamer("srtsink", _HEVC_PICTURE, _OPUS),
        codec="hevc",
    ),
    *(
        Encoder(name="OBS", protocol=protocol, program="obs", command=obs(protocol), environment=SOFTWARE_GL)
        for protocol in ("rtmp", "rtmps", "srt")
    ),
    # The last one: with a wrong key it tries again for ever, until the node slows the address that all of them share.
    Encoder(name=_TRANSMIT, protocol="srt", program=_TRANSMIT, command=_srt_live_transmit),
]

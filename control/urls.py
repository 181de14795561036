"""The URLs that the API hands out: where encoders push to and viewers fetch from."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_RTMP_PORT = 1935
DEFAULT_RTMPS_PORT = 443
DEFAULT_HTTP_PORT = 80
DEFAULT_SRT_PORT = 9000


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicUrls:
    """Host and ports as the public reaches them. Ports are the bound ones, never 0.

    `playback` is where viewers fetch, if that is not the HTTP port: `https://live.example.org` of an edge or a CDN.
    """

    host: str
    http_port: int
    rtmp_port: int
    srt_port: int = DEFAULT_SRT_PORT
    playback: str | None = None
    rtmps_port: int | None = None

    def __post_init__(self) -> None:
        for name in ("http_port", "rtmp_port", "srt_port", "rtmps_port"):
            port: int | None = getattr(self, name)
            if port is not None and not 1 <= port <= 65535:
                raise ValueError(f"{name} is {port}; the bound is 1..65535")

    @property
    def rtmp(self) -> str:
        """`rtmp://host/live`: the server address in an encoder."""
        return f"rtmp://{self._host}{_port(self.rtmp_port, DEFAULT_RTMP_PORT)}/live"

    def rtmp_full(self, key: str) -> str:
        """Server address and stream key in one."""
        return f"{self.rtmp}/{key}"

    @property
    def rtmps(self) -> str | None:
        """`rtmps://host:1936/live`; None without RTMPS."""
        if self.rtmps_port is None:
            return None
        return f"rtmps://{self._host}{_port(self.rtmps_port, DEFAULT_RTMPS_PORT)}/live"

    def rtmps_full(self, key: str) -> str | None:
        """The same with the key."""
        return None if self.rtmps is None else f"{self.rtmps}/{key}"

    @property
    def srt(self) -> str:
        """`srt://host:9000`: SRT has no default port, so it is always there."""
        return f"srt://{self._host}:{self.srt_port}"

    def srt_full(self, key: str) -> str:
        """Address and stream id in one."""
        return f"{self.srt}?streamid=#!::r=live/{key},m=publish"

    def hls(self, edge_id: str) -> str:
        """The multivariant playlist of a stream."""
        return f"{self._viewers}/live/{edge_id}/master.m3u8"

    def vod(self, recording_id: str) -> str:
        """The multivariant playlist of a recording."""
        return f"{self._vod(recording_id)}/master.m3u8"

    def download(self, recording_id: str) -> str:
        """A recording as one MP4."""
        return f"{self._vod(recording_id)}/download.mp4"

    def storyboard(self, recording_id: str) -> str:
        """The storyboard of a recording."""
        return f"{self._vod(recording_id)}/thumbnails.vtt"

    def _vod(self, recording_id: str) -> str:
        return f"{self._viewers}/vod/{recording_id}"

    @property
    def _viewers(self) -> str:
        if self.playback is not None:
            return self.playback.rstrip("/")
        return f"http://{self._host}{_port(self.http_port, DEFAULT_HTTP_PORT)}"

    @property
    def _host(self) -> str:
        is_bare_ipv6 = ":" in self.host and not self.host.startswith("[")
        return f"[{self.host}]" if is_bare_ipv6 else self.host


def _port(port: int, default: int) -> str:
    return "" if port == default else f":{port}"

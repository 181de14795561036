"""The URLs of hosts and ports, and the vocabulary shared with the ladder."""

from __future__ import annotations

import pytest

from control.resources import created_stream, rotated_key, stream_resource
from control.urls import PublicUrls
from streams.changes import new_stream


@pytest.mark.parametrize(
    ("urls", "rtmp", "srt", "hls"),
    [
        (
            PublicUrls(host="localhost", http_port=80, rtmp_port=1935),
            "rtmp://localhost/live",
            "srt://localhost:9000",
            "http://localhost/live/lse_1/master.m3u8",
        ),
        (
            PublicUrls(host="10.0.0.1", http_port=8080, rtmp_port=41935, srt_port=41936),
            "rtmp://10.0.0.1:41935/live",
            "srt://10.0.0.1:41936",
            "http://10.0.0.1:8080/live/lse_1/master.m3u8",
        ),
        (
            PublicUrls(host="2001:db8::1", http_port=8080, rtmp_port=1935),
            "rtmp://[2001:db8::1]/live",
            "srt://[2001:db8::1]:9000",
            "http://[2001:db8::1]:8080/live/lse_1/master.m3u8",
        ),
    ],
)
def test_urls(urls: PublicUrls, rtmp: str, srt: str, hls: str) -> None:
    assert (urls.rtmp, urls.srt, urls.hls("lse_1")) == (rtmp, srt, hls)
    assert urls.rtmp_full("sk_1") == f"{rtmp}/sk_1"
    assert urls.srt_full("sk_1") == f"{srt}?streamid=#!::r=live/sk_1,m=publish"


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_nobody_can_reach_is_refused(port: int) -> None:
    with pytest.raises(ValueError, match=f"rtmp_port is {port}"):
        PublicUrls(host="localhost", http_port=80, rtmp_port=port)


@pytest.mark.parametrize("playback", ["https://live.example", "https://live.example/"])
def test_viewers_may_be_sent_to_an_edge(playback: str) -> None:
    urls = PublicUrls(host="ingest.example", http_port=8080, rtmp_port=1935, playback=playback)
    assert urls.hls("lse_x") == "https://live.example/live/lse_x/master.m3u8"
    assert urls.download("rec_x") == "https://live.example/vod/rec_x/download.mp4"
    assert urls.rtmp == "rtmp://ingest.example/live"


@pytest.mark.parametrize(
    ("port", "url"), [(443, "rtmps://ingest.example/live"), (41937, "rtmps://ingest.example:41937/live")]
)
def test_rtmps_is_there_where_it_is_on(port: int, url: str) -> None:
    urls = PublicUrls(host="ingest.example", http_port=8080, rtmp_port=1935, rtmps_port=port)
    stream, key = new_stream(
        env="default", name="x", quality="high", low_latency=True, recording=False, reconnect_window_s=9
    )
    created = created_stream(stream, key, urls)
    assert (created.ingest.rtmps_url, created.ingest.rtmps_full_url) == (url, f"{url}/{key}")
    assert stream_resource(stream, urls).ingest.rtmps_url == url
    assert rotated_key(key, urls).rtmps_full_url == f"{url}/{key}"

"""What is measured of a source, from its units."""

from __future__ import annotations

from typing import Any

import pytest

from tests.packager.test_codecs import x264_record
from tests.packager.test_hevc import encoded, x265
from transcode.opus import opus_head
from transcode.source_meter import REPORT_EVERY_S, SourceMeter
from transcode.units import AudioConfig, AudioPacket, Hints, VideoConfig, VideoPacket

AVC_CONFIG = x264_record(640, 360)


def picture(dts_ms: float, *, keyframe: bool = False, size_bytes: int = 1000) -> VideoPacket:
    return VideoPacket(dts_ms=dts_ms % 2**32, composition_ms=0, keyframe=keyframe, data=bytes(size_bytes))


def measured(
    *, seconds: float = 4, fps: float = 30, gop_frames: int = 60, first_ms: float = 0, declared: float | None = 30
) -> dict[str, Any]:
    """The last report of a steady source that arrives in real time."""
    meter = SourceMeter()
    meter.observe(Hints(frame_rate=declared, encoder="test"), 0.0)
    meter.observe(VideoConfig(codec="h264", extradata=AVC_CONFIG), 0.0)
    meter.observe(AudioConfig(codec="mp3", extradata=b"", sample_rate_hz=44100, channels=2), 0.0)
    last: dict[str, Any] | None = None
    for n in range(int(seconds * fps)):
        arrival_s = n / fps
        meter.observe(picture(first_ms + n * 1000 / fps, keyframe=n % gop_frames == 0), arrival_s)
        meter.observe(AudioPacket(pts_ms=first_ms + n * 1000 / fps, data=bytes(500)), arrival_s)
        last = meter.report(arrival_s, 0) or last
    assert last is not None
    return last


def test_the_rates_are_what_was_sent() -> None:
    found = measured()
    assert found["video"]["fps_measured"] == pytest.approx(30, rel=0.01)
    assert found["video"]["fps_declared"] == 30
    assert found["video"]["bitrate_bps"] == pytest.approx(30 * 8000, rel=0.03)
    assert found["audio"] == {
        "codec": "mp3", "sample_rate_hz": 44100, "channels": 2,
        "bitrate_bps": pytest.approx(30 * 4000, rel=0.03),
    }  # fmt: skip
    assert found["bitrate_bps"] == pytest.approx(30 * 12000, rel=0.03)
    assert found["encoder"] == "test"


@pytest.mark.parametrize("gop_frames", [30, 60])
def test_the_gop_is_the_time_between_keyframes(gop_frames: int) -> None:
    assert measured(gop_frames=gop_frames, seconds=6)["video"]["gop_s"] == pytest.approx(gop_frames / 30, abs=0.02)


def test_a_gop_without_an_end_is_as_long_as_it_has_lasted() -> None:
    assert measured(gop_frames=10_000, seconds=9)["video"]["gop_s"] == pytest.approx(8, abs=1)


def test_a_wrap_of_the_timestamps_is_no_change() -> None:
    assert measured(first_ms=2**32 - 1500)["video"]["fps_measured"] == pytest.approx(30, rel=0.01)


def test_nothing_is_reported_before_its_time_and_size_comes_from_the_configuration() -> None:
    meter = SourceMeter()
    meter.observe(VideoConfig(codec="h264", extradata=AVC_CONFIG), 0.0)
    assert meter.report(REPORT_EVERY_S - 0.1, 0) is None
    found = meter.report(REPORT_EVERY_S, 3)
    assert found is not None and found["timestamp_jumps"] == 3
    assert found["video"]["codec_string"].startswith("avc1.")
    assert (found["video"]["width_px"], found["video"]["height_px"]) == (640, 360)
    assert "audio" not in found


def test_size_and_rate_of_the_other_codecs() -> None:
    _, vp9_keyframe = encoded("libvpx-vp9", 322, 182, {"deadline": "realtime"})
    av1_header, _ = encoded("libsvtav1", 322, 182, {"preset": "12"})
    for config, keyframe in (
        (VideoConfig(codec="hevc", extradata=x265(322, 182)), b"-"),
        (VideoConfig(codec="av1", extradata=b"\x81\0\0\0" + av1_header), b"-"),
        (VideoConfig(codec="vp9", extradata=b"\0\x0a\x80\2\2\2\0\0"), vp9_keyframe),
    ):
        meter = SourceMeter()
        meter.observe(config, 0.0)
        meter.observe(AudioConfig(codec="opus", extradata=opus_head(1), sample_rate_hz=0, channels=0), 0.0)
        meter.observe(VideoPacket(dts_ms=0, composition_ms=0, keyframe=True, data=keyframe), 0.0)
        found = meter.report(REPORT_EVERY_S, 0)
        assert found is not None
        assert (found["video"]["width_px"], found["video"]["height_px"]) == (322, 182), config.codec
        assert (found["audio"]["sample_rate_hz"], found["audio"]["channels"]) == (48000, 1)

"""What an encoder really sends, measured on the units of its connection: sizes, rates, GOP length, jumps."""

from __future__ import annotations

from typing import Any

from packager.codecs import CodecError, parse_aac_config, parse_avc_config, video_codec_string
from packager.frame_size import av1_size, vp9_size
from packager.hevc import parse_hevc_config
from transcode import opus
from transcode.timeline import signed_difference_ms
from transcode.units import AudioConfig, AudioPacket, Hints, Unit, VideoConfig, VideoPacket
from transcode.video_shape import SAMPLE_ENTRIES

REPORT_EVERY_S = 2.0


class SourceMeter:
    """One connection. `observe` costs less than a microsecond; every two seconds there is a report."""

    def __init__(self) -> None:
        self._reported_s: float | None = None
        self._video: dict[str, Any] = {}
        self._audio: dict[str, Any] = {}
        self._hints = Hints()
        self._video_bytes = self._audio_bytes = 0
        self._pictures = 0
        self._picture_ms: float | None = None
        self._passed_ms = 0.0
        self._keyframe_ms: float | None = None
        self._gop_s: float | None = None

    def observe(self, unit: Unit, arrival_s: float) -> None:
        """Count one unit."""
        if self._reported_s is None:
            self._reported_s = arrival_s
        if isinstance(unit, VideoPacket):
            self._picture(unit)
        elif isinstance(unit, AudioPacket):
            self._audio_bytes += len(unit.data)
        elif isinstance(unit, VideoConfig):
            self._video = _video_facts(unit)
        elif isinstance(unit, AudioConfig):
            self._audio = _audio_facts(unit)
        else:
            self._hints = unit

    def report(self, arrival_s: float, jumps: int) -> dict[str, Any] | None:
        """What `IngestHealth` has of the media, about the time since the last report; None until it is due."""
        since_s = arrival_s - (self._reported_s if self._reported_s is not None else arrival_s)
        if since_s < REPORT_EVERY_S:
            return None
        fields: dict[str, Any] = {
            "bitrate_bps": _rate(self._video_bytes + self._audio_bytes, since_s),
            "timestamp_jumps": jumps,
        }
        if self._hints.has_extra_tracks:
            fields["has_extra_tracks"] = True
        if self._hints.encoder is not None:
            fields["encoder"] = self._hints.encoder
        if self._video:
            fields["video"] = {**self._video, "bitrate_bps": _rate(self._video_bytes, since_s)}
            if self._hints.frame_rate is not None:
                fields["video"]["fps_declared"] = self._hints.frame_rate
            if self._passed_ms > 0:
                fields["video"]["fps_measured"] = round(self._pictures * 1000 / self._passed_ms, 2)
            elif not self._video_bytes:
                fields["video"]["fps_measured"] = 0.0
            if self._gop_s is not None:
                fields["video"]["gop_s"] = round(self._gop_s, 2)
        if self._audio:
            fields["audio"] = {**self._audio, "bitrate_bps": _rate(self._audio_bytes, since_s)}
        self._reported_s = arrival_s
        self._video_bytes = self._audio_bytes = self._pictures = 0
        self._passed_ms = 0.0
        return fields

    def _picture(self, unit: VideoPacket) -> None:
        self._video_bytes += len(unit.data)
        if self._picture_ms is not None:
            # What jumps says nothing of the frame rate.
            step_ms = signed_difference_ms(unit.dts_ms, self._picture_ms)
            if 0 < step_ms < 10_000:
                self._passed_ms += step_ms
                self._pictures += 1
        self._picture_ms = unit.dts_ms
        if unit.keyframe:
            if self._video.get("codec") == "vp9" and (size := vp9_size(unit.data)) is not None:
                self._video |= {"width_px": size[0], "height_px": size[1]}
            if self._keyframe_ms is not None:
                gop_ms = signed_difference_ms(unit.dts_ms, self._keyframe_ms)
                self._gop_s = gop_ms / 1000 if gop_ms > 0 else self._gop_s
            self._keyframe_ms = unit.dts_ms
        elif self._keyframe_ms is not None:
            # A GOP that has no end yet is at least as long as this.
            open_s = signed_difference_ms(unit.dts_ms, self._keyframe_ms) / 1000
            if open_s > (self._gop_s or 0.0) and open_s > REPORT_EVERY_S:
                self._gop_s = open_s


def _rate(size_bytes: int, seconds: float) -> int:
    return round(size_bytes * 8 / seconds)


def _video_facts(config: VideoConfig) -> dict[str, Any]:
    facts: dict[str, Any] = {"codec": config.codec}
    try:
        facts["codec_string"] = video_codec_string(SAMPLE_ENTRIES[config.codec], config.extradata)
        size = _size(config)
    except CodecError:
        return facts  # the session says so
    return facts if size is None else {**facts, "width_px": size[0], "height_px": size[1]}


def _size(config: VideoConfig) -> tuple[int, int] | None:
    """Width and height by the configuration. VP9's says nothing of them. Raises `CodecError`."""
    if config.codec == "av1":
        return av1_size(config.extradata)
    if config.codec == "vp9":
        return None
    parsed = parse_avc_config(config.extradata) if config.codec == "h264" else parse_hevc_config(config.extradata)
    return parsed.width_px, parsed.height_px


def _audio_facts(config: AudioConfig) -> dict[str, Any]:
    facts: dict[str, Any] = {"codec": config.codec}
    rate_hz, channels = config.sample_rate_hz, config.channels
    try:
        if config.codec == "aac":
            parsed = parse_aac_config(config.extradata)
            rate_hz, channels = parsed.sample_rate_hz, parsed.channels
        elif config.codec == "opus":
            rate_hz, channels = opus.RATE_HZ, opus.head_channels(config.extradata)
    except CodecError:
        return facts
    if rate_hz:
        facts |= {"sample_rate_hz": rate_hz, "channels": channels}
    return facts

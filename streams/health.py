"""Ingest health as it lies in Redis: the words that ingest writes and the API shows."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

HEALTH_TTL_S: Final = 10
"""What a node that has died leaves behind is gone after this."""

Count = Annotated[int, Field(ge=0)]


class _Health(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, frozen=True)


class VideoHealth(_Health):
    """What the video of an encoder is, and how fast it comes."""

    codec: str
    codec_string: str | None = Field(None, description="as RFC 6381 has it, such as `avc1.64001f`")
    width_px: int | None = None
    height_px: int | None = None
    fps_declared: float | None = Field(None, description="what the encoder says")
    fps_measured: float | None = Field(None, description="by the timestamps of the last two seconds")
    bitrate_bps: Count
    gop_s: float | None = Field(None, description="seconds between the last two keyframes")


class AudioHealth(_Health):
    """What the audio of an encoder is."""

    codec: str
    sample_rate_hz: int | None = None
    channels: int | None = None
    bitrate_bps: Count


class SrtHealth(_Health):
    """What libsrt measures. Packets are counted since the connection began."""

    rtt_ms: float
    packets_received: Count
    packets_lost: Count
    packets_retransmitted: Count
    packets_dropped: Count = Field(description="given up: these are gaps")
    packets_belated: Count
    packets_undecrypted: Count
    receive_buffer_ms: int
    receive_rate_bps: Count


class HealthWarning(_Health):
    """Something that the person at the encoder should change."""

    code: str
    message: str


class IngestHealth(_Health):
    """How the ingest of a stream is doing."""

    at: str = Field(description="ISO 8601, with milliseconds")
    protocol: Literal["rtmp", "rtmps", "srt"]
    encoder: str | None = Field(None, description="what the encoder calls itself")
    connected_at: str = Field(description="ISO 8601, with milliseconds")
    bitrate_bps: Count = Field(description="all media")
    video: VideoHealth | None = None
    audio: AudioHealth | None = None
    timestamp_jumps: Count = Field(description="since the connection began")
    has_extra_tracks: bool | None = Field(None, description="whether tracks come that are not used")
    srt: SrtHealth | None = None
    warnings: tuple[HealthWarning, ...] = ()

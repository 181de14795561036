"""What strangers may cost us: every limit of ingest in one typed place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestLimits:
    """Limits of a connection from an encoder. Sizes are in bytes, times in seconds. An IP is a /64 where it is IPv6."""

    handshake_s: float = 5.0
    connect_to_publish_s: float = 10.0
    no_media_s: float = 10.0
    unauthenticated_connections: int = 500
    unauthenticated_connections_per_ip: int = 20
    failures_per_ip: int = 60
    failures_per_ip_per_s: float = 0.5
    message_before_key_bytes: int = 16 * 1024
    message_after_key_bytes: int = 4 * 1024 * 1024
    chunk_streams: int = 32
    bytes_in_flight: int = 8 * 1024 * 1024
    amf_depth: int = 8
    amf_items: int = 256
    amf_string_bytes: int = 8 * 1024
    commands_before_publish: int = 32
    bitrate_times_tier: float = 3.0
    bitrate_window_s: float = 10.0
    passthrough_bitrate_bps: int = 20_000_000
    handoff_bytes: int = 8 * 1024 * 1024
    refusal_grace_s: float = 0.5
    takeover_silence_s: float = 2.0
    takeover_memory_s: float = 60.0
    no_usable_media_s: float = 15.0
    worker_without_ingest_s: float = 15.0
    worker_ping_s: float = 2.0
    worker_pings_unanswered: int = 5
    worker_restarts: int = 3
    worker_restarts_within_s: float = 60.0
    srt_backlog: int = 64
    srt_stream_id_bytes: int = 512
    srt_handshakes_per_ip_per_s: float = 10.0
    srt_peer_idle_s: float = 5.0


LIMITS = IngestLimits()

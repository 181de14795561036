"""RTMP ingest, one file per layer: handshake, chunks, amf0, messages, connection (no I/O); protocol, server (I/O)."""

"""SRT ingest: the listener that takes MPEG-TS from callers, through the official libsrt."""

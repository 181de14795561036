"""What the multivariant playlist says of a rendition, from its track."""

from __future__ import annotations

from packager.codecs import codec_string
from packager.records import RenditionRecord
from packager.samples import Track, VideoTrack


def rendition_record(track: Track) -> RenditionRecord:
    """The record that announces this track."""
    codecs = codec_string(track)
    if isinstance(track, VideoTrack):
        return RenditionRecord(
            name=track.name,
            kind="video",
            codecs=codecs,
            bandwidth_bps=track.bandwidth_bps,
            average_bandwidth_bps=track.average_bandwidth_bps,
            width_px=track.display_width_px,
            height_px=track.height_px,
            frame_rate=float(track.frame_rate or 0),
            may_carry_captions=track.may_carry_captions,
        )
    return RenditionRecord(
        name=track.name,
        kind="audio",
        codecs=codecs,
        bandwidth_bps=track.bandwidth_bps,
        average_bandwidth_bps=track.average_bandwidth_bps,
        channels=track.channels,
    )

"""The tracks of a passthrough session: from its first picture on, or from where another worker stopped."""

from __future__ import annotations

import time
from dataclasses import asdict
from math import ceil
from typing import Any

from config.session import Checkpoint
from packager.cuts import FollowedCuts, SourceCuts
from packager.publication import Publication
from packager.records import SessionRecord
from packager.samples import AudioTrack, VideoTrack
from packager.segmenter import RenditionSegmenter
from packager.written import WrittenRendition
from transcode import opus
from transcode.audio_form import AudioForm, kept_form
from transcode.passthrough_tracks import (
    VIDEO_TIMESCALE_HZ,
    AudioTrackWriter,
    CopiedAudio,
    TranscodedAudio,
    VideoTrackWriter,
)
from transcode.units import AudioConfig

ORIGIN_S = 1.0
"""Published media time of the first picture: above zero, so that no audio before it is negative."""


class PassthroughWriters:
    """Writers and segmenters of both tracks. What the session's record has frozen decides how they are cut."""

    def __init__(
        self, publication: Publication, session: SessionRecord, video: VideoTrack, after: Checkpoint | None
    ) -> None:
        frozen = session.frozen
        form = _form_of(frozen["kept_audio"])
        cuts = SourceCuts(frozen["segment_s"], frozen["video_part_s"], session.target_duration_s, VIDEO_TIMESCALE_HZ)
        video_s = audio_s = ORIGIN_S if after is None else after.media_s + max(0.0, time.time() - after.at_s)
        audio_track = _transcoded_track() if form is None else form.track
        written = publication.renditions
        if publication.has_media:
            if not publication.goes_on_with([video, audio_track]):
                publication.break_off()
            video_s, audio_s = (_next_s(written.get(name)) for name in (video.name, audio_track.name))
        followed = FollowedCuts(cuts, audio_track.timescale_hz)
        if publication.breaks:
            video_s = audio_s = max(video_s, audio_s)
            slot = (publication.next_msn + _segments_since(after, frozen["segment_s"]), 0)
            cuts.go_on(slot)
            followed.go_on(slot)
        elif publication.has_media:
            _go_on(cuts, followed, written[video.name], written[audio_track.name])
        self.video_segmenter = RenditionSegmenter(publication, video, cuts)
        self.audio_segmenter = RenditionSegmenter(publication, audio_track, followed)
        self.video = VideoTrackWriter(self.video_segmenter.add, video_s)
        self.audio = self._audio_writer(form, audio_s)
        self._cuts = cuts

    def change_audio(self, form: AudioForm | None, at_s: float) -> AudioTrackWriter:
        """The audio rendition goes on in another form, in the segment that the video begins at this time.

        All that comes before must have been released.
        """
        track = _transcoded_track() if form is None else form.track
        self.audio_segmenter.change_track(track, FollowedCuts(self._cuts, track.timescale_hz))
        # Not before the segment to which it belongs.
        start_s = ceil(round(at_s * track.timescale_hz, 3)) / track.timescale_hz
        self.audio = self._audio_writer(form, start_s)
        return self.audio

    def _audio_writer(self, form: AudioForm | None, start_s: float) -> AudioTrackWriter:
        publish = self.audio_segmenter.add
        return TranscodedAudio(publish, ORIGIN_S, start_s) if form is None else CopiedAudio(publish, form, start_s)


def kept_audio(form: AudioForm | None) -> dict[str, Any] | None:
    """For the session's record: the configuration of audio that is kept as it is; None when it becomes AAC."""
    return None if form is None else {**asdict(form.config), "extradata": form.config.extradata.hex()}


def _form_of(fields: dict[str, Any] | None) -> AudioForm | None:
    if fields is None:
        return None
    config = AudioConfig(**{**fields, "extradata": bytes.fromhex(fields["extradata"])})
    return kept_form(config, opus.SILENT_PACKETS[1])


def _go_on(cuts: SourceCuts, followed: FollowedCuts, video: WrittenRendition, audio: WrittenRendition) -> None:
    """Take up the cuts where they are; those that the audio has not followed yet are still to be followed."""
    next_s = _next_s(video)
    segment_s = video.open.start_s if video.open is not None else next_s
    cuts.go_on((video.next_msn, len(video.open_parts)), _ticks(next_s), _ticks(segment_s))
    audio_slot = (audio.next_msn, len(audio.open_parts))
    followed.go_on(audio_slot)
    cuts.made.extend((_ticks(start_s), slot) for start_s, slot in video.starts if slot > audio_slot)


def _next_s(written: WrittenRendition | None) -> float:
    return ORIGIN_S if written is None or not written.starts else written.next_s


def _ticks(seconds: float) -> int:
    return round(seconds * VIDEO_TIMESCALE_HZ)


def _segments_since(after: Checkpoint | None, segment_s: float) -> int:
    """How many segments the other node may have published since its last checkpoint, at most."""
    return 0 if after is None else 1 + int(max(0.0, time.time() - after.at_s) / (segment_s * 0.9))


def _transcoded_track() -> AudioTrack:
    # A session that keeps its audio never needs it.
    from transcode.audio import AudioTranscoder

    return AudioTranscoder(0).track

"""What a passthrough session publishes: one video rendition, one audio rendition, cut where the source allows."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from pathlib import Path

from config.ladders import AUDIO_SAMPLE_RATE_HZ
from config.session import Live, Note, SessionSpec
from packager.cuts import FollowedCuts, SourceCuts
from packager.publication import Publication
from packager.samples import Sample, VideoTrack
from packager.segmenter import RenditionSegmenter
from transcode.audio_form import AAC_FRAME_SAMPLES, AudioForm, kept_form
from transcode.passthrough_tracks import (
    VIDEO_TIMESCALE_HZ,
    AudioTrackWriter,
    CopiedAudio,
    TranscodedAudio,
    VideoTrackWriter,
)
from transcode.readiness import Readiness
from transcode.session import Report
from transcode.source import SessionClock, TimedAudio, TimedVideo
from transcode.units import AudioConfig, Hints, VideoConfig
from transcode.video_shape import SAMPLE_ENTRIES, shape_of

ORIGIN_S = 1.0
"""Published media time of the first picture: above zero, so that no audio before it is negative."""
SILENT_AFTER_S = 0.5
_LONGEST_SEGMENTS = 3
_GUESSED_BITRATE_BPS = 4_000_000
_GUESSED_FRAME_RATE = 30.0
_PEAK_SHARE = 1.25
_MEASURE_S = 4.0
_LARGEST_DRIFT_S = 1.0


class PassthroughOutput:
    """Published time is session time shifted so that each connection goes on where the one before it ended."""

    def __init__(
        self,
        spec: SessionSpec,
        report: Report,
        clock: SessionClock,
        video: VideoConfig,
        audio: AudioConfig | None,
        hints: Hints,
        first_keyframe: bytes,
        first_sound: bytes | None,
    ) -> None:
        self._spec = spec
        self._report = report
        self._clock = clock
        self._video_config = video
        self._next_video_config: VideoConfig | None = None
        self._shift_s: float | None = None
        self._zero_wall_s = clock.start_wall_s
        self._zero_wall_shift_s: float | None = None
        self._last_audio_arrival_s = clock.now_s()
        self._measured_from_s = ORIGIN_S
        self._measured_bytes = 0
        self._peak_bps = 0.0
        self._track = _video_track(video, first_keyframe, hints.video_bitrate_bps)
        # A frame and its rounding to milliseconds fit into a part; the audio of a part may end a frame later.
        frame_s = min(1 / (hints.frame_rate or self._track.frame_rate or _GUESSED_FRAME_RATE), spec.segment_s)
        video_part_s = _up_to_ms(max(spec.part_s, frame_s) + 0.001)
        form = kept_form(audio, first_sound)
        audio_frame_s = AAC_FRAME_SAMPLES / AUDIO_SAMPLE_RATE_HZ
        if form is not None:
            audio_frame_s = form.longest_samples / form.track.sample_rate_hz
        part_target_s = _up_to_ms(video_part_s + audio_frame_s)
        # Frozen before the source's GOP is known: a source with longer GOPs is cut between keyframes.
        self._target_duration_s = ceil(_LONGEST_SEGMENTS * spec.segment_s)
        self._publication = Publication(
            Path(spec.media_dir),
            edge_id=spec.edge_id,
            session_id=spec.session_id,
            low_latency=spec.low_latency,
            window_s=spec.window_s,
            part_target_s=part_target_s,
            target_duration_s=self._target_duration_s,
            chunk_s=spec.chunk_s,
            wall_time_s=self._wall_time_s,
        )
        self._publication.on_published = Readiness([self._track.name, "audio"], self._go_live).published
        cuts = SourceCuts(spec.segment_s, video_part_s, self._target_duration_s, VIDEO_TIMESCALE_HZ)
        self._video_segmenter = RenditionSegmenter(self._publication, self._track, cuts)
        self._video = VideoTrackWriter(self._video_segmenter.add)
        self._audio = self._audio_writer(form, cuts)
        if audio is not None:
            self._audio.configure(audio)
        fields = {"width_px": self._track.width_px, "height_px": self._track.height_px, "codecs": self._track.codec}
        report(Note(session_id=spec.session_id, event="source", fields=fields))

    def configure_video(self, config: VideoConfig) -> None:
        """From its first keyframe on a configuration that differs has a new init segment, after a discontinuity."""
        self._next_video_config = config if config != self._video_config else None

    def _change_video(self, config: VideoConfig, keyframe: bytes) -> None:
        self._video_config, self._next_video_config = config, None
        self._video.flush()
        self._track = _video_track(config, keyframe, self._track.average_bandwidth_bps)
        self._video_segmenter.change_track(self._track)

    def configure_audio(self, config: AudioConfig) -> None:
        """See `AudioTrackWriter.configure`."""
        self._audio.configure(config)

    def rejoin(self) -> None:
        """A new connection follows: its first keyframe goes where the last picture ended."""
        self._shift_s = None

    def add(self, unit: TimedVideo | TimedAudio) -> None:
        """A packet, in session time."""
        if isinstance(unit, TimedVideo):
            self._add_video(unit)
        elif self._shift_s is not None:
            self._last_audio_arrival_s = unit.arrival_s
            self._audio.add(unit.data, unit.pts_s + self._shift_s)

    def end(self, *, final: bool = True) -> None:
        """Publish what is left and, if `final`, close the playlists."""
        self._video.flush()
        self._video_segmenter.flush()
        self._audio.flush()
        self._audio_segmenter.flush()
        self._publication.end(final=final)

    def _add_video(self, unit: TimedVideo) -> None:
        if self._next_video_config is not None:
            if not unit.keyframe:
                return
            self._change_video(self._next_video_config, unit.data)
        if self._shift_s is None:
            if not unit.keyframe:
                return
            self._shift_s = max(ORIGIN_S, self._video.end_s) - unit.dts_s
        dts_s = unit.dts_s + self._shift_s
        if dts_s < self._video.end_s - 1.0:  # the source's clock stepped back further than jitter does
            self._shift_s += self._video.end_s - dts_s
            dts_s = self._video.end_s
        self._video.add(dts_s, dts_s + unit.pts_s - unit.dts_s, unit.keyframe, unit.data)
        self._measure_bitrate(dts_s, len(unit.data))
        if unit.arrival_s - self._last_audio_arrival_s > SILENT_AFTER_S:
            self._audio.fill(dts_s)
        self._audio.release(dts_s)

    def _measure_bitrate(self, dts_s: float, size_bytes: int) -> None:
        """What the source declares, or nothing, is replaced by what it really sends."""
        self._measured_bytes += size_bytes
        seconds = dts_s - self._measured_from_s
        if seconds < _MEASURE_S:
            return
        rate_bps = self._measured_bytes * 8 / seconds
        self._measured_from_s, self._measured_bytes = dts_s, 0
        if rate_bps > self._peak_bps * 1.05:
            self._peak_bps = rate_bps
            self._track = replace(
                self._track, bandwidth_bps=int(rate_bps * _PEAK_SHARE), average_bandwidth_bps=int(rate_bps)
            )
            self._publication.update_track(self._track)

    def _audio_writer(self, form: AudioForm | None, cuts: SourceCuts) -> AudioTrackWriter:
        def publish(sample: Sample) -> None:
            self._audio_segmenter.add(sample)

        writer: AudioTrackWriter
        if form is not None:
            writer, track = CopiedAudio(publish, form, ORIGIN_S), form.track
        else:
            transcoded = TranscodedAudio(publish, ORIGIN_S)
            writer, track = transcoded, transcoded.transcoder.track
        self._audio_segmenter = RenditionSegmenter(self._publication, track, FollowedCuts(cuts, track.timescale_hz))
        return writer

    def _wall_time_s(self, media_s: float) -> float:
        """Unix time in seconds: linear as long as a connection lasts, unless the source's clock has drifted far."""
        if self._shift_s is not None:
            zero_s = self._clock.start_wall_s - self._shift_s + self._clock.lag.lag_s
            if self._zero_wall_shift_s != self._shift_s or abs(zero_s - self._zero_wall_s) > _LARGEST_DRIFT_S:
                self._zero_wall_s, self._zero_wall_shift_s = round(zero_s, 3), self._shift_s
        return self._zero_wall_s + media_s

    def _go_live(self) -> None:
        self._publication.make_current()
        self._report(Live(session_id=self._spec.session_id))


def _video_track(config: VideoConfig, keyframe: bytes, bitrate_bps: float | None) -> VideoTrack:
    shape = shape_of(config, keyframe)
    average_bps = int(bitrate_bps or _GUESSED_BITRATE_BPS)
    return VideoTrack(
        name="source",
        timescale_hz=VIDEO_TIMESCALE_HZ,
        codec=SAMPLE_ENTRIES[config.codec],
        decoder_config=config.extradata,
        width_px=shape.width_px,
        height_px=shape.height_px,
        frame_rate=shape.frame_rate,
        sample_aspect_ratio=shape.sample_aspect_ratio,
        bandwidth_bps=int(average_bps * _PEAK_SHARE),
        average_bandwidth_bps=average_bps,
        may_carry_captions=True,
    )


def _up_to_ms(seconds: float) -> float:
    return ceil(round(seconds * 1000, 3)) / 1000

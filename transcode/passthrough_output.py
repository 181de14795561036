"""What a passthrough session publishes: one video rendition, one audio rendition, cut where the source allows."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from config.ladders import AUDIO_SAMPLE_RATE_HZ
from config.session import Live, Note, SessionSpec
from packager.records import SessionRecord
from packager.samples import VideoTrack
from transcode.audio_form import AAC_FRAME_SAMPLES, AudioForm, kept_form
from transcode.begun import Begun, new_record, open_publication
from transcode.keyframe_thumbnails import KeyframeThumbnails
from transcode.meter import SessionMeter
from transcode.passthrough_tracks import VIDEO_TIMESCALE_HZ
from transcode.passthrough_writers import ORIGIN_S, PassthroughWriters, kept_audio
from transcode.plan import longest_sound_s, plan_source_parts
from transcode.readiness import Readiness
from transcode.session import Report
from transcode.source import SessionClock, TimedAudio, TimedVideo
from transcode.units import AudioConfig, Hints, VideoConfig
from transcode.video_shape import SAMPLE_ENTRIES, shape_of

SILENT_AFTER_S = 0.5
_LONGEST_SEGMENTS = 3
_GUESSED_BITRATE_BPS = 4_000_000
_GUESSED_FRAME_RATE = 30.0
_PEAK_SHARE = 1.25
_MEASURE_S = 4.0
_KEPT_FRAMES_S = (1024 / 48_000, 1024 / 44_100, 0.02)
"""How long the packets of audio are that is usually kept: AAC, and Opus."""
_STEP_BACK_S = 0.1
_LONG_GAP_S = 1.0
_LARGEST_DRIFT_S = 1.0


class PassthroughOutput:
    """Published time is session time shifted so that each connection goes on where the one before it ended.

    `begun` is what another worker has left of the session. Raises `packager.session_lock.SessionBusy`.
    """

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
        begun: Begun | None = None,
        *,
        meter: SessionMeter,
    ) -> None:
        self._spec = spec
        self._report = report
        self._clock = clock
        self._video_config = video
        self._next_video_config: VideoConfig | None = None
        self._shift_s: float | None = None
        self._zero_wall_s = clock.start_wall_s
        self._zero_wall_shift_s: float | None = None
        self._last_arrival_s = self._last_audio_arrival_s = self._last_picture_s = clock.now_s()
        self._measured_bytes = 0
        self._peak_bps = 0.0
        self._track = _video_track(video, first_keyframe, hints.video_bitrate_bps, hints.frame_rate)
        session = begun.session if begun is not None else self._new_record(kept_form(audio, first_sound), hints)
        after = begun.after if begun is not None else None
        self._publication = open_publication(spec, session, self._wall_time_s, after)
        self._ready = Readiness([self._track.name, "audio"], self._go_live)
        self._meter = meter
        self._part_s = session.part_target_s if session.low_latency else spec.segment_s
        self._publication.on_published = self._published
        self._publication.on_checkpoint = report
        self._part_target_s, self._video_part_s = session.part_target_s, session.frozen["video_part_s"]
        self._writers = writers = PassthroughWriters(self._publication, session, self._track, after)
        self._video, self._video_segmenter = writers.video, writers.video_segmenter
        self._audio = writers.audio
        self._next_audio_config: AudioConfig | None = None
        self._next_sound: bytes | None = None
        self._thumbnails = KeyframeThumbnails(self._publication, sheets=session.recording)
        self._measured_from_s = max(ORIGIN_S, self._video.end_s)
        if audio is not None:
            self.configure_audio(audio)
        if begun is not None:
            where = {"msn": self._publication.next_msn, "discontinuity": self._publication.breaks}
            report(Note(session_id=spec.session_id, event="session_goes_on", fields=where))
        fields = {"width_px": self._track.width_px, "height_px": self._track.height_px, "codecs": self._track.codec}
        report(Note(session_id=spec.session_id, event="source", fields=fields))

    def _new_record(self, form: AudioForm | None, hints: Hints) -> SessionRecord:
        """All that is fixed with the first picture."""
        spec = self._spec
        frame_s = min(1 / (hints.frame_rate or self._track.frame_rate or _GUESSED_FRAME_RATE), spec.segment_s)
        # There is room for another form that may follow.
        sounds_s = [*_KEPT_FRAMES_S, _packet_s(form)]
        video_part_s, part_target_s = plan_source_parts(spec.part_s, frame_s, sounds_s)
        return new_record(
            spec,
            part_target_s=part_target_s,
            # Frozen before the source's GOP is known: a source with longer GOPs is cut between keyframes.
            target_duration_s=ceil(_LONGEST_SEGMENTS * spec.segment_s),
            frozen={"segment_s": spec.segment_s, "video_part_s": video_part_s, "kept_audio": kept_audio(form)},
        )

    def configure_video(self, config: VideoConfig) -> None:
        """From its first keyframe on a configuration that differs has a new init segment, after a discontinuity."""
        self._next_video_config = config if config != self._video_config else None

    def configure_audio(self, config: AudioConfig) -> None:
        """The same as for video, with silence until the keyframe. Audio that is transcoded needs no discontinuity."""
        self._next_audio_config = None if self._audio.takes(config) else config
        self._next_sound = None

    def rejoin(self) -> None:
        """A new connection follows: its first keyframe goes where the last picture ended."""
        self._shift_s = None

    def add(self, unit: TimedVideo | TimedAudio) -> None:
        """A packet, in session time."""
        if isinstance(unit, TimedVideo):
            self._add_video(unit)
        elif self._next_audio_config is not None:
            self._next_sound = unit.data
        elif self._shift_s is not None:
            self._close_gap(unit.arrival_s, unit.pts_s, self._audio.end_s)
            self._last_audio_arrival_s = unit.arrival_s
            self._audio.add(unit.data, unit.pts_s + self._shift_s)
        self._last_arrival_s = unit.arrival_s

    @property
    def av_drift_s(self) -> float:
        """How far the source's sound was last from the place that it was given."""
        return self._audio.drift_s

    def end(self, *, final: bool = True) -> None:
        """Publish what is left and, if `final`, close the playlists."""
        self._video.flush()
        self._video_segmenter.flush()
        self._audio.flush()
        self._writers.audio_segmenter.flush()
        self._publication.end(final=final)

    def _add_video(self, unit: TimedVideo) -> None:
        if not unit.keyframe and (self._shift_s is None or self._next_video_config is not None):
            return
        if unit.keyframe and (self._next_video_config is not None or self._next_form_known):
            self._change(unit.data)
        if self._shift_s is None:
            self._shift_s = max(ORIGIN_S, self._video.end_s) - unit.dts_s
            self._audio.rejoin(self._video.end_s)
        self._close_gap(unit.arrival_s, unit.dts_s, self._video.end_s)
        if unit.dts_s + self._shift_s < self._video.newest_s - _STEP_BACK_S:
            self._move_to_end(unit.dts_s)
        dts_s = unit.dts_s + self._shift_s
        self._video.add(dts_s, dts_s + unit.pts_s - unit.dts_s, unit.keyframe, unit.data)
        if unit.keyframe:
            self._thumbnails.see(self._video_config, unit.data, dts_s + unit.pts_s - unit.dts_s)
        self._thumbnails.publish()
        self._last_picture_s = unit.arrival_s
        self._measure_bitrate(dts_s, len(unit.data))
        if unit.arrival_s - self._last_audio_arrival_s > SILENT_AFTER_S:
            self._audio.fill(dts_s)
        self._audio.release(dts_s)

    def _close_gap(self, arrival_s: float, media_s: float, end_s: float) -> None:
        """What comes after a time in which nothing at all was sent follows at once: no picture may last so long."""
        assert self._shift_s is not None
        if arrival_s - self._last_arrival_s > _LONG_GAP_S and media_s + self._shift_s - end_s > _LONG_GAP_S:
            self._move_to_end(media_s)

    def _move_to_end(self, media_s: float) -> None:
        self._shift_s = self._video.end_s - media_s
        self._audio.rejoin(self._video.end_s)

    @property
    def _next_form_known(self) -> bool:
        config = self._next_audio_config
        return config is not None and (config.codec != "opus" or self._next_sound is not None)

    def _change(self, keyframe: bytes) -> None:
        """A discontinuity in both renditions, and new init segments where the configuration is another."""
        at_s = self._video.end_s
        self._video.flush()
        if self._next_video_config is not None:
            self._video_config, self._next_video_config = self._next_video_config, None
            self._track = _video_track(self._video_config, keyframe, self._track.average_bandwidth_bps)
        self._video_segmenter.change_track(self._track)
        self._audio.fill(at_s)
        self._audio.release(at_s)
        if self._next_audio_config is not None and self._next_form_known:
            form = kept_form(self._next_audio_config, self._next_sound)
            if longest_sound_s(self._video_part_s, _packet_s(form)) > self._part_target_s:
                form = None
            self._audio = self._writers.change_audio(form, max(at_s, self._audio.end_s))
            self._audio.takes(self._next_audio_config)
            self._next_audio_config = self._next_sound = None

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

    def _wall_time_s(self, media_s: float) -> float:
        """Unix time in seconds: linear as long as a connection lasts, unless the source's clock has drifted far."""
        if self._shift_s is not None:
            zero_s = self._clock.start_wall_s - self._shift_s + self._clock.lag.lag_s
            if self._zero_wall_shift_s != self._shift_s or abs(zero_s - self._zero_wall_s) > _LARGEST_DRIFT_S:
                self._zero_wall_s, self._zero_wall_shift_s = round(zero_s, 3), self._shift_s
        return self._zero_wall_s + media_s

    def _published(self, rendition: str) -> None:
        self._meter.published(rendition, self._part_s)
        if rendition != "audio":
            # What is published ends with the picture that came last.
            self._meter.observe("part", self._clock.now_s() - self._last_picture_s)
        self._ready.published(rendition)

    def _go_live(self) -> None:
        self._publication.make_current()
        self._report(Live(session_id=self._spec.session_id))


def _video_track(
    config: VideoConfig, keyframe: bytes, bitrate_bps: float | None, declared_fps: float | None = None
) -> VideoTrack:
    shape = shape_of(config, keyframe)
    average_bps = int(bitrate_bps or _GUESSED_BITRATE_BPS)
    return VideoTrack(
        name="source",
        timescale_hz=VIDEO_TIMESCALE_HZ,
        codec=SAMPLE_ENTRIES[config.codec],
        decoder_config=config.extradata,
        width_px=shape.width_px,
        height_px=shape.height_px,
        frame_rate=shape.frame_rate or declared_fps,  # AV1 and VP9 seldom say it themselves
        sample_aspect_ratio=shape.sample_aspect_ratio,
        bandwidth_bps=int(average_bps * _PEAK_SHARE),
        average_bandwidth_bps=average_bps,
        may_carry_captions=True,
    )


def _packet_s(form: AudioForm | None) -> float:
    """The longest packet of a form, or of the AAC that audio becomes otherwise."""
    if form is None:
        return AAC_FRAME_SAMPLES / AUDIO_SAMPLE_RATE_HZ
    return form.longest_samples / form.track.sample_rate_hz

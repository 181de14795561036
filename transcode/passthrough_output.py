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
from transcode.passthrough_tracks import VIDEO_TIMESCALE_HZ
from transcode.passthrough_writers import ORIGIN_S, PassthroughWriters, kept_audio
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
        self._measured_bytes = 0
        self._peak_bps = 0.0
        self._track = _video_track(video, first_keyframe, hints.video_bitrate_bps)
        session = begun.session if begun is not None else self._new_record(kept_form(audio, first_sound), hints)
        after = begun.after if begun is not None else None
        self._publication = open_publication(spec, session, self._wall_time_s, after)
        self._publication.on_published = Readiness([self._track.name, "audio"], self._go_live).published
        self._publication.on_checkpoint = report
        writers = PassthroughWriters(self._publication, session, self._track, after)
        self._video, self._video_segmenter = writers.video, writers.video_segmenter
        self._audio, self._audio_segmenter = writers.audio, writers.audio_segmenter
        self._measured_from_s = max(ORIGIN_S, self._video.end_s)
        if audio is not None:
            self._audio.configure(audio)
        if begun is not None:
            where = {"msn": self._publication.next_msn, "discontinuity": self._publication.breaks}
            report(Note(session_id=spec.session_id, event="session_goes_on", fields=where))
        fields = {"width_px": self._track.width_px, "height_px": self._track.height_px, "codecs": self._track.codec}
        report(Note(session_id=spec.session_id, event="source", fields=fields))

    def _new_record(self, form: AudioForm | None, hints: Hints) -> SessionRecord:
        """All that is fixed with the first picture."""
        spec = self._spec
        # A frame and its rounding to milliseconds fit into a part; the audio of a part may end a frame later.
        frame_s = min(1 / (hints.frame_rate or self._track.frame_rate or _GUESSED_FRAME_RATE), spec.segment_s)
        video_part_s = _up_to_ms(max(spec.part_s, frame_s) + 0.001)
        audio_frame_s = AAC_FRAME_SAMPLES / AUDIO_SAMPLE_RATE_HZ
        if form is not None:
            audio_frame_s = form.longest_samples / form.track.sample_rate_hz
        return new_record(
            spec,
            part_target_s=_up_to_ms(video_part_s + audio_frame_s),
            # Frozen before the source's GOP is known: a source with longer GOPs is cut between keyframes.
            target_duration_s=ceil(_LONGEST_SEGMENTS * spec.segment_s),
            frozen={"segment_s": spec.segment_s, "video_part_s": video_part_s, "kept_audio": kept_audio(form)},
        )

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

"""A session of a ladder quality: decode once, encode every rung, publish. Encoders outlive the connections."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from pathlib import Path

from av.video.frame import VideoFrame

from config.ladders import AUDIO_SAMPLE_RATE_HZ, LADDERS, VIDEO_PEAK_SHARE
from config.session import Container, Failed, Health, Live, Note, SessionSpec
from packager.cuts import PlannedCuts
from packager.publication import Publication
from packager.samples import VideoTrack
from packager.segmenter import RenditionSegmenter
from transcode.audio import AudioTranscoder
from transcode.audio_thread import AudioThread
from transcode.ladder import Ladder
from transcode.plan import CutPlan, plan_cuts, plan_renditions
from transcode.readiness import Readiness
from transcode.rung_thread import RungThread
from transcode.session import Report
from transcode.source import SessionClock, Source, TimedAudio, TimedVideo
from transcode.units import AudioConfig, Hints, VideoConfig
from transcode.video import RungEncoder
from transcode.video_thread import Disconnected, NewConnection, VideoThread

_CONGESTED_UNITS = 600


class LadderSession:
    """See `transcode.session.Session`."""

    def __init__(self, spec: SessionSpec, report: Report) -> None:
        self._spec = spec
        self._report = report
        self._clock = SessionClock(correct_drift=True)
        self._source = Source(self._clock)
        self._publication: Publication | None = None
        self._failed = False
        self._audio = AudioThread(self._on_error)
        self._video = VideoThread(
            self._clock, self._build_ladder, self._audio.video_at, self._on_error, spec.slate_image
        )

    def connected(self, container: Container) -> None:
        self._source = Source(self._clock, container)
        self._video.put(NewConnection())
        self._audio.resync(gone=True)

    def feed(self, data: memoryview) -> None:
        jumps = self._source.jumps
        for unit in self._source.feed(data):
            if self._source.jumps != jumps:
                jumps = self._source.jumps
                self._audio.resync(gone=False)
            if isinstance(unit, TimedVideo | VideoConfig | Hints):
                self._video.put(unit)
            elif isinstance(unit, TimedAudio | AudioConfig):
                self._audio.put(unit)
        if (fields := self._source.report()) is not None:
            self._report(Health(session_id=self._spec.session_id, fields=fields))

    def disconnected(self) -> None:
        self._video.put(Disconnected())
        self._audio.resync(gone=True)

    @property
    def congested(self) -> bool:
        return self._video.backlog > _CONGESTED_UNITS

    def end(self, *, final: bool = True) -> None:
        self._video.close()
        self._audio.close()
        if self._publication is not None:
            self._publication.end(final=final)

    def _build_ladder(
        self, shape_px: tuple[int, int], rate: Fraction, origin_s: float, first_frame: VideoFrame
    ) -> Ladder:
        """Everything that depends on the source's size and rate; runs once, on the video thread."""
        renditions = plan_renditions(LADDERS[self._spec.quality], *shape_px, rate)
        step_ticks = max(rendition.ticks_per_frame for rendition in renditions)
        cuts = plan_cuts(rate, self._spec.segment_s, self._spec.part_s, step_ticks)
        lead_s = cuts.lead_ticks / cuts.rate
        self._publication = publication = self._open_publication(cuts, origin_s - float(lead_s))
        transcoder = AudioTranscoder(ceil(lead_s * AUDIO_SAMPLE_RATE_HZ))
        readiness = Readiness([*(rendition.name for rendition in renditions), transcoder.track.name], self._go_live)
        publication.on_published = readiness.published
        rungs = []
        for rendition in renditions:
            encoder = RungEncoder(rendition, rate, cuts.gop_ticks, cuts.lead_ticks, first_frame)
            policy = _cut_policy(cuts, encoder.timescale_hz)
            segmenter = RenditionSegmenter(publication, _video_track(encoder), policy)
            rungs.append(RungThread(encoder, segmenter, self._on_error))
        policy = _cut_policy(cuts, transcoder.track.timescale_hz)
        self._audio.start(transcoder, origin_s, RenditionSegmenter(publication, transcoder.track, policy))
        width_px, height_px = shape_px
        names = [rendition.name for rendition in renditions]
        fields = {"width_px": width_px, "height_px": height_px, "frame_rate": float(rate), "renditions": names}
        self._report(Note(session_id=self._spec.session_id, event="source", fields=fields))
        return Ladder(renditions, rungs, shape_px)

    def _open_publication(self, cuts: CutPlan, shift_s: float) -> Publication:
        """`shift_s` is added to published times to get session times."""
        # In whole milliseconds, as segments are: their PROGRAM-DATE-TIMEs are then exact.
        zero_wall_s = round(self._clock.start_wall_s + shift_s + self._clock.lag.lag_s, 3)
        return Publication(
            Path(self._spec.media_dir),
            edge_id=self._spec.edge_id,
            session_id=self._spec.session_id,
            low_latency=self._spec.low_latency,
            window_s=self._spec.window_s,
            part_target_s=cuts.part_target_s,
            target_duration_s=cuts.target_duration_s,
            chunk_s=self._spec.chunk_s,
            wall_time_s=lambda media_s: zero_wall_s + media_s,
        )

    def _go_live(self) -> None:
        assert self._publication is not None
        self._publication.make_current()
        self._report(Live(session_id=self._spec.session_id))

    def _on_error(self, error: BaseException) -> None:
        if not self._failed:
            self._failed = True
            message = f"{type(error).__name__}: {error}"
            self._report(Failed(session_id=self._spec.session_id, code="pipeline_failed", message=message))


def _cut_policy(cuts: CutPlan, timescale_hz: int) -> PlannedCuts:
    return PlannedCuts(cuts.part_starts_s, cuts.segment_s, timescale_hz, Fraction(0))


def _video_track(encoder: RungEncoder) -> VideoTrack:
    rendition = encoder.rendition
    return VideoTrack(
        name=rendition.name,
        timescale_hz=encoder.timescale_hz,
        codec="avc1",
        decoder_config=encoder.decoder_config,
        width_px=rendition.width_px,
        height_px=rendition.height_px,
        frame_rate=encoder.rate,
        bandwidth_bps=int(rendition.bitrate_bps * VIDEO_PEAK_SHARE),
        average_bandwidth_bps=rendition.bitrate_bps,
    )

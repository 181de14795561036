"""A session of a ladder quality: decode once, encode every rung, publish. Encoders outlive the connections."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import structlog
from av.video.frame import VideoFrame

from config.ladders import LADDERS
from config.ladders import Ladder as LadderOfTier
from config.session import Container, Failed, Health, Live, Note, SessionSpec, Stats
from transcode.audio_thread import AudioThread
from transcode.begun import Begun, session_dir
from transcode.grid import FrameGrid
from transcode.ladder import Ladder
from transcode.ladder_output import LadderOutput
from transcode.ladder_plan import Colours, LadderPlan
from transcode.last_picture import black_picture, last_picture
from transcode.meter import SessionMeter
from transcode.readiness import Readiness
from transcode.session import Report
from transcode.source import SessionClock, Source, TimedAudio, TimedVideo
from transcode.units import AudioConfig, Hints, VideoConfig
from transcode.video_thread import Disconnected, GoingOn, NewConnection, VideoThread

log = structlog.get_logger()

_CONGESTED_UNITS = 600


class LadderSession:
    """See `transcode.session.Session`. `begun` is what another worker has left of it, `ladders` are those by quality.

    A session that has begun keeps the ladder of its record.
    """

    def __init__(
        self,
        spec: SessionSpec,
        report: Report,
        begun: Begun | None = None,
        clock: SessionClock | None = None,
        ladders: Mapping[str, LadderOfTier] = LADDERS,
    ) -> None:
        self._ladder = ladders.get(spec.quality)
        self._spec = spec
        self._report = report
        self._failed = False
        self._meter = SessionMeter()
        self._output: LadderOutput | None = None
        self._audio = AudioThread(self._on_error)
        going_on = None
        if begun is None:
            self._clock = clock or SessionClock(correct_drift=True)
        else:
            plan = LadderPlan.from_dict(begun.frozen)
            self._clock = SessionClock(correct_drift=True, start_wall_s=plan.start_wall_s, lag_s=plan.lag_s)
            going_on = self._go_on(plan, begun)
        self._source = Source(self._clock)
        self._video = VideoThread(
            self._clock, self._begin, self._audio.video_at, self._on_error, self._meter, spec.slate_image, going_on
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

    def stats(self, cpu_s: float) -> Stats:
        drift_s = 0.0 if self._output is None else self._output.transcoder.clock.drift_s
        return self._meter.take(self._spec.session_id, backlog=self._video.backlog, av_drift_s=drift_s, cpu_s=cpu_s)

    def end(self, *, final: bool = True) -> None:
        self._video.close()
        self._audio.close()
        if self._output is not None:
            self._output.publication.end(final=final)

    def _begin(self, shape_px: tuple[int, int], rate: Fraction, origin_s: float, first_frame: VideoFrame) -> Ladder:
        """Everything that depends on the source's size and rate; runs once, on the video thread."""
        if self._ladder is None:
            raise ValueError(f"no ladder is known for the quality {self._spec.quality!r}")
        plan = LadderPlan(
            ladder=self._ladder,
            segment_s=self._spec.segment_s,
            part_s=self._spec.part_s,
            shape_px=shape_px,
            rate=rate,
            origin_s=origin_s,
            start_wall_s=self._clock.start_wall_s,
            lag_s=self._clock.lag.lag_s,
            colours=Colours.of(first_frame),
        )
        now_s = self._clock.now_s()
        output = self._start(plan, LadderOutput(self._spec, plan, self._on_error, now_s, meter=self._meter))
        width_px, height_px = shape_px
        names = [rendition.name for rendition in plan.renditions]
        fields = {"width_px": width_px, "height_px": height_px, "frame_rate": float(rate), "renditions": names}
        self._report(Note(session_id=self._spec.session_id, event="source", fields=fields))
        return output.ladder

    def _go_on(self, plan: LadderPlan, begun: Begun) -> GoingOn:
        """Where another worker stopped: the last picture is shown until the encoder's next keyframe is here."""
        now_s = self._clock.now_s()
        output = self._start(plan, LadderOutput(self._spec, plan, self._on_error, now_s, begun, meter=self._meter))
        grid = FrameGrid(plan.rate, plan.origin_s)
        grid.next_tick = output.first_tick
        top = plan.renditions[0].name
        written = output.publication.renditions[top]
        picture = last_picture(session_dir(self._spec) / top, written)
        fields = {
            "msn": output.publication.next_msn,
            "behind_s": round(now_s - grid.end_s, 3),
            "discontinuity": output.publication.breaks,
        }
        self._report(Note(session_id=self._spec.session_id, event="session_goes_on", fields=fields))
        return GoingOn(grid, output.ladder, picture or black_picture(*plan.shape_px), is_slate=picture is None)

    def _start(self, plan: LadderPlan, output: LadderOutput) -> LadderOutput:
        self._output = output
        names = [*(rendition.name for rendition in plan.renditions), output.transcoder.track.name]
        ready = Readiness(names, self._go_live)
        expected_s = plan.cuts.part_target_s if self._spec.low_latency else self._spec.segment_s

        def published(rendition: str) -> None:
            self._meter.published(rendition, expected_s)
            ready.published(rendition)

        output.publication.on_published = published
        output.publication.on_checkpoint = self._report
        self._audio.start(output.transcoder, plan.origin_s, output.audio_segmenter)
        return output

    def _go_live(self) -> None:
        assert self._output is not None
        self._output.publication.make_current()
        self._report(Live(session_id=self._spec.session_id))

    def _on_error(self, error: BaseException) -> None:
        if not self._failed:
            self._failed = True
            session_id, message = self._spec.session_id, f"{type(error).__name__}: {error}"
            log.error("session_broke", stream_id=self._spec.stream_id, session_id=session_id, exc_info=error)
            self._report(Failed(session_id=session_id, code="pipeline_failed", message=message))

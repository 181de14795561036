"""What a ladder session publishes: its encoders, from the first frame on or from where another worker stopped."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil

from config.ladders import AUDIO_SAMPLE_RATE_HZ, VIDEO_PEAK_SHARE
from config.session import SessionSpec
from packager.cuts import PlannedCuts
from packager.samples import VideoTrack
from packager.segmenter import RenditionSegmenter
from transcode.audio import AAC_FRAME_SAMPLES, AudioTranscoder
from transcode.begun import Begun, new_record, open_publication
from transcode.ladder import Ladder
from transcode.ladder_plan import LadderPlan
from transcode.meter import SessionMeter
from transcode.rung_thread import RungThread
from transcode.thumbnails import Thumbnails
from transcode.video import RungEncoder

FILL_AT_MOST_S = 20.0
"""A session that nobody has written for longer goes on at the present, after a discontinuity, and leaves a gap."""

_HEARS_S = 0.3
"""So long does a node at most publish of a session that another has taken over, unless it is cut off from Redis."""


class LadderOutput:
    """Published time is session time less `origin_s`, plus the lead. Raises `packager.session_lock.SessionBusy`.

    `now_s` is session time. `first_tick` is the first tick of the grid that is wanted.
    """

    def __init__(
        self,
        spec: SessionSpec,
        plan: LadderPlan,
        on_error: Callable[[BaseException], None],
        now_s: float,
        begun: Begun | None = None,
        *,
        meter: SessionMeter,
    ) -> None:
        session = (
            begun.session
            if begun is not None
            else new_record(
                spec,
                part_target_s=plan.cuts.part_target_s,
                target_duration_s=plan.cuts.target_duration_s,
                frozen=plan.as_dict(),
            )
        )
        from_elsewhere = begun is not None and begun.after is not None
        self.publication = publication = open_publication(
            spec, session, lambda media_s: plan.zero_wall_s + media_s, begun.after if begun is not None else None
        )
        self._plan = plan
        encoders = [RungEncoder(rendition, plan) for rendition in plan.renditions]
        tracks = [_video_track(encoder) for encoder in encoders]
        self.transcoder = AudioTranscoder(ceil(plan.lead_s * AUDIO_SAMPLE_RATE_HZ), plan.ladder.audio_bitrate_bps)
        now_published_s = now_s - plan.lag_s - plan.origin_s + float(plan.lead_s)
        if publication.has_media:
            late_s = now_published_s - max(written.next_s for written in publication.renditions.values())
            if late_s > FILL_AT_MOST_S or not publication.goes_on_with([*tracks, self.transcoder.track]):
                publication.break_off()
        start_s = self._start_after_break_s(now_published_s, from_elsewhere) if publication.breaks else plan.lead_s
        rungs = []
        for encoder, track in zip(encoders, tracks, strict=True):
            segmenter = RenditionSegmenter(publication, track, self._cuts(encoder.timescale_hz))
            going_on = segmenter.going_on
            encoder.start_at(self._tick(going_on.start_s if going_on else start_s))
            thumbnails = self._thumbnails(session.recording) if encoder is encoders[-1] else None
            rungs.append(RungThread(encoder, segmenter, on_error, meter, thumbnails))
        self.first_tick = min(rung.first_tick for rung in rungs)
        track_hz = self.transcoder.track.timescale_hz
        self.audio_segmenter = RenditionSegmenter(publication, self.transcoder.track, self._cuts(track_hz))
        going_on = self.audio_segmenter.going_on
        self._start_audio(going_on.start_s if going_on else start_s)
        self.ladder = Ladder(plan.renditions, rungs, plan.shape_px)

    def _thumbnails(self, sheets: bool) -> Thumbnails:
        smallest = self._plan.renditions[-1]
        return Thumbnails(
            self.publication,
            rate=self._plan.rate,
            lead_s=self._plan.lead_s,
            width_px=smallest.width_px,
            height_px=smallest.height_px,
            sheets=sheets,
        )

    def _cuts(self, timescale_hz: int) -> PlannedCuts:
        cuts = self._plan.cuts
        return PlannedCuts(cuts.part_starts_s, cuts.segment_s, timescale_hz, Fraction(0))

    def _tick(self, published_s: float | Fraction) -> int:
        return round(published_s * self._plan.rate) - self._plan.cuts.lead_ticks

    def _start_audio(self, published_s: float | Fraction) -> None:
        """At the first AAC frame that begins there or later."""
        lead = ceil(self._plan.lead_s * AUDIO_SAMPLE_RATE_HZ)
        frames = ceil(round(float(published_s) * AUDIO_SAMPLE_RATE_HZ - lead, 3) / AAC_FRAME_SAMPLES)
        self.transcoder.start_at(frames * AAC_FRAME_SAMPLES)

    def _start_after_break_s(self, now_published_s: float, from_elsewhere: bool) -> Fraction:
        """The next start of a part, in a segment whose number was never given out."""
        cuts = self._plan.cuts
        number = max(int(now_published_s // cuts.segment_s), 0)
        if from_elsewhere:
            # The other node may have published up to now, and until it hears that it has lost the session.
            number = int((now_published_s + _HEARS_S) // cuts.segment_s) + 1
            return max(number, self.publication.next_msn) * cuts.segment_s
        if number < self.publication.next_msn:
            return self.publication.next_msn * cuts.segment_s
        into_s = now_published_s - float(number * cuts.segment_s)
        start_s = next((start_s for start_s in cuts.part_starts_s if start_s >= into_s), cuts.segment_s)
        return number * cuts.segment_s + start_s


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

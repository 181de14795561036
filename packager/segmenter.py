"""The samples of one rendition to parts and segments."""

from __future__ import annotations

from packager.cmaf import fragment
from packager.cuts import Cut, CutPolicy
from packager.publication import Publication
from packager.samples import Sample, Track


class RenditionSegmenter:
    """Collects samples until the policy cuts, then publishes. Used from one thread."""

    def __init__(self, publication: Publication, track: Track, cuts: CutPolicy) -> None:
        self._publication = publication
        self._track = track
        self._cuts = cuts
        self._samples: list[Sample] = []
        self._parts: list[bytes] = []
        self._fragments = 0
        self._msn: int | None = None
        self._next_msn = 0
        self._segment_ticks = 0
        self._independent = False
        self._discontinuity = False
        self._discontinuity_next = False
        publication.add_rendition(track)

    def add(self, sample: Sample) -> None:
        """The next sample in decode order."""
        cut = self._cuts.before(sample)
        if cut is not Cut.NONE:
            self._end_part()
        if cut is Cut.SEGMENT:
            self._end_segment()
        if self._msn is None:
            self._open_segment(sample)
        self._samples.append(sample)

    def change_track(self, track: Track) -> None:
        """What follows has another decoder configuration: a new init segment and a discontinuity."""
        self.flush()
        self._track = track
        self._discontinuity_next = True
        self._publication.change_track(track)

    def flush(self) -> None:
        """Publish what is open."""
        self._end_part()
        self._end_segment()

    def _open_segment(self, sample: Sample) -> None:
        # A number already given out never comes again, whatever the policy says.
        self._msn = max(self._next_msn, self._cuts.media_sequence(sample) or 0)
        self._next_msn = self._msn + 1
        self._discontinuity, self._discontinuity_next = self._discontinuity_next, False
        self._independent = sample.keyframe
        start_s = sample.dts / self._track.timescale_hz
        self._publication.open_segment(self._track.name, self._msn, start_s, self._discontinuity)

    def _end_part(self) -> None:
        samples = self._samples
        if not samples:
            return
        assert self._msn is not None
        data = fragment(self._track, self._fragments, samples)
        ticks = sum(sample.duration for sample in samples)
        self._publication.write_part(
            self._track.name,
            self._msn,
            len(self._parts),
            data,
            ticks / self._track.timescale_hz,
            samples[0].keyframe,
        )
        self._fragments += 1
        self._segment_ticks += ticks
        self._parts.append(data)
        self._samples = []

    def _end_segment(self) -> None:
        if self._msn is None or not self._parts:
            return
        self._publication.finish_segment(
            self._track.name,
            self._msn,
            b"".join(self._parts),
            self._segment_ticks / self._track.timescale_hz,
            len(self._parts),
            self._discontinuity,
            self._independent,
        )
        self._msn, self._parts, self._segment_ticks = None, [], 0

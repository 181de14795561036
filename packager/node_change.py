"""A session that changes its node: what the first one tells of it, and what the next one lists of what is lost."""

from __future__ import annotations

import time
from dataclasses import asdict

from config.session import Checkpoint
from packager.records import SegmentRecord, SessionRecord
from packager.written import WrittenRendition, WrittenSession


def checkpoint_of(written: WrittenSession, *, next_msn: int, complete_msn: int) -> Checkpoint:
    """How far the session has come with this segment."""
    renditions = written.renditions.values()
    return Checkpoint(
        session_id=written.session.session_id,
        session=asdict(written.session),
        next_msn=next_msn,
        media_s=written.media_s,
        discontinuities=max(rendition.discontinuities for rendition in renditions),
        inits=max(rendition.inits for rendition in renditions),
        at_s=time.time(),
        complete_msn=complete_msn,
        complete_until_ms=round(max(rendition.dated_until_ms for rendition in renditions)),
    )


def lost_segments(
    after: Checkpoint, rendition: WrittenRendition, session: SessionRecord, msn: int, date_ms: int
) -> list[SegmentRecord]:
    """The newest segment that the other node has completed, as a gap; the first of this node is `msn`, at `date_ms`.

    Readers make gaps of the numbers between them. So players find the place where they were: hls.js (1.7.4) waits for
    good for a playlist that has it, and Shaka Player (5.2.12) for the part that it was told of last.
    """
    if not 0 <= after.complete_msn < msn:
        return []
    away_ms = max(0, date_ms - after.complete_until_ms)
    each_ms = away_ms / max(1, msn - after.complete_msn - 1)
    duration_ms = min(max(each_ms, 1), session.target_duration_s * 1000)
    gap = SegmentRecord(
        rendition=rendition.info.name,
        msn=after.complete_msn,
        duration_s=duration_ms / 1000,
        program_date_time_ms=round(min(after.complete_until_ms, date_ms) - duration_ms),
        discontinuity=False,
        discontinuities=rendition.discontinuities,
        init=rendition.init,
        independent=True,
        gap=True,
    )
    return [gap]

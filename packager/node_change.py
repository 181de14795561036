"""A session that changes its node: what the first one tells of it, and what the next one lists of what is lost."""

from __future__ import annotations

import time
from dataclasses import asdict

from config.session import Checkpoint
from packager.records import SegmentRecord, SessionRecord
from packager.written import WrittenRendition, WrittenSession

_LOST_MS = 1
"""No segment lasts for no time at all."""


def checkpoint_of(written: WrittenSession, *, next_msn: int, complete_msn: int) -> Checkpoint:
    """How far the session has come with this segment."""
    renditions = written.renditions.values()
    # Other threads may append meanwhile: only the newest is looked at.
    newest = [rendition.segments[-1] for rendition in renditions if rendition.segments]
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
        complete_s=min((segment.duration_s for segment in newest if segment.msn == complete_msn), default=0.0),
    )


def lost_segments(
    after: Checkpoint,
    rendition: WrittenRendition,
    session: SessionRecord,
    msn: int,
    date_ms: int,
    *,
    lost_take_time: bool,
) -> list[SegmentRecord]:
    """The newest segment that the other node has completed, and what is lost, as gaps. `msn`, at `date_ms`, is ours.

    Players find the place where they were by the numbers: hls.js (1.7.4) waits for good for a playlist that has the
    first of these gaps, and Shaka Player (5.2.12) for the part that it was told of last. A ladder's lost segments are
    as long as the time that is lost, which readers make of the numbers that are left out. Passthrough's take no time:
    hls.js stands still before a hole in its media, once it has begun to play what is lost. The dates jump instead,
    between the first of the lost ones and the next, where Shaka Player stays calm; at the discontinuity it throws
    exceptions.
    """
    if not 0 <= after.complete_msn < msn:
        return []
    lost = msn - after.complete_msn - 1
    if lost_take_time:
        away_ms = max(0, date_ms - after.complete_until_ms)
        known_ms = min(max(away_ms / max(1, lost), _LOST_MS), session.target_duration_s * 1000)
        until_ms, lost_from_ms = min(after.complete_until_ms, date_ms), []
    else:
        known_ms = after.complete_s * 1000 or session.target_duration_s * 1000
        until_ms = min(after.complete_until_ms, date_ms - lost * _LOST_MS)
        lost_from_ms = [until_ms, *(date_ms - left * _LOST_MS for left in range(lost - 1, 0, -1))][:lost]
    gaps = [(until_ms - known_ms, known_ms), *((start_ms, _LOST_MS) for start_ms in lost_from_ms)]
    return [
        SegmentRecord(
            rendition=rendition.info.name,
            msn=after.complete_msn + index,
            duration_s=length_ms / 1000,
            program_date_time_ms=round(start_ms),
            discontinuity=False,
            discontinuities=rendition.discontinuities,
            init=rendition.init,
            independent=True,
            gap=True,
        )
        for index, (start_ms, length_ms) in enumerate(gaps)
    ]

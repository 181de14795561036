"""Media playlists as text: pure functions of a presentation. Rules by draft-pantos-hls-rfc8216bis (sections below).

A playlist of hours has thousands of segments: the lines of each are rendered once and kept with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil, floor

from packager.presentation import LISTED_PARTS_TARGET_DURATIONS, Presentation, Segment
from packager.records import SessionRecord

MEDIA_PLAYLIST = "media.m3u8"
PLAYLIST_VERSION = 6
"""What EXT-X-MAP needs (section 8). The tags of LL-HLS need nothing, but for EXT-X-SKIP."""
_DELTA_VERSION = 9
_SKIP_TARGET_DURATIONS = 6
_PART_HOLD_BACK_PART_TARGETS = 3
_HOLD_BACK_TARGET_DURATIONS = 3
_DURATION_STEPS = 100_000
"""Per second: durations have five decimals."""
_MARGIN_S = 3e-6


def media_playlist(presentation: Presentation, name: str, *, skip: bool = False) -> str:
    """The media playlist of a rendition; with `skip` a delta update (4.4.5.2) where one is allowed.

    Raises `KeyError` for an unknown rendition.
    """
    session = session_of(presentation)
    rendition = presentation.renditions[name]
    segments = list(rendition.segments)
    if segments and not segments[-1].complete and not segments[-1].parts:
        segments.pop()
    may_skip = skip and session.low_latency and not presentation.ended  # 6.2.5.1
    skipped = _skippable(session, segments) if may_skip else 0
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_DELTA_VERSION if skipped else PLAYLIST_VERSION}"]
    lines.append(f"#EXT-X-TARGETDURATION:{session.target_duration_s}")
    if session.low_latency:
        lines += [_server_control(session), f"#EXT-X-PART-INF:PART-TARGET={_seconds(session.part_target_s)}"]
    if segments:
        first = segments[0]
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{first.msn}")
        # Said even when it is 0: a playlist whose discontinuities will leave it must have the tag (6.2.2).
        if segments[-1].discontinuities:
            lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{first.discontinuities - first.discontinuity}")
    if skipped:
        lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
    lines += _segments_lines(segments, skipped, _first_with_parts(session, segments), session.part_target_s)
    if presentation.ended:
        lines.append("#EXT-X-ENDLIST")
    elif session.low_latency:
        msn, part = rendition.next_part
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{msn}.{part}.m4s"')
        for other in presentation.renditions.values():
            if other is not rendition and other.last_part is not None:
                lines.append(_rendition_report(other.info.name, *other.last_part))
    return "\n".join(lines) + "\n"


def session_of(presentation: Presentation) -> SessionRecord:
    """The session of a presentation. Raises `ValueError` where there is none yet."""
    if presentation.session is None:
        raise ValueError("a presentation without its session record has no playlist")
    return presentation.session


def _segments_lines(segments: Sequence[Segment], skipped: int, parts_from: int, part_target_s: float) -> list[str]:
    """The lines of the segments that are not skipped; those from `parts_from` on with their parts."""
    lines = []
    init = ""  # a delta update repeats EXT-X-MAP: a reader of it alone knows how to begin
    for index in range(skipped, len(segments)):
        segment = segments[index]
        if segment.init != init or index >= parts_from or not segment.text:
            own = _segment_lines(segment, init, part_target_s if index >= parts_from else None)
            if segment.init == init and index < parts_from and segment.complete:
                segment.text = "\n".join(own)
            lines += own
            init = segment.init
        else:
            lines.append(segment.text)
    return lines


def _segment_lines(segment: Segment, init: str, part_target_s: float | None) -> list[str]:
    """With its parts, unless there is no `part_target_s`."""
    lines = []
    if segment.discontinuity:
        lines.append("#EXT-X-DISCONTINUITY")
    if segment.init != init:
        lines.append(f'#EXT-X-MAP:URI="{segment.init}"')
    lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{date_time_text(segment.program_date_time_ms)}")
    if part_target_s is not None:
        for part in segment.parts:
            independent = ",INDEPENDENT=YES" if part.independent else ""
            uri = f"{segment.msn}.{part.part}.m4s"
            duration = _part_duration_text(part.duration_s, part_target_s)
            lines.append(f'#EXT-X-PART:DURATION={duration},URI="{uri}"{independent}')
    if segment.gap:
        lines.append("#EXT-X-GAP")
    if segment.complete:
        lines += [f"#EXTINF:{_segment_duration_text(segment.duration_s)},", f"{segment.msn}.m4s"]
    return lines


def _server_control(session: SessionRecord) -> str:
    """4.4.3.8. All values are frozen with the session: players stop when they change."""
    part_hold_back_s = ceil(session.part_target_s * _PART_HOLD_BACK_PART_TARGETS * 1000) / 1000
    return (
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES"
        f",PART-HOLD-BACK={_seconds(part_hold_back_s)}"
        f",HOLD-BACK={_seconds(session.target_duration_s * _HOLD_BACK_TARGET_DURATIONS)}"
        f",CAN-SKIP-UNTIL={_seconds(session.target_duration_s * _SKIP_TARGET_DURATIONS)}"
    )


def _rendition_report(name: str, msn: int, part: int) -> str:
    """4.4.5.4: the newest part of another rendition."""
    return f'#EXT-X-RENDITION-REPORT:URI="../{name}/{MEDIA_PLAYLIST}",LAST-MSN={msn},LAST-PART={part}'


def _skippable(session: SessionRecord, segments: Sequence[Segment]) -> int:
    """How many segments from the start a delta update leaves out: those beyond the skip boundary (4.4.5.2).

    None around a discontinuity, where players lose count: from the segment that begins it on, until it is twice as
    far from the end as the boundary.
    """
    boundary_s = session.target_duration_s * _SKIP_TARGET_DURATIONS
    after_s, count = 0.0, 0
    for index in range(len(segments) - 1, -1, -1):
        if not count and after_s >= boundary_s:
            count = index + 1
        if after_s >= 2 * boundary_s:
            break
        if segments[index].discontinuity:
            return 0
        after_s += _listed_s(segments[index])
    return count


def _first_with_parts(session: SessionRecord, segments: Sequence[Segment]) -> int:
    """The first segment whose parts are listed (6.2.2)."""
    after_s = 0.0
    for index in range(len(segments) - 1, -1, -1):
        if after_s > session.target_duration_s * LISTED_PARTS_TARGET_DURATIONS:
            return index + 1
        after_s += _listed_s(segments[index])
    return 0 if session.low_latency else len(segments)


def _listed_s(segment: Segment) -> float:
    return segment.duration_s if segment.complete else sum(part.duration_s for part in segment.parts)


def _seconds(value: float) -> str:
    return f"{value:.5f}".rstrip("0").rstrip(".")


def duration_text(value_s: float) -> str:
    """Rounded down."""
    return _seconds(floor(value_s * _DURATION_STEPS + 0.001) / _DURATION_STEPS)


def _segment_duration_text(value_s: float) -> str:
    """Rounded down, by 3 µs at least.

    Browsers hold media in whole microseconds, each frame's time and duration rounded down. hls.js (1.7.4) that has
    come into a segment at one of its later parts, as it does when it changes the rendition, waits for what follows
    until the parts of that segment leave the playlist, if the next segment begins after the end of what is held.
    """
    return duration_text(max(0.0, value_s - _MARGIN_S))


def _part_duration_text(value_s: float, part_target_s: float) -> str:
    """Rounded up, by 3 µs at least, as far as PART-TARGET allows it.

    When a part begins earlier than its media does, by any fraction more than the parts before it, Shaka Player
    (5.2.12) sets the offset of its source buffer anew, which drops frames up to the next keyframe. So may only the
    first part of a segment.
    """
    rounded_s = ceil((value_s + _MARGIN_S) * _DURATION_STEPS) / _DURATION_STEPS
    return _seconds(max(value_s, min(rounded_s, part_target_s)))


def date_time_text(unix_ms: int) -> str:
    moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

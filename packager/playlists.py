"""Playlists as text: pure functions of a presentation. Rules by draft-pantos-hls-rfc8216bis (section numbers below)."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil, floor

from packager.presentation import Presentation, Rendition, Segment
from packager.records import SessionRecord

AUDIO_GROUP = "audio"
MEDIA_PLAYLIST = "media.m3u8"
_SKIP_TARGET_DURATIONS = 6
_LISTED_PARTS_TARGET_DURATIONS = 3
_PART_HOLD_BACK_PART_TARGETS = 3
_HOLD_BACK_TARGET_DURATIONS = 3


def multivariant_playlist(presentation: Presentation) -> str:
    """The multivariant playlist (4.4.6). URIs are relative to `/live/{edgeId}/master.m3u8`.

    The tallest rendition whose bitrate a phone network carries comes first, because many players start with the first
    one they see: that is the middle of the ladder.
    """
    session = _session(presentation)
    video = [rendition.info for rendition in presentation.renditions.values() if rendition.info.kind == "video"]
    audio = [rendition.info for rendition in presentation.renditions.values() if rendition.info.kind == "audio"]
    video.sort(key=lambda info: -info.bandwidth_bps)
    if len(video) > 2:
        video.insert(0, video.pop(len(video) // 2))
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_version()}"]
    if all(_is_independent(presentation.renditions[info.name]) for info in video):
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    for info in audio:
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{AUDIO_GROUP}",NAME="Audio",DEFAULT=YES,AUTOSELECT=YES,'
            f'CHANNELS="{info.channels}",URI="{session.session_id}/{info.name}/{MEDIA_PLAYLIST}"'
        )
    for info in video:
        bandwidth_bps = info.bandwidth_bps + max((other.bandwidth_bps for other in audio), default=0)
        average_bps = info.average_bandwidth_bps + max((other.average_bandwidth_bps for other in audio), default=0)
        codecs = ",".join([info.codecs, *(other.codecs for other in audio[:1])])
        attributes = f'BANDWIDTH={bandwidth_bps},AVERAGE-BANDWIDTH={average_bps},CODECS="{codecs}"'
        attributes += f",RESOLUTION={info.width_px}x{info.height_px}"
        if info.frame_rate:
            attributes += f",FRAME-RATE={info.frame_rate:.3f}"
        if audio:
            attributes += f',AUDIO="{AUDIO_GROUP}"'
        lines += [f"#EXT-X-STREAM-INF:{attributes}", f"{session.session_id}/{info.name}/{MEDIA_PLAYLIST}"]
    return "\n".join(lines) + "\n"


def media_playlist(presentation: Presentation, name: str, *, skip: bool = False) -> str:
    """The media playlist of a rendition; with `skip` a delta update (4.4.5.2) where one is allowed.

    Raises `KeyError` for an unknown rendition.
    """
    session = _session(presentation)
    rendition = presentation.renditions[name]
    segments = [segment for segment in rendition.segments if segment.complete or segment.parts]
    skipped = _skippable(session, segments) if skip and session.low_latency else 0
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_version(skipped)}"]
    lines.append(f"#EXT-X-TARGETDURATION:{session.target_duration_s}")
    if session.low_latency:
        lines += [_server_control(session), f"#EXT-X-PART-INF:PART-TARGET={_seconds(session.part_target_s)}"]
    if segments:
        first = segments[0]
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{first.msn}")
        removed = first.discontinuities - first.discontinuity
        if removed:
            lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{removed}")
    if skipped:
        lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
    parts_from = _first_with_parts(session, segments)
    init = ""  # a delta update repeats EXT-X-MAP: a reader of it alone knows how to begin
    for index in range(skipped, len(segments)):
        lines += _segment_lines(segments[index], init, with_parts=session.low_latency and index >= parts_from)
        init = segments[index].init
    if presentation.ended:
        lines.append("#EXT-X-ENDLIST")
    elif session.low_latency:
        msn, part = rendition.next_part
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{msn}.{part}.m4s"')
        for other in presentation.renditions.values():
            if other is not rendition and other.last_part is not None:
                lines.append(_rendition_report(other.info.name, *other.last_part))
    return "\n".join(lines) + "\n"


def _segment_lines(segment: Segment, init: str, *, with_parts: bool) -> list[str]:
    lines = []
    if segment.discontinuity:
        lines.append("#EXT-X-DISCONTINUITY")
    if segment.init != init:
        lines.append(f'#EXT-X-MAP:URI="{segment.init}"')
    lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_date_time(segment.program_date_time_ms)}")
    if with_parts:
        for part in segment.parts:
            independent = ",INDEPENDENT=YES" if part.independent else ""
            uri = f"{segment.msn}.{part.part}.m4s"
            lines.append(f'#EXT-X-PART:DURATION={_duration(part.duration_s)},URI="{uri}"{independent}')
    if segment.gap:
        lines.append("#EXT-X-GAP")
    if segment.complete:
        lines += [f"#EXTINF:{_duration(segment.duration_s)},", f"{segment.msn}.m4s"]
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


def _skippable(session: SessionRecord, segments: list[Segment]) -> int:
    """How many segments from the start a delta update leaves out: those beyond the skip boundary (4.4.5.2).

    None around a discontinuity, where players lose count.
    """
    boundary_s = session.target_duration_s * _SKIP_TARGET_DURATIONS
    if any(segment.discontinuity for segment in segments):
        return 0
    after_s, count = 0.0, 0
    for index in range(len(segments) - 1, -1, -1):
        if after_s >= boundary_s:
            count = index + 1
            break
        after_s += segments[index].duration_s or sum(part.duration_s for part in segments[index].parts)
    return count


def _first_with_parts(session: SessionRecord, segments: list[Segment]) -> int:
    """Parts are listed for the last three target durations (4.4.4.9)."""
    after_s = 0.0
    for index in range(len(segments) - 1, -1, -1):
        if after_s > session.target_duration_s * _LISTED_PARTS_TARGET_DURATIONS:
            return index + 1
        after_s += segments[index].duration_s
    return 0


def _is_independent(rendition: Rendition) -> bool:
    return all(segment.independent for segment in rendition.segments)


def _version(skipped: int = 0) -> int:
    """EXT-X-MAP needs 6 and EXT-X-SKIP 9 (section 8); the other tags of LL-HLS need nothing."""
    return 9 if skipped else 6


def _session(presentation: Presentation) -> SessionRecord:
    if presentation.session is None:
        raise ValueError("a presentation without its session record has no playlist")
    return presentation.session


def _seconds(value: float) -> str:
    return f"{value:.5f}".rstrip("0").rstrip(".")


def _duration(value_s: float) -> str:
    """Rounded down: a player for which a part ends after what it holds of it (hls.js 1.7.4) loads nothing more."""
    return _seconds(floor(value_s * 100_000 + 0.001) / 100_000)


def _date_time(unix_ms: int) -> str:
    moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

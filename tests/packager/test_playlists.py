"""Playlists as whole texts (draft-pantos-hls-rfc8216bis)."""

from __future__ import annotations

from fractions import Fraction
from textwrap import dedent

import pytest

from packager.multivariant import multivariant_playlist
from packager.playlists import media_playlist
from packager.presentation import Presentation
from packager.records import EndRecord, OpenRecord, PartRecord, Record, RenditionRecord, SegmentRecord, SessionRecord
from tests.packager.helpers import EDGE_ID, SESSION_ID, UNIX_S

VIDEO = RenditionRecord(
    name="720p", kind="video", codecs="avc1.64001f", bandwidth_bps=3_000_000, average_bandwidth_bps=2_800_000,
    width_px=1280, height_px=720, frame_rate=30.0,
)  # fmt: skip
AUDIO = RenditionRecord(
    name="audio", kind="audio", codecs="mp4a.40.2", bandwidth_bps=140_000, average_bandwidth_bps=128_000, channels=2
)


def presentation(
    *records: Record,
    low_latency: bool = True,
    renditions: tuple[RenditionRecord, ...] = (VIDEO, AUDIO),
    window_s: float = 12,
    part_target_s: float = 1.0,
) -> Presentation:
    session = SessionRecord(
        edge_id=EDGE_ID, session_id=SESSION_ID, low_latency=low_latency,
        part_target_s=part_target_s, target_duration_s=2, window_s=window_s,
    )  # fmt: skip
    out = Presentation()
    out.feed([session, *renditions, *records])
    return out


def opened(
    msn: int, name: str = "720p", *, init: str = "init-0.mp4", discontinuity: bool = False, before: int = 0
) -> OpenRecord:
    return OpenRecord(
        rendition=name,
        msn=msn,
        start_s=msn * 2.0,
        program_date_time_ms=int(UNIX_S * 1000) + msn * 2000,
        discontinuity=discontinuity,
        discontinuities=before + discontinuity,
        init=init,
    )


def parts(msn: int, count: int = 2, name: str = "720p", duration_s: float = 1.0) -> list[Record]:
    return [
        PartRecord(rendition=name, msn=msn, part=part, duration_s=duration_s, independent=part == 0)
        for part in range(count)
    ]


def finished(opening: OpenRecord, *, independent: bool = True, duration_s: float = 2.0) -> SegmentRecord:
    return SegmentRecord(
        rendition=opening.rendition,
        msn=opening.msn,
        duration_s=duration_s,
        program_date_time_ms=opening.program_date_time_ms,
        discontinuity=opening.discontinuity,
        discontinuities=opening.discontinuities,
        init=opening.init,
        independent=independent,
    )


def whole(msns: range, name: str = "720p", *, low_latency: bool = True) -> list[Record]:
    out: list[Record] = []
    for msn in msns:
        opening = opened(msn, name)
        out += [opening, *(parts(msn, name=name) if low_latency else []), finished(opening)]
    return out


def text(block: str) -> str:
    return dedent(block).lstrip("\n")


LL_HEAD = text(
    """
    #EXTM3U
    #EXT-X-VERSION:6
    #EXT-X-TARGETDURATION:2
    #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=3,HOLD-BACK=6,CAN-SKIP-UNTIL=12
    #EXT-X-PART-INF:PART-TARGET=1
    """
)
MEDIA_CASES = {
    "low latency, live": (
        presentation(*whole(range(2)), opened(2), *parts(2, 1), *whole(range(2), "audio"), opened(2, "audio")),
        LL_HEAD
        + text(
            """
            #EXT-X-MEDIA-SEQUENCE:0
            #EXT-X-MAP:URI="init-0.mp4"
            #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z
            #EXT-X-PART:DURATION=1,URI="0.0.m4s",INDEPENDENT=YES
            #EXT-X-PART:DURATION=1,URI="0.1.m4s"
            #EXTINF:1.99999,
            0.m4s
            #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:22.000Z
            #EXT-X-PART:DURATION=1,URI="1.0.m4s",INDEPENDENT=YES
            #EXT-X-PART:DURATION=1,URI="1.1.m4s"
            #EXTINF:1.99999,
            1.m4s
            #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:24.000Z
            #EXT-X-PART:DURATION=1,URI="2.0.m4s",INDEPENDENT=YES
            #EXT-X-PRELOAD-HINT:TYPE=PART,URI="2.1.m4s"
            #EXT-X-RENDITION-REPORT:URI="../audio/media.m3u8",LAST-MSN=1,LAST-PART=1
            """
        ),
    ),
    "low latency, first part only": (
        presentation(opened(0), *parts(0, 1)),
        LL_HEAD
        + text(
            """
            #EXT-X-MEDIA-SEQUENCE:0
            #EXT-X-MAP:URI="init-0.mp4"
            #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z
            #EXT-X-PART:DURATION=1,URI="0.0.m4s",INDEPENDENT=YES
            #EXT-X-PRELOAD-HINT:TYPE=PART,URI="0.1.m4s"
            """
        ),
    ),
    "low latency, a segment just finished": (
        presentation(*whole(range(1))),
        LL_HEAD
        + text(
            """
            #EXT-X-MEDIA-SEQUENCE:0
            #EXT-X-MAP:URI="init-0.mp4"
            #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z
            #EXT-X-PART:DURATION=1,URI="0.0.m4s",INDEPENDENT=YES
            #EXT-X-PART:DURATION=1,URI="0.1.m4s"
            #EXTINF:1.99999,
            0.m4s
            #EXT-X-PRELOAD-HINT:TYPE=PART,URI="1.0.m4s"
            """
        ),
    ),
    "low latency, ended": (
        presentation(*whole(range(1)), *whole(range(1), "audio"), EndRecord()),
        LL_HEAD
        + text(
            """
            #EXT-X-MEDIA-SEQUENCE:0
            #EXT-X-MAP:URI="init-0.mp4"
            #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z
            #EXT-X-PART:DURATION=1,URI="0.0.m4s",INDEPENDENT=YES
            #EXT-X-PART:DURATION=1,URI="0.1.m4s"
            #EXTINF:1.99999,
            0.m4s
            #EXT-X-ENDLIST
            """
        ),
    ),
    "classic, live": (
        presentation(*whole(range(2), low_latency=False), opened(2), low_latency=False),
        text(
            """
            #EXTM3U
            #EXT-X-VERSION:6
            #EXT-X-TARGETDURATION:2
            #EXT-X-MEDIA-SEQUENCE:0
            #EXT-X-MAP:URI="init-0.mp4"
            #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z
            #EXTINF:1.99999,
            0.m4s
            #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:22.000Z
            #EXTINF:1.99999,
            1.m4s
            """
        ),
    ),
    "classic, ended": (
        presentation(*whole(range(1), low_latency=False), EndRecord(), low_latency=False),
        text(
            """
            #EXTM3U
            #EXT-X-VERSION:6
            #EXT-X-TARGETDURATION:2
            #EXT-X-MEDIA-SEQUENCE:0
            #EXT-X-MAP:URI="init-0.mp4"
            #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z
            #EXTINF:1.99999,
            0.m4s
            #EXT-X-ENDLIST
            """
        ),
    ),
    "a discontinuity": (
        presentation(
            finished(opened(4, before=1)),
            finished(opened(5, init="init-1.mp4", discontinuity=True, before=1)),
            low_latency=False,
        ),
        text(
            """
            #EXTM3U
            #EXT-X-VERSION:6
            #EXT-X-TARGETDURATION:2
            #EXT-X-MEDIA-SEQUENCE:4
            #EXT-X-DISCONTINUITY-SEQUENCE:1
            #EXT-X-MAP:URI="init-0.mp4"
            #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:28.000Z
            #EXTINF:1.99999,
            4.m4s
            #EXT-X-DISCONTINUITY
            #EXT-X-MAP:URI="init-1.mp4"
            #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:30.000Z
            #EXTINF:1.99999,
            5.m4s
            """
        ),
    ),
    "a discontinuity at the first segment": (
        presentation(finished(opened(5, init="init-1.mp4", discontinuity=True, before=1)), low_latency=False),
        text(
            """
            #EXTM3U
            #EXT-X-VERSION:6
            #EXT-X-TARGETDURATION:2
            #EXT-X-MEDIA-SEQUENCE:5
            #EXT-X-DISCONTINUITY-SEQUENCE:1
            #EXT-X-DISCONTINUITY
            #EXT-X-MAP:URI="init-1.mp4"
            #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:30.000Z
            #EXTINF:1.99999,
            5.m4s
            """
        ),
    ),
    "a number left out": (
        presentation(finished(opened(4)), finished(opened(6)), low_latency=False),
        text(
            """
            #EXTM3U
            #EXT-X-VERSION:6
            #EXT-X-TARGETDURATION:2
            #EXT-X-MEDIA-SEQUENCE:4
            #EXT-X-MAP:URI="init-0.mp4"
            #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:28.000Z
            #EXTINF:1.99999,
            4.m4s
            #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:30.000Z
            #EXT-X-GAP
            #EXTINF:1.99999,
            5.m4s
            #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:32.000Z
            #EXTINF:1.99999,
            6.m4s
            """
        ),
    ),
}


@pytest.mark.parametrize("case", MEDIA_CASES)
def test_a_media_playlist_is(case: str) -> None:
    what, expected = MEDIA_CASES[case]
    assert media_playlist(what, "720p") == expected


@pytest.mark.parametrize("frames", [5, 10, 12, 15, 30])
@pytest.mark.parametrize("rate_hz", [Fraction(25), Fraction(30_000, 1001), Fraction(30), Fraction(60)])
def test_a_segment_is_listed_shorter_than_its_media_and_a_part_longer(rate_hz: Fraction, frames: int) -> None:
    """By as little as five decimals can say; hls.js and Shaka Player stall on the other side (`docs/players.md`)."""
    length_s = frames / rate_hz
    opening = opened(0)
    what = presentation(
        opening,
        *parts(0, duration_s=float(length_s)),
        finished(opening, duration_s=float(2 * length_s)),
        part_target_s=2.0,
    )
    lines = media_playlist(what, "720p").splitlines()
    segments = [Fraction(line[8:-1]) for line in lines if line.startswith("#EXTINF:")]
    listed = [Fraction(line.split("=")[1].split(",")[0]) for line in lines if line.startswith("#EXT-X-PART:")]
    assert len(segments) == 1 and len(listed) == 2
    assert all(Fraction(3, 10**6) <= 2 * length_s - segment_s < Fraction(13, 10**6) for segment_s in segments)
    assert all(Fraction(3, 10**6) <= part_s - length_s < Fraction(13, 10**6) for part_s in listed)


def test_a_delta_update_skips_what_lies_beyond_the_skip_boundary() -> None:
    """Skipped is what ends at least 12 s before the end: five whole segments and a part are 11 s, six are 13 s."""
    what = presentation(*whole(range(40)), opened(40), *parts(40, 1), window_s=60)
    full, delta = (media_playlist(what, "720p", skip=skip).splitlines() for skip in (False, True))
    assert full[5] == "#EXT-X-MEDIA-SEQUENCE:10"
    assert delta[:8] == [
        "#EXTM3U",
        "#EXT-X-VERSION:9",
        *LL_HEAD.splitlines()[2:],
        "#EXT-X-MEDIA-SEQUENCE:10",
        "#EXT-X-SKIP:SKIPPED-SEGMENTS=24",
        '#EXT-X-MAP:URI="init-0.mp4"',
    ]
    assert delta[8:] == full[full.index("33.m4s") + 1 :]


@pytest.mark.parametrize("segments", range(1, 25))
def test_a_delta_update_names_every_segment_that_it_does_not_count_as_skipped(segments: int) -> None:
    what = presentation(*whole(range(segments)), opened(segments), *parts(segments, 1), window_s=60)
    full, delta = (media_playlist(what, "720p", skip=skip).splitlines() for skip in (False, True))
    uris, kept = ([line for line in lines if not line.startswith("#")] for lines in (full, delta))
    skipped = [line for line in delta if line.startswith("#EXT-X-SKIP")]
    count = int(skipped[0].partition("=")[2]) if skipped else 0
    assert kept == uris[count:]
    assert len(kept) * 2 + 1 >= 12 or count == 0
    assert ("#EXT-X-VERSION:9" in delta) == bool(count)


@pytest.mark.parametrize(("segments_after", "delta"), [(0, False), (5, False), (10, False), (11, True), (20, True)])
def test_around_a_discontinuity_there_is_no_delta_update(segments_after: int, delta: bool) -> None:
    """Around: from its beginning until it is 24 s from the end, twice the skip boundary; 11 segments and a part are."""
    cut = opened(20, discontinuity=True)
    newest = 21 + segments_after
    later = [*whole(range(21, newest)), opened(newest), *parts(newest, 2)]
    what = presentation(*whole(range(20)), cut, *parts(20), finished(cut), *later, window_s=120)
    assert (media_playlist(what, "720p", skip=True) != media_playlist(what, "720p")) == delta


def test_an_ended_playlist_is_never_a_delta_update() -> None:
    what = presentation(*whole(range(40)), EndRecord(), window_s=60)
    assert media_playlist(what, "720p", skip=True) == media_playlist(what, "720p")


def test_a_playlist_that_loses_a_discontinuity_had_its_sequence_from_the_start() -> None:
    begun = [*whole(range(3)), opened(3, discontinuity=True), *parts(3, 1)]
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:0" in media_playlist(presentation(*begun), "720p").splitlines()
    assert "DISCONTINUITY-SEQUENCE" not in media_playlist(presentation(*whole(range(3))), "720p")


def test_lines_that_were_rendered_once_are_the_lines_of_a_fresh_rendering() -> None:
    """Segments lose their parts, get a map as they come first, and leave: each look is as the first one."""
    records = [*whole(range(12)), *whole(range(12, 40))]
    cut = [opened(msn, init="init-1.mp4", discontinuity=msn == 40, before=1 - (msn == 40)) for msn in range(40, 60)]
    for opening in cut:
        records += [opening, *parts(opening.msn), finished(opening)]
    looked_at = presentation(window_s=30)
    for count, record in enumerate(records, 1):
        looked_at.feed([record])
        fresh = presentation(*records[:count], window_s=30)
        for skip in (False, True):
            assert media_playlist(looked_at, "720p", skip=skip) == media_playlist(fresh, "720p", skip=skip)


def test_a_classic_playlist_knows_no_delta_update() -> None:
    what = presentation(*whole(range(20), low_latency=False), low_latency=False)
    assert media_playlist(what, "720p", skip=True) == media_playlist(what, "720p")


def test_parts_are_listed_for_three_target_durations() -> None:
    lines = media_playlist(presentation(*whole(range(20)), opened(20), *parts(20, 1)), "720p").splitlines()
    listed = {line.split('URI="')[1].split(".")[0] for line in lines if line.startswith("#EXT-X-PART:")}
    assert listed == {"17", "18", "19", "20"}
    # Whole segments leave at once: those whose end is farther away. Without part 20.0, that of segment 16 is 6 s away.
    lines = media_playlist(presentation(*whole(range(20))), "720p").splitlines()
    assert {line.split('URI="')[1][:2] for line in lines if line.startswith("#EXT-X-PART:")} == {"16", "17", "18", "19"}


@pytest.mark.parametrize(("segments", "listed"), [(3, 3), (6, 6), (7, 6), (50, 6)])
def test_the_window_is_what_fills_its_seconds_and_at_least_six_segments(segments: int, listed: int) -> None:
    what = presentation(*whole(range(segments), low_latency=False), low_latency=False)
    assert media_playlist(what, "720p").count("#EXTINF") == listed
    short = presentation(
        *[finished(opened(msn), duration_s=1.0) for msn in range(segments)], low_latency=False
    )  # fmt: skip
    assert media_playlist(short, "720p").count("#EXTINF") == min(segments, 12)


def test_a_multivariant_playlist_of_the_standard_ladder() -> None:
    names = (("720p", 1280, 720, 2_800_000), ("480p", 854, 480, 1_400_000), ("360p", 640, 360, 800_000))
    renditions = tuple(
        RenditionRecord(
            name=name, kind="video", codecs="avc1.64001f", bandwidth_bps=bps * 11 // 10, average_bandwidth_bps=bps,
            width_px=width_px, height_px=height_px, frame_rate=29.97002997,
        )
        for name, width_px, height_px, bps in names
    )  # fmt: skip
    what = presentation(*[r for name, *_ in names for r in whole(range(1), name)], renditions=(*renditions, AUDIO))
    assert multivariant_playlist(what) == text(
        f"""
        #EXTM3U
        #EXT-X-VERSION:6
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="{SESSION_ID}/audio/media.m3u8"
        #EXT-X-STREAM-INF:BANDWIDTH=1680000,AVERAGE-BANDWIDTH=1528000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=854x480,FRAME-RATE=29.970,AUDIO="audio",CLOSED-CAPTIONS=NONE
        {SESSION_ID}/480p/media.m3u8
        #EXT-X-STREAM-INF:BANDWIDTH=3220000,AVERAGE-BANDWIDTH=2928000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO="audio",CLOSED-CAPTIONS=NONE
        {SESSION_ID}/720p/media.m3u8
        #EXT-X-STREAM-INF:BANDWIDTH=1020000,AVERAGE-BANDWIDTH=928000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=29.970,AUDIO="audio",CLOSED-CAPTIONS=NONE
        {SESSION_ID}/360p/media.m3u8
        """
    )


def test_a_multivariant_playlist_of_passthrough_without_a_known_frame_rate() -> None:
    source = RenditionRecord(
        name="source", kind="video", codecs="avc1.4d401f", bandwidth_bps=5_000_000, average_bandwidth_bps=4_000_000,
        width_px=1920, height_px=1080, may_carry_captions=True,
    )  # fmt: skip
    what = presentation(*whole(range(1), "source"), renditions=(source,))
    assert multivariant_playlist(what) == text(
        f"""
        #EXTM3U
        #EXT-X-VERSION:6
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-STREAM-INF:BANDWIDTH=5000000,AVERAGE-BANDWIDTH=4000000,CODECS="avc1.4d401f",RESOLUTION=1920x1080
        {SESSION_ID}/source/media.m3u8
        """
    )


@pytest.mark.parametrize("low_latency", [True, False])
def test_segments_that_do_not_start_with_a_keyframe_are_not_called_independent(low_latency: bool) -> None:
    opening = opened(0)
    cut_between_keyframes = PartRecord(rendition="720p", msn=0, part=0, duration_s=1.0, independent=False)
    records: list[Record] = [opening, *([cut_between_keyframes] if low_latency else [])]
    what = presentation(*records, finished(opening, independent=False), low_latency=low_latency)
    assert "INDEPENDENT-SEGMENTS" not in multivariant_playlist(what)
    if low_latency:
        assert "INDEPENDENT-SEGMENTS" not in multivariant_playlist(presentation(*records))


@pytest.mark.parametrize("part_target_s", [0.2, 0.334, 0.341, 0.5, 1.0, 1.001])
@pytest.mark.parametrize("target_duration_s", [1, 2, 6])
def test_hold_backs_keep_their_distance(part_target_s: float, target_duration_s: int) -> None:
    session = SessionRecord(
        edge_id=EDGE_ID, session_id=SESSION_ID, low_latency=True,
        part_target_s=part_target_s, target_duration_s=target_duration_s, window_s=12.0,
    )  # fmt: skip
    what = Presentation()
    what.feed([session, VIDEO])
    control = media_playlist(what, "720p").splitlines()[3]
    values = dict(item.split("=") for item in control.partition(":")[2].split(","))
    assert float(values["PART-HOLD-BACK"]) >= 3 * part_target_s
    assert float(values["HOLD-BACK"]) >= 3 * target_duration_s
    assert float(values["CAN-SKIP-UNTIL"]) >= 6 * target_duration_s


def test_a_part_of_no_open_segment_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"part 0\.0 of '720p'"):
        presentation(*parts(0, 1))


def test_a_record_of_an_unknown_rendition_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="'1080p'"):
        presentation(opened(0, "1080p"))

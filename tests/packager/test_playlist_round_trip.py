"""Any session's playlists, as another implementation reads them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import m3u8
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packager.multivariant import multivariant_playlist
from packager.playlists import media_playlist
from packager.presentation import Presentation, Segment
from packager.records import EndRecord, OpenRecord, PartRecord, Record, RenditionRecord, SegmentRecord, SessionRecord
from tests.packager.helpers import EDGE_ID, SESSION_ID, UNIX_S

AUDIO = RenditionRecord(
    name="audio", kind="audio", codecs="mp4a.40.2", bandwidth_bps=140_000, average_bandwidth_bps=128_000, channels=2
)
PART_TARGET_S, TARGET_DURATION_S = 0.5, 2


@st.composite
def sessions(draw: st.DrawFn) -> Presentation:
    """A session of up to 30 segments of two to four parts; the newest may be open; some begin a discontinuity."""
    low_latency = draw(st.booleans())
    session = SessionRecord(
        edge_id=EDGE_ID, session_id=SESSION_ID, low_latency=low_latency, part_target_s=PART_TARGET_S,
        target_duration_s=TARGET_DURATION_S, window_s=draw(st.sampled_from([0.0, 12.0, 60.0])),
    )  # fmt: skip
    renditions = [
        RenditionRecord(
            name=f"{height_px}p", kind="video", codecs="avc1.64001f", bandwidth_bps=height_px * 4000,
            average_bandwidth_bps=height_px * 3500, width_px=height_px * 16 // 9, height_px=height_px,
            frame_rate=draw(st.sampled_from([0.0, 23.976, 30.0, 59.94])),
        )
        for height_px in draw(st.sets(st.sampled_from([360, 480, 720, 1080]), min_size=1))
    ]  # fmt: skip
    records: list[Record] = []
    wall_s, discontinuities = UNIX_S, 0
    count = draw(st.sampled_from([0, 1, 2, 3, 12, 20, 30]))
    cuts = draw(st.sampled_from([[False], [False, True], [True]]))
    for msn in range(count):
        discontinuity = msn > 0 and draw(st.sampled_from(cuts))
        discontinuities += discontinuity
        shared: dict[str, Any] = {
            "msn": msn, "program_date_time_ms": round(wall_s * 1000), "discontinuity": discontinuity,
            "discontinuities": discontinuities, "init": f"init-{discontinuities}.mp4",
        }  # fmt: skip
        durations_s = [n / 100_000 for n in draw(st.lists(st.integers(42_500, 50_000), min_size=2, max_size=4))]
        whole = msn < count - 1 or draw(st.booleans())
        for name in (*(info.name for info in renditions), AUDIO.name):
            records.append(OpenRecord(rendition=name, start_s=0.0, **shared))
            if low_latency:
                records += [
                    PartRecord(rendition=name, msn=msn, part=n, duration_s=duration_s, independent=n == 0)
                    for n, duration_s in enumerate(durations_s)
                ]
            if whole:
                records.append(
                    SegmentRecord(rendition=name, duration_s=sum(durations_s), independent=True, **shared)
                )  # fmt: skip
        wall_s += sum(durations_s)
    out = Presentation()
    out.feed([session, *renditions, AUDIO, *records, *([EndRecord()] if draw(st.booleans()) else [])])
    return out


def listed(segments: list[Segment]) -> list[Segment]:
    return [segment for segment in segments if segment.complete or segment.parts]


@settings(max_examples=80, deadline=None)
@given(sessions())
def test_a_media_playlist_says_what_the_session_is(presentation: Presentation) -> None:
    assert presentation.session is not None
    low_latency = presentation.session.low_latency
    for name, rendition in presentation.renditions.items():
        text = media_playlist(presentation, name)
        parsed = m3u8.loads(text)
        expected = listed(list(rendition.segments))
        whole = [segment for segment in expected if segment.complete]
        assert [segment.uri for segment in parsed.segments if segment.uri] == [f"{s.msn}.m4s" for s in whole]
        assert parsed.is_endlist == presentation.ended
        assert parsed.target_duration == TARGET_DURATION_S
        for segment, read in zip(whole, parsed.segments, strict=False):
            assert read.duration == pytest.approx(segment.duration_s, abs=2e-5)
            assert read.init_section is not None and read.init_section.uri == segment.init
            assert read.discontinuity == segment.discontinuity
            when: datetime = read.program_date_time
            assert round(when.timestamp() * 1000) == segment.program_date_time_ms
        if expected:
            assert parsed.media_sequence == expected[0].msn
            assert (parsed.discontinuity_sequence or 0) == expected[0].discontinuities - expected[0].discontinuity
        if not low_latency:
            for tag in ("PART", "SERVER-CONTROL", "PRELOAD-HINT", "RENDITION-REPORT", "SKIP"):
                assert f"#EXT-X-{tag}" not in text
            continue
        assert parsed.part_inf.part_target == PART_TARGET_S
        parts = [part for segment in parsed.segments for part in segment.parts]
        newest = [(s.msn, part) for s in expected for part in s.parts][len(parts) and -len(parts) :]
        assert [part.uri for part in parts] == [f"{msn}.{part.part}.m4s" for msn, part in newest if parts]
        assert all(part.duration <= PART_TARGET_S for part in parts)
        others = {other for other in presentation.renditions if other != name}
        reported = {report.uri.split("/")[1] for report in parsed.rendition_reports}
        if presentation.ended:
            assert parsed.preload_hint is None and not reported
        else:
            msn, part = rendition.next_part
            assert parsed.preload_hint.uri == f"{msn}.{part}.m4s"
            assert reported == (others if expected else set())


@settings(max_examples=80, deadline=None)
@given(sessions())
def test_a_delta_update_and_what_it_skips_are_the_full_playlist(presentation: Presentation) -> None:
    for name in presentation.renditions:
        full = media_playlist(presentation, name).splitlines()
        delta = media_playlist(presentation, name, skip=True).splitlines()
        skip = [line for line in delta if line.startswith("#EXT-X-SKIP:")]
        if not skip:
            assert delta == full
            continue
        skipped = int(skip[0].removeprefix("#EXT-X-SKIP:SKIPPED-SEGMENTS="))
        ends = [number for number, line in enumerate(full) if not line.startswith("#")]
        after = [line for line in delta[delta.index(skip[0]) + 1 :] if not line.startswith("#EXT-X-MAP:")]
        assert after == [line for line in full[ends[skipped - 1] + 1 :] if not line.startswith("#EXT-X-MAP:")]
        left_s = sum(float(line[8:-1]) for line in after if line.startswith("#EXTINF:"))
        left_s += sum(
            part.duration_s
            for segment in presentation.renditions[name].segments
            if not segment.complete
            for part in segment.parts
        )
        assert left_s >= 6 * TARGET_DURATION_S - 1e-4


@settings(max_examples=60, deadline=None)
@given(sessions())
def test_the_multivariant_playlist_names_every_rendition_once(presentation: Presentation) -> None:
    parsed = m3u8.loads(multivariant_playlist(presentation))
    video = {name: r.info for name, r in presentation.renditions.items() if r.info.kind == "video"}
    assert sorted(playlist.uri for playlist in parsed.playlists) == sorted(
        f"{SESSION_ID}/{name}/media.m3u8" for name in video
    )
    assert [media.uri for media in parsed.media] == [f"{SESSION_ID}/audio/media.m3u8"]
    for playlist in parsed.playlists:
        info, stream = video[playlist.uri.split("/")[1]], playlist.stream_info
        assert stream.bandwidth == info.bandwidth_bps + AUDIO.bandwidth_bps
        assert stream.average_bandwidth == info.average_bandwidth_bps + AUDIO.average_bandwidth_bps
        assert stream.resolution == (info.width_px, info.height_px)
        assert stream.codecs == "avc1.64001f,mp4a.40.2"
        assert stream.audio == "audio"
        assert stream.frame_rate == (info.frame_rate or None)

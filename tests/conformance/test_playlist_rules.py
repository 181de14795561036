"""Each rule of a playlist, and of two versions of it, can fail; and a good one breaks none."""

from __future__ import annotations

import pytest

from packager.conformance import low_latency_rules
from packager.conformance.playlist_rules import PLAYLIST
from packager.conformance.presentation_rules import MULTIVARIANT, PRESENTATION, Presentation
from packager.conformance.text import NotAPlaylist, attributes, read_playlist
from packager.conformance.update_rules import UPDATE, Update, merge
from tests.conformance.playlists import MASTER, changed, date, delta, good, media, multivariant, parts

assert low_latency_rules

GOOD = [
    good(),
    good(open_parts=0),
    good(0, 3),
    good(0, 0, 1),
    good(ended=True),
    delta(),
    delta(first=8, skipped=5),
    changed(good(), date(20), "#EXT-X-DISCONTINUITY\n" + '#EXT-X-MAP:URI="init-1.mp4"\n' + date(20)).replace(
        "#EXT-X-MEDIA-SEQUENCE:10\n", "#EXT-X-MEDIA-SEQUENCE:10\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n"
    ),
]
BROKEN = {
    "tags-of-the-playlist-stand-once": changed(good(), "#EXT-X-TARGETDURATION:2\n", "#EXT-X-TARGETDURATION:2\n" * 2),
    "no-multivariant-tag-in-a-media-playlist": good() + '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="b"\n',
    "target-duration-is-given": changed(good(), "#EXT-X-TARGETDURATION:2\n", ""),
    "segments-round-to-at-most-the-target-duration": changed(good(), "#EXTINF:2,\n12.m4s", "#EXTINF:2.5,\n12.m4s"),
    "sequence-tags-come-before-segments": good() + "#EXT-X-DISCONTINUITY-SEQUENCE:0\n",
    "parts-need-a-part-target": changed(good(), "#EXT-X-PART-INF:PART-TARGET=0.5\n", ""),
    "part-hold-back-is-at-least-twice-the-part-target": changed(good(), "PART-HOLD-BACK=1.5,", "PART-HOLD-BACK=0.9,"),
    "part-hold-back-is-three-part-targets": changed(good(), "PART-HOLD-BACK=1.5,", "PART-HOLD-BACK=1.4,"),
    "hold-back-is-at-least-three-target-durations": changed(good(), ",HOLD-BACK=6", ",HOLD-BACK=5"),
    "skip-boundary-is-at-least-six-target-durations": changed(good(), "CAN-SKIP-UNTIL=12", "CAN-SKIP-UNTIL=11.9"),
    "every-segment-has-its-duration": changed(good(), "#EXTINF:2,\n12.m4s", "12.m4s"),
    "dates-have-milliseconds-and-a-zone": changed(good(), "00:00:24.000Z", "00:00:24Z"),
    "dates-do-not-overlap": changed(good(), "00:00:24.000Z", "00:00:23.000Z"),
    "parts-are-not-longer-than-the-part-target": changed(
        good(), 'DURATION=0.5,URI="20.1.m4s"', 'DURATION=0.50002,URI="20.1.m4s"'
    ),
    "parts-fill-the-part-target": changed(good(), 'DURATION=0.5,URI="19.1.m4s"', 'DURATION=0.42,URI="19.1.m4s"'),
    "segment-tags-come-before-the-first-part": changed(good(), date(20) + parts(20, 2), parts(20, 2) + date(20)),
    "parts-add-up-to-their-segment": changed(good(), "#EXTINF:2,\n19.m4s", "#EXTINF:1.9,\n19.m4s"),
    "a-delta-update-needs-a-skip-boundary": changed(delta(), ",CAN-SKIP-UNTIL=12", ""),
    "a-delta-update-keeps-what-is-nearer-than-the-boundary": delta(skipped=6),
    "no-hint-after-the-end": good() + "#EXT-X-ENDLIST\n",
    "one-hint-of-a-type": good() + '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="20.3.m4s"\n',
    "a-hint-is-of-what-is-not-listed": changed(good(), 'TYPE=PART,URI="20.2.m4s"', 'TYPE=PART,URI="20.1.m4s"'),
    "reports-name-their-rendition-and-its-end": changed(good(), 'URI="../a/', 'URI="http://elsewhere.example/a/'),
    "parts-leave-after-three-target-durations": changed(good(), date(16), date(16) + parts(16)),
    "discontinuities-that-will-leave-need-their-sequence": changed(
        good(), date(13), "#EXT-X-DISCONTINUITY\n" + date(13)
    ),
    "another-map-comes-with-a-discontinuity": changed(good(), date(13), '#EXT-X-MAP:URI="init-1.mp4"\n' + date(13)),
    "the-version-is-that-of-the-tags": changed(good(), "VERSION:6", "VERSION:5"),
    "the-version-is-not-higher-than-needed": changed(good(), "VERSION:6", "VERSION:9"),
    "low-latency-playlists-block": changed(good(), "CAN-BLOCK-RELOAD=YES,", ""),
    "low-latency-playlists-have-dates": "".join(
        line for line in good().splitlines(keepends=True) if "DATE-TIME" not in line
    ),
    "low-latency-playlists-hint-at-the-next-part": good().partition("#EXT-X-PRELOAD-HINT")[0],
}


@pytest.mark.parametrize("text", GOOD)
def test_a_good_playlist_breaks_no_rule(text: str) -> None:
    assert [str(violation) for violation in PLAYLIST.check(media(text))] == []


@pytest.mark.parametrize("rule", BROKEN)
def test_a_rule_of_a_playlist_can_fail(rule: str) -> None:
    broken = [violation.rule.name for violation in PLAYLIST.check(media(BROKEN[rule]))]
    assert rule in broken


NEXT, DATE_10 = good(open_parts=3), date(10)
UPDATES = {
    "target-duration-never-changes": (good(), changed(NEXT, "TARGETDURATION:2", "TARGETDURATION:3")),
    "low-latency-values-never-change": (good(), changed(NEXT, "PART-TARGET=0.5", "PART-TARGET=0.51")),
    "a-playlist-never-goes-back": (NEXT, good()),
    "media-sequence-never-decreases": (good(), good(first=9)),
    "media-sequence-counts-what-was-removed": (good(), changed(NEXT, "SEQUENCE:10", "SEQUENCE:11")),
    "what-is-listed-never-changes": (good(), changed(NEXT, "#EXTINF:2,\n15.m4s", "#EXTINF:1.9,\n15.m4s")),
    "discontinuity-numbers-stay": (good(), changed(NEXT, DATE_10, "#EXT-X-DISCONTINUITY\n" + DATE_10)),
    "parts-leave-in-order-and-at-once": (good(), changed(NEXT, parts(18), "")),
    "three-target-durations-are-left": (good(), good(first=18)),
    "a-playlist-that-loses-segments-has-no-type": (good(), good(first=11) + "#EXT-X-PLAYLIST-TYPE:EVENT\n"),
    "nothing-follows-the-end": (good(ended=True), NEXT),
    "a-hint-comes-true": (good(), changed(NEXT, "20.2.m4s", "20.2-new.m4s")),
}  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"),
    [(good(), good()), (good(), NEXT), (good(open_parts=3), good(last=21, open_parts=0)), (good(open_parts=0), good()),
     (good(), good(first=12, last=22)), (good(open_parts=0), good(ended=True)), (good(ended=True),) * 2],
)  # fmt: skip
def test_a_playlist_that_goes_on_breaks_no_rule(before: str, after: str) -> None:
    assert [str(violation) for violation in UPDATE.check(Update(media(before), media(after)))] == []


@pytest.mark.parametrize("rule", UPDATES)
def test_a_rule_of_updates_can_fail(rule: str) -> None:
    before, after = map(media, UPDATES[rule])
    assert rule in [violation.rule.name for violation in UPDATE.check(Update(before, after))]


def test_a_delta_update_makes_the_whole_playlist() -> None:
    """As a client merges it: parts of skipped segments are gone, everything else is as in the whole."""
    for before, after, whole in (
        (good(), delta(open_parts=3), good(open_parts=3)),
        (good(open_parts=0), delta(last=21, open_parts=1, skipped=4), good(last=21, open_parts=1)),
    ):
        merged, violations = merge(media(before), media(after))
        assert not violations and merged is not None
        expected = media(whole)
        for segment in expected.segments:
            if segment.msn < 14:
                segment.parts = []
        assert merged.segments == expected.segments


def test_a_delta_update_that_counts_wrong_is_noticed() -> None:
    for before, after in ((None, delta()), (good(first=12), delta()), (good(last=11), delta(skipped=3))):
        merged, violations = merge(None if before is None else media(before), media(after))
        assert merged is None
        assert [violation.rule.name for violation in violations] == ["a-delta-update-counts-what-it-skips"]


def test_a_delta_update_keeps_the_discontinuities_that_it_skips() -> None:
    cut = changed(good(), date(11), "#EXT-X-DISCONTINUITY\n" + date(11))
    merged, _violations = merge(media(cut), media(delta(open_parts=3)))
    assert merged is not None
    assert [segment.discontinuities for segment in merged.segments] == [0] + [1] * 10


MULTIVARIANTS = {
    "variants-say-their-bandwidth": changed(MASTER, "BANDWIDTH=1000,", "BANDWIDTH=800,"),
    "variants-say-their-codecs-size-and-rate": changed(MASTER, ",RESOLUTION=640x360", ""),
    "variants-name-groups-that-are-there": changed(MASTER, 'AUDIO="audio"', 'AUDIO="sound"'),
    "captions-are-none-in-all-variants-or-in-no-one": changed(
        MASTER, "CLOSED-CAPTIONS=NONE\nv", 'CLOSED-CAPTIONS="cc"\nv'
    ),
    "media-say-type-group-and-name": changed(MASTER, ',NAME="Audio"', ""),
    "groups-have-different-names-and-one-default": MASTER
    + '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Audio",URI="b/media.m3u8"\n',
}


def test_a_good_multivariant_playlist_breaks_no_rule() -> None:
    assert [str(violation) for violation in MULTIVARIANT.check(multivariant(MASTER))] == []


@pytest.mark.parametrize("rule", MULTIVARIANTS)
def test_a_rule_of_multivariant_playlists_can_fail(rule: str) -> None:
    found = [violation.rule.name for violation in MULTIVARIANT.check(multivariant(MULTIVARIANTS[rule]))]
    assert rule in found


VIDEO = "http://origin.example/s/v/media.m3u8"
SOUND = "http://origin.example/s/a/media.m3u8"
SOUND_TEXT = changed(good(), "../a/media.m3u8", "../v/media.m3u8")
PRESENTATIONS = {
    "renditions-have-one-target-duration": changed(SOUND_TEXT, "TARGETDURATION:2", "TARGETDURATION:3"),
    "renditions-have-one-server-control": changed(SOUND_TEXT, "HOLD-BACK=6", "HOLD-BACK=7"),
    "renditions-count-discontinuities-alike": changed(SOUND_TEXT, date(15), "#EXT-X-DISCONTINUITY\n" + date(15)),
    "renditions-all-have-dates": "".join(
        line for line in SOUND_TEXT.splitlines(keepends=True) if "DATE-TIME" not in line
    ),
    "every-sibling-is-reported": SOUND_TEXT.partition("#EXT-X-RENDITION-REPORT")[0],
}


def test_good_renditions_break_no_rule() -> None:
    both = Presentation({VIDEO: media(good()), SOUND: media(SOUND_TEXT)})
    assert [str(violation) for violation in PRESENTATION.check(both)] == []


@pytest.mark.parametrize("rule", PRESENTATIONS)
def test_a_rule_of_presentations_can_fail(rule: str) -> None:
    both = Presentation({VIDEO: media(good()), SOUND: media(PRESENTATIONS[rule])})
    assert rule in [violation.rule.name for violation in PRESENTATION.check(both)]


@pytest.mark.parametrize(
    "text",
    ["", "#EXTM3U8\n", "\ufeff#EXTM3U\n", "#EXTM3U\n#EXT-X-TARGETDURATION:two\n", "#EXTM3U\n#EXTINF:,\na\n",
     '#EXTM3U\n#EXT-X-PART:URI="a"\n', '#EXTM3U\n#EXT-X-PART:DURATION=1,URI="a\n', "#EXTM3U\n#EXT-X-SKIP:A=1\n",
     "#EXTM3U\n#EXT-X-MAP:URI\n", "#EXTM3U\n#EXT-X-SERVER-CONTROL:HOLD-BACK=x\n",
     "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n", "#EXTM3U\na\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb\n"],
)  # fmt: skip
def test_what_is_no_playlist_is_not_read(text: str) -> None:
    with pytest.raises(NotAPlaylist):
        read_playlist(text)


def test_attribute_lists_are_read_to_the_letter() -> None:
    assert attributes('A=1,B="x,y=z",C-1=YES') == {"A": "1", "B": "x,y=z", "C-1": "YES"}
    for bad in ("a=1", "A=1,A=2", "A", "A=1;B=2 ,", "A = 1"):
        with pytest.raises(NotAPlaylist):
            attributes(bad)

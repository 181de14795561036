"""Each rule of media can fail; and what our own packager writes breaks none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from packager.cmaf import fragment, init_segment
from packager.conformance.boxes import BadBoxes, read_fragments, read_init
from packager.conformance.media_rules import BANDWIDTH, CODECS, DATES, MEDIA, Media, fragments_of, init_of
from packager.samples import Sample
from tests.packager.helpers import audio_track, sample, video_track

IDR = bytes.fromhex("0000000265ff")
NO_IDR = bytes.fromhex("0000000241ff")
INIT = read_init(init_segment(video_track()))


def frames(first: int, count: int, *, keyframe: bool = True, data: bytes = IDR) -> list[Sample]:
    """Frames at 30 frames/s, the first of them a keyframe."""
    return [
        replace(sample((first + n) * 3000, keyframe=keyframe and n == 0), data=data if n == 0 else NO_IDR)
        for n in range(count)
    ]


def media(samples: list[Sample], listed_s: float, **fields: object) -> Media:
    data = fragment(video_track(), 0, samples)
    found, violations = fragments_of("part", data, INIT)
    assert not violations
    out = Media(name="part", init=INIT, fragments=found, size_bytes=len(data), listed_s=listed_s, is_part=True)
    return replace(out, **fields)  # type: ignore[arg-type]


GOOD = media(frames(30, 15), 0.5, independent=True, goes_on_from={1: 30 * 3000})
WHOLE = media(frames(30, 15), 0.5).fragments
BROKEN = {
    "timestamps-go-on-where-they-ended": replace(GOOD, goes_on_from={1: 30 * 3000 - 180}),
    "listed-durations-are-those-of-the-samples": replace(GOOD, listed_s=0.503),
    "independent-parts-begin-with-a-keyframe": media(frames(30, 15, keyframe=False), 0.5, independent=True),
    "a-segment-holds-what-its-parts-hold": replace(GOOD, parts=media(frames(30, 14), 0.5).fragments),
}


def test_good_media_break_no_rule() -> None:
    assert [str(violation) for violation in MEDIA.check(replace(GOOD, parts=WHOLE))] == []


@pytest.mark.parametrize("rule", BROKEN)
def test_a_rule_of_media_can_fail(rule: str) -> None:
    assert [violation.rule.name for violation in MEDIA.check(BROKEN[rule])] == [rule]


def test_a_keyframe_flag_without_an_idr_slice_is_not_enough() -> None:
    lying = media(frames(30, 15, data=NO_IDR), 0.5, independent=True)
    assert "no IDR slice" in str(*MEDIA.check(lying))


def test_fragments_of_one_part_must_follow_each_other() -> None:
    data = fragment(video_track(), 0, frames(0, 5)) + fragment(video_track(), 1, frames(6, 5))
    found, _violations = fragments_of("part", data, INIT)
    one = replace(GOOD, fragments=found, goes_on_from=None, listed_s=10 / 30)
    assert [violation.rule.name for violation in MEDIA.check(one)] == ["timestamps-go-on-where-they-ended"]


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\0\7moof", b"\0\0\0\x99moof", fragment(video_track(), 0, frames(0, 3))[:-1], b"\0\0\0\x08mdat",
             fragment(video_track(), 0, frames(0, 3)).partition(b"mdat")[0][:-4], b"\0\0\0\x10moof\0\0\0\x08traf"],
)  # fmt: skip
def test_what_is_no_fragment_is_said_to_be_none(data: bytes) -> None:
    found, violations = fragments_of("part", data, INIT)
    assert not found
    assert [violation.rule.name for violation in violations] == ["media-are-fragmented-mp4"]


@pytest.mark.parametrize("cut", range(8, 590, 7))
def test_an_init_segment_that_is_cut_off_is_said_to_be_none(cut: int) -> None:
    found, violations = init_of("init", init_segment(audio_track())[:cut])
    assert not found and len(violations) == 1


def test_codecs_are_read_from_init_segments() -> None:
    assert [track.codec for track in INIT] == ["avc1.640 01f".replace(" ", "")]
    assert [track.codec for track in read_init(init_segment(audio_track()))] == ["mp4a.40.2"]
    with pytest.raises(BadBoxes, match="moov"):
        read_init(b"\0\0\0\x08free")


CheckRule = Callable[[], list[str]]
OTHERS: dict[str, tuple[CheckRule, CheckRule]] = {
    "codecs-are-those-of-the-init-segments": (
        lambda: [v.rule.name for v in CODECS.check("v", INIT, "mp4a.40.2,avc1.64001F")],
        lambda: [v.rule.name for v in CODECS.check("v", INIT, "avc1.64001e,mp4a.40.2")],
    ),
    "bandwidth-is-that-of-the-largest-segment": (
        lambda: [v.rule.name for v in BANDWIDTH.check("v", 1_000_000, 1_000_000)],
        lambda: [v.rule.name for v in BANDWIDTH.check("v", 1_100_000, 1_000_000)],
    ),
    "dates-go-with-timestamps-alike": (
        lambda: [v.rule.name for v in DATES.check({"v": 10.0, "a": 10.05})],
        lambda: [v.rule.name for v in DATES.check({"v": 10.0, "a": 10.15})],
    ),
}


@pytest.mark.parametrize("rule", OTHERS)
def test_a_rule_of_renditions_media_can_fail(rule: str) -> None:
    good, broken = OTHERS[rule]
    assert good() == []
    assert broken() == [rule]


def test_fragments_of_another_muxer_are_read(tmp_path: Path) -> None:
    """ffmpeg writes default sizes and flags, several tracks, and `styp` and `sidx` before its fragments."""
    import subprocess

    from tests.clips import FFMPEG

    file = tmp_path / "two-tracks.mp4"
    command = [FFMPEG, "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=30", "-f", "lavfi", "-i", "sine"]
    command += ["-t", "2", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "30", "-c:a", "aac"]
    command += ["-movflags", "+empty_moov+default_base_moof+frag_keyframe+dash", str(file)]
    subprocess.run(command, check=True, timeout=60)
    data = file.read_bytes()
    at = data.index(b"moof") - 4
    init = read_init(data[:at])
    assert sorted(track.kind for track in init) == ["soun", "vide"]
    fragments = read_fragments(data[at:], init)
    one = Media(name="whole", init=init, fragments=fragments, size_bytes=len(data), listed_s=2.0, is_part=True,
                independent=True)  # fmt: skip
    assert [str(violation) for violation in MEDIA.check(one)] == []
    assert Fraction(one.start_s).limit_denominator(1000) < 1

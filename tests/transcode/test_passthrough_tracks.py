from __future__ import annotations

import itertools

import pytest

from packager.samples import Sample
from transcode.audio_form import AAC_FRAME_SAMPLES, kept_form
from transcode.opus import SILENT_PACKETS, opus_head
from transcode.passthrough_tracks import VIDEO_TIMESCALE_HZ, CopiedAudio, VideoTrackWriter
from transcode.units import AudioConfig

RATE_HZ = 48_000
FRAME_S = AAC_FRAME_SAMPLES / RATE_HZ
CONFIG = AudioConfig(codec="aac", extradata=b"\x11\x90", sample_rate_hz=0, channels=0)
OTHER = AudioConfig(codec="aac", extradata=b"\x12\x10", sample_rate_hz=0, channels=0)


def copied(published: list[Sample], config: AudioConfig, first: bytes) -> CopiedAudio:
    form = kept_form(config, first)
    assert form is not None
    writer = CopiedAudio(published.append, form, start_s=1.0)
    assert writer.takes(config)
    return writer


def aac(published: list[Sample]) -> CopiedAudio:
    return copied(published, CONFIG, b"raw")


def assert_unbroken(samples: list[Sample], first: int) -> None:
    assert [sample.dts for sample in samples] == [first + index * AAC_FRAME_SAMPLES for index in range(len(samples))]


def test_a_picture_lasts_until_the_next_one() -> None:
    published: list[Sample] = []
    writer = VideoTrackWriter(published.append)
    for dts_s, keyframe in ((1.0, True), (1.04, False), (1.1, False)):
        writer.add(dts_s, dts_s + 0.08, keyframe, b"nal")
    assert [(sample.dts, sample.duration, sample.keyframe) for sample in published] == [
        (90_000, 3600, True),
        (93_600, 5400, False),
    ]
    writer.flush()
    assert published[-1].duration == 5400 and writer.end_s == pytest.approx(1.16)
    assert all(sample.pts - sample.dts == 0.08 * VIDEO_TIMESCALE_HZ for sample in published)


def test_decode_times_always_ascend() -> None:
    published: list[Sample] = []
    writer = VideoTrackWriter(published.append)
    for dts_s in (1.0, 1.0, 0.9, 1.04):
        writer.add(dts_s, dts_s, True, b"nal")
    writer.flush()
    times = [sample.dts for sample in published]
    assert times == sorted(set(times))
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == [
        sample.duration for sample in published[:-1]
    ]


def test_millisecond_timestamps_become_whole_frames() -> None:
    published: list[Sample] = []
    writer = aac(published)
    for index in range(1000):
        writer.add(b"raw", round((1.0 + index * FRAME_S) * 1000) / 1000)
    writer.flush()
    assert len(published) == 1000
    assert_unbroken(published, RATE_HZ)


def test_audio_waits_for_the_video_to_come_as_far() -> None:
    published: list[Sample] = []
    writer = aac(published)
    for index in range(10):
        writer.add(b"raw", 1.0 + index * FRAME_S)
    assert published == []
    writer.release(1.0 + 3.5 * FRAME_S)
    assert len(published) == 4


@pytest.mark.parametrize("late_s", [0.5, 3.0])
def test_audio_that_begins_late_has_silence_before_it(late_s: float) -> None:
    published: list[Sample] = []
    writer = aac(published)
    writer.add(b"first", 1.0 + late_s)
    writer.flush()
    assert_unbroken(published, RATE_HZ)
    assert abs(published[-1].dts / RATE_HZ - (1.0 + late_s)) <= FRAME_S / 2
    assert published[-1].data == b"first" and published[0].data != b"first"


def test_a_gap_is_filled_and_an_overlap_is_cut() -> None:
    published: list[Sample] = []
    writer = aac(published)
    for pts_s in (1.0, 2.0, 1.5, 2.0 + FRAME_S):
        writer.add(b"raw", pts_s)
    writer.flush()
    assert_unbroken(published, RATE_HZ)
    assert sum(sample.data == b"raw" for sample in published) == 3


def test_only_packets_of_its_own_configuration_have_their_place() -> None:
    writer = aac([])
    assert writer.takes(CONFIG) and not writer.takes(OTHER)


def test_what_follows_with_its_own_time_base_begins_where_the_video_is() -> None:
    published: list[Sample] = []
    writer = aac(published)
    for index in range(10):
        writer.add(b"old", 1.0 + index * FRAME_S)
    writer.rejoin(1.0 + 4.2 * FRAME_S)
    assert writer.end_s == pytest.approx(1.0 + 5 * FRAME_S)
    writer.add(b"new", 1.0 + 4.3 * FRAME_S)  # more than half of it is over
    writer.add(b"new", 1.0 + 5.3 * FRAME_S)
    writer.flush()
    assert_unbroken(published, RATE_HZ)
    assert [sample.data for sample in published] == [b"old"] * 5 + [b"new"]


OPUS = AudioConfig(codec="opus", extradata=opus_head(2), sample_rate_hz=0, channels=0)
OPUS_20_MS, OPUS_10_MS, OPUS_60_MS = b"\xfcpacket", b"\xf4packet", b"\xff\x03packet"


def test_opus_stays_as_it_is_with_the_length_of_each_packet() -> None:
    published: list[Sample] = []
    writer = copied(published, OPUS, OPUS_20_MS)
    writer.add(OPUS_20_MS, 1.0)
    writer.add(OPUS_10_MS, 1.02)
    writer.add(OPUS_20_MS, 1.09)  # 60 ms are missing
    writer.flush()
    assert [(sample.dts - RATE_HZ, sample.duration) for sample in published] == [
        (0, 960), (960, 480), (1440, 960), (2400, 960), (3360, 960), (4320, 960),
    ]  # fmt: skip
    assert [sample.data for sample in published[2:5]] == [SILENT_PACKETS[2]] * 3


@pytest.mark.parametrize(
    ("config", "first"),
    [
        (OPUS, OPUS_60_MS),  # parts could not be cut exactly enough
        (OPUS, None),
        (AudioConfig(codec="opus", extradata=opus_head(6), sample_rate_hz=0, channels=0), OPUS_20_MS),
        (AudioConfig(codec="opus", extradata=b"short", sample_rate_hz=0, channels=0), OPUS_20_MS),
        (AudioConfig(codec="aac", extradata=b"\x2b\x92", sample_rate_hz=0, channels=0), b"raw"),  # HE-AAC
        (AudioConfig(codec="aac", extradata=b"\x11\xb0", sample_rate_hz=0, channels=0), b"raw"),  # 5.1
        (AudioConfig(codec="mp3", extradata=b"", sample_rate_hz=44100, channels=2), b"raw"),
        (None, None),
    ],
)  # fmt: skip
def test_other_audio_is_not_kept(config: AudioConfig | None, first: bytes | None) -> None:
    assert kept_form(config, first) is None

from __future__ import annotations

import itertools
import random
import subprocess
import tracemalloc
from pathlib import Path
from typing import Literal, cast

import av
import pytest
from av.audio.codeccontext import AudioCodecContext
from av.video.codeccontext import VideoCodecContext
from hypothesis import given
from hypothesis import strategies as st

from tests.clips import FFMPEG, synthetic_clip
from tests.transcode.mpegts_wire import AUDIO_PID, PMT_PID, VIDEO_PID, Muxer, packet, section
from transcode.demux import FlvDemuxer
from transcode.mpegts import MpegTsError
from transcode.mpegts_demux import MpegTsDemuxer
from transcode.units import AudioConfig, AudioPacket, BadMedia, Hints, Unit, UnsupportedCodec, VideoConfig, VideoPacket

SPS = bytes.fromhex("674d401feca02802dd808800001f480007530078c18cb0")
OTHER_SPS = SPS[:3] + b"\x20" + SPS[4:]
PPS = bytes.fromhex("68ce3c80")
IDR, SLICE = b"\x65idr picture", b"\x41picture"
KEY_PICTURE = b"".join(b"\x00\x00\x00\x01" + nal for nal in (b"\x09\xf0", SPS, PPS, IDR))
PICTURE = b"\x00\x00\x01\x09\xf0\x00\x00\x01" + SLICE
H264, AAC = (0x1B, VIDEO_PID, b""), (0x0F, AUDIO_PID, b"")
WRAP = 1 << 33


def adts(data: bytes, *, rate_index: int = 3, channels: int = 2, blocks: int = 0) -> bytes:
    size = 7 + len(data)
    fourth = (channels & 3) << 6 | size >> 11
    return bytes([0xFF, 0xF1, 1 << 6 | rate_index << 2 | channels >> 2, fourth, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F, 0xFC | blocks]) + data  # fmt: skip  # noqa: E501


def demux(data: bytes, step: int = 188 * 7) -> list[Unit]:
    demuxer = MpegTsDemuxer()
    return [unit for at in range(0, len(data), step) for unit in demuxer.feed(data[at : at + step])]


def tables(muxer: Muxer) -> bytes:
    return muxer.pat({1: PMT_PID}) + muxer.pmt([H264, AAC])


def pictures(units: list[Unit]) -> list[VideoPacket]:
    return [unit for unit in units if isinstance(unit, VideoPacket)]


def sounds(units: list[Unit]) -> list[AudioPacket]:
    return [unit for unit in units if isinstance(unit, AudioPacket)]


def short_stream() -> bytes:
    """Tables, a keyframe, two pictures and the start of a third, a PES packet of two AAC frames."""
    muxer = Muxer()
    data = tables(muxer) + muxer.pes(VIDEO_PID, KEY_PICTURE, 9000, 6000)
    data += muxer.pes(AUDIO_PID, adts(b"one") + adts(b"two"), 9000, bounded=True)
    for dts in (9000, 12000, 15000):
        data += muxer.pes(VIDEO_PID, PICTURE, dts + 3000, dts)
    return data


@pytest.mark.parametrize("step", [1, 100, 188, 1316, 100_000])
def test_units(step: int) -> None:
    units = demux(short_stream(), step)
    config = next(unit for unit in units if isinstance(unit, VideoConfig))
    assert config.codec == "h264"
    assert SPS in config.extradata and PPS in config.extradata
    assert pictures(units) == [
        VideoPacket(dts_ms=6000 / 90, composition_ms=3000 / 90, keyframe=True, data=len(IDR).to_bytes(4, "big") + IDR),
        *(
            VideoPacket(
                dts_ms=dts / 90, composition_ms=3000 / 90, keyframe=False, data=len(SLICE).to_bytes(4, "big") + SLICE
            )
            for dts in (9000, 12000)
        ),
    ]
    assert AudioConfig(codec="aac", extradata=b"\x11\x90", sample_rate_hz=0, channels=0) in units
    assert [unit.data for unit in sounds(units)] == [b"one", b"two"]
    assert [unit.pts_ms for unit in sounds(units)] == pytest.approx([100, 100 + 1024 / 48])


def test_the_33_bit_clock_goes_on_rising() -> None:
    muxer = Muxer()
    data = tables(muxer)
    for index in range(6):
        dts = (WRAP - 9000 + index * 3000) % WRAP
        data += muxer.pes(VIDEO_PID, KEY_PICTURE, (dts + 6000) % WRAP, dts)
    found = pictures(demux(data))
    assert [unit.dts_ms for unit in found] == pytest.approx([(WRAP - 9000 + index * 3000) / 90 for index in range(5)])
    assert {round(unit.composition_ms, 6) for unit in found} == {round(6000 / 90, 6)}


def test_a_program_without_tables_is_nothing_and_begins_with_them() -> None:
    muxer = Muxer()
    before = b"".join(muxer.pes(VIDEO_PID, KEY_PICTURE, 3000 * index) for index in range(5))
    assert demux(before) == []
    after = tables(muxer) + b"".join(muxer.pes(VIDEO_PID, KEY_PICTURE, 3000 * index) for index in range(5, 8))
    assert len(pictures(demux(before + after))) == 2


def test_a_table_with_a_wrong_crc_waits_for_its_repetition() -> None:
    muxer = Muxer()
    broken = bytearray(muxer.pat({1: PMT_PID}))
    broken[-1] ^= 1
    media = muxer.pes(VIDEO_PID, KEY_PICTURE, 0) + muxer.pes(VIDEO_PID, KEY_PICTURE, 3000)
    assert demux(bytes(broken) + muxer.pmt([H264]) + media) == []
    again = tables(muxer) + muxer.pes(VIDEO_PID, KEY_PICTURE, 6000) + muxer.pes(VIDEO_PID, KEY_PICTURE, 9000)
    assert len(pictures(demux(bytes(broken) + muxer.pmt([H264]) + media + again))) == 1


def test_of_several_programs_the_first_with_a_known_video_is_taken() -> None:
    muxer = Muxer()
    data = muxer.pat({1: 0x1000, 2: 0x1001, 3: 0x1002})
    data += muxer.pmt([(0x33, 0x200, b"")], pid=0x1000, program=1)
    data += muxer.pmt([(0x0F, 0x300, b"")], pid=0x1001, program=2)
    data += muxer.pmt([H264, AAC], pid=0x1002, program=3)
    data += muxer.pes(VIDEO_PID, KEY_PICTURE, 0) + muxer.pes(VIDEO_PID, KEY_PICTURE, 3000)
    assert len(pictures(demux(data))) == 1


def test_a_video_that_moves_to_another_pid_is_followed() -> None:
    muxer = Muxer()
    data = tables(muxer) + muxer.pes(VIDEO_PID, KEY_PICTURE, 0) + muxer.pes(VIDEO_PID, KEY_PICTURE, 3000)
    data += muxer.pmt([(0x1B, 0x123, b""), AAC], version=1)
    data += muxer.pes(0x123, KEY_PICTURE, 6000) + muxer.pes(0x123, PICTURE, 9000) + muxer.pes(0x123, PICTURE, 12000)
    units = demux(data)
    assert [unit.dts_ms for unit in pictures(units)] == pytest.approx([0, 6000 / 90, 100])
    assert sum(isinstance(unit, VideoConfig) for unit in units) == 1


def test_repeated_tables_disturb_nothing() -> None:
    muxer = Muxer()
    data = tables(muxer)
    for index in range(5):
        media = muxer.pes(VIDEO_PID, KEY_PICTURE * 20, index * 3000)
        middle = len(media) // 188 // 2 * 188
        data += media[:middle] + tables(muxer) + media[middle:]
    assert len(pictures(demux(data))) == 4


def test_a_changed_configuration_is_told() -> None:
    muxer = Muxer()
    other = KEY_PICTURE.replace(SPS, OTHER_SPS)
    data = tables(muxer)
    for index, picture in enumerate((KEY_PICTURE, KEY_PICTURE, other, other, other)):
        data += muxer.pes(VIDEO_PID, picture, index * 3000)
    configs = [unit for unit in demux(data) if isinstance(unit, VideoConfig)]
    assert [SPS in config.extradata for config in configs] == [True, False]
    assert OTHER_SPS in configs[1].extradata


def test_a_recovery_point_starts_as_a_keyframe_does() -> None:
    muxer = Muxer()
    sei = b"\x00\x00\x01\x06\x06\x01\xc4\x80"
    recovery = KEY_PICTURE.replace(b"\x00\x00\x00\x01" + IDR, sei + b"\x00\x00\x01" + SLICE)
    data = tables(muxer) + muxer.pes(VIDEO_PID, recovery, 0) + muxer.pes(VIDEO_PID, PICTURE, 3000)
    data += muxer.pes(VIDEO_PID, PICTURE, 6000)
    assert [unit.keyframe for unit in pictures(demux(data))] == [True, False]


def test_a_picture_with_a_gap_is_left_out_and_the_next_ones_go_on() -> None:
    muxer = Muxer()
    head = tables(muxer)
    units = [muxer.pes(VIDEO_PID, KEY_PICTURE + bytes([index]) * 600, index * 3000) for index in range(1, 6)]
    whole = pictures(demux(head + b"".join(units)))
    # The second picture loses its second packet, the fourth its last.
    units[1] = units[1][:188] + units[1][376:]
    units[3] = units[3][:-188]
    left = pictures(demux(head + b"".join(units)))
    assert left == [whole[0], whole[2]]


def test_a_packet_that_comes_twice_counts_once_and_an_announced_jump_is_no_gap() -> None:
    muxer = Muxer()
    head = tables(muxer)
    first = muxer.pes(VIDEO_PID, KEY_PICTURE, 0)
    second = muxer.pes(VIDEO_PID, PICTURE * 30, 3000)
    muxer.counters[VIDEO_PID] += 5
    third = muxer.unit(VIDEO_PID, b"\x00\x00\x01\xe0\x00\x00\x80\x00\x00" + PICTURE, announced=True)
    doubled = b"".join(second[at : at + 188] * 2 for at in range(0, len(second), 188))
    assert pictures(demux(head + first + doubled + third)) == pictures(demux(head + first + second + third))
    assert len(pictures(demux(head + first + second + third))) == 2


def test_bytes_between_packets_are_passed_over() -> None:
    data = short_stream()
    noise = b"\x00noise\x47noise" * 10
    cut = 188 * 4
    assert len(pictures(demux(noise + data[:cut] + noise + data[cut:]))) >= 2


def test_aac_frames_may_lie_across_pes_packets() -> None:
    muxer = Muxer()
    stream = b"".join(adts(bytes([index]) * 50) for index in range(6))
    data = tables(muxer)
    for index, start in enumerate(range(0, len(stream), 100)):
        data += muxer.pes(AUDIO_PID, stream[start : start + 100], 9000 + index * 3000, bounded=True)
    found = sounds(demux(data))
    assert [unit.data for unit in found] == [bytes([index]) * 50 for index in range(6)]
    assert all(later.pts_ms > earlier.pts_ms for earlier, later in itertools.pairwise(found))


def test_one_damaged_aac_header_changes_no_configuration() -> None:
    muxer = Muxer()
    frames = [adts(b"x"), adts(b"x"), adts(b"x", rate_index=4), adts(b"x"), adts(b"x")]
    data = tables(muxer)
    for index, frame in enumerate(frames):
        data += muxer.pes(AUDIO_PID, frame, 9000 + index * 1920, bounded=True)
    units = demux(data)
    assert sum(isinstance(unit, AudioConfig) for unit in units) == 1
    assert len(sounds(units)) == 4


@pytest.mark.parametrize(
    ("streams", "named"),
    [
        ([(0x02, VIDEO_PID, b"")], "MPEG-2"),
        ([(0x33, VIDEO_PID, b"")], "VVC"),
        ([(0x06, VIDEO_PID, b"\x05\x04AV01")], "AV1"),
        ([H264, (0x11, AUDIO_PID, b"")], "LATM"),
        ([H264, (0x06, AUDIO_PID, b"\x05\x04BSSD")], "SMPTE 302M"),
    ],
)
def test_a_codec_that_is_not_taken_is_named(streams: list[tuple[int, int, bytes]], named: str) -> None:
    muxer = Muxer()
    with pytest.raises(UnsupportedCodec, match=named):
        demux(muxer.pat({1: PMT_PID}) + muxer.pmt(streams))


def test_streams_of_data_are_passed_over() -> None:
    muxer = Muxer()
    streams = [(0x15, 0x150, b""), (0x86, 0x151, b""), (0x06, 0x152, b""), H264, AAC]
    data = muxer.pat({1: PMT_PID}) + muxer.pmt(streams)
    data += muxer.pes(VIDEO_PID, KEY_PICTURE, 0) + muxer.pes(VIDEO_PID, KEY_PICTURE, 3000)
    assert len(pictures(demux(data))) == 1


def test_bytes_that_are_no_transport_stream_are_refused() -> None:
    with pytest.raises(MpegTsError, match="no MPEG-TS packet"):
        demux(b"GET / HTTP/1.1\r\n" * 10_000)


@pytest.mark.parametrize(("pid", "payload"), [(0, b"\xff" * 184), (VIDEO_PID, b"x" * 184), (VIDEO_PID, b"x")])
def test_a_unit_that_never_ends_takes_bounded_memory(pid: int, payload: bytes) -> None:
    muxer = Muxer()
    demuxer = MpegTsDemuxer()
    list(demuxer.feed(tables(muxer) + muxer.pes(VIDEO_PID, KEY_PICTURE, 0)))
    first = muxer.counters[pid]
    block = b"".join(packet(pid, first + index, payload) for index in range(16)) * 64
    tracemalloc.start()
    try:
        for _ in range(80):
            assert list(demuxer.feed(block)) == []
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 12 * 1024 * 1024
    after = tables(muxer) + b"".join(muxer.pes(VIDEO_PID, KEY_PICTURE, 3000 * index) for index in (1, 2, 3))
    assert len(pictures(list(demuxer.feed(after)))) >= 2


# What ffmpeg makes, against what its own demuxer reads.

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-pix_fmt", "yuv420p")
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=2:open-gop=1")
CODECS = {
    "aac": ("h264", X264, ("-c:a", "aac")),
    "mp2": ("h264", X264, ("-c:a", "mp2")),
    "mp3": ("h264", X264, ("-c:a", "libmp3lame")),
    "opus": ("h264", X264, ("-c:a", "libopus")),
    "ac3": ("hevc", X265, ("-c:a", "ac3", "-ar", "44100", "-ac", "6")),
    "eac3": ("hevc", (*X265, "-pix_fmt", "yuv420p10le"), ("-c:a", "eac3")),
}


@pytest.fixture(scope="module", params=sorted(CODECS))
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    codec = str(request.param)
    path = tmp_path_factory.mktemp("ts") / f"{codec}.ts"
    sources = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30000/1001", "-f", "lavfi", "-i", "sine=r=48000"]
    _, video, audio = CODECS[codec]
    command = [FFMPEG, "-v", "error", *sources, "-t", "2", *video, "-g", "30", *audio, "-f", "mpegts", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return codec, path


def packets_of(path: Path, kind: Literal["video", "audio"]) -> list[tuple[int, int, bool, bytes]]:
    """PTS, DTS, whether it is a keyframe, and data of each packet, as ffmpeg reads it."""
    with av.open(str(path), "r", format="mpegts") as container:
        stream = container.streams.best(kind)
        assert stream is not None
        return [(p.pts or 0, p.dts or 0, p.is_keyframe, bytes(p)) for p in container.demux(stream) if p.size]


def test_what_ffmpeg_muxes_is_read_as_ffmpeg_reads_it(clip: tuple[str, Path]) -> None:
    codec, path = clip
    units = demux(path.read_bytes())
    expected, heard = packets_of(path, "video"), packets_of(path, "audio")
    found = pictures(units)
    assert len(expected) - 1 <= len(found) <= len(expected)  # the last picture has no successor to end it
    for mine, (pts, dts, keyframe, _) in zip(found, expected, strict=False):
        assert mine.dts_ms == pytest.approx(dts / 90, abs=1e-6)
        assert mine.composition_ms == pytest.approx((pts - dts) / 90, abs=1e-6)
        assert mine.keyframe == keyframe
    mine_audio = sounds(units)
    assert len(heard) - 1 <= len(mine_audio) <= len(heard)
    for sound, (pts, _, _, data) in zip(mine_audio, heard, strict=False):
        assert sound.pts_ms == pytest.approx(pts / 90, abs=0.02)
        assert data.endswith(sound.data)
    assert {unit.codec for unit in units if isinstance(unit, AudioConfig)} == {codec}


def test_what_is_read_can_be_decoded(clip: tuple[str, Path]) -> None:
    codec, path = clip
    units = demux(path.read_bytes())
    config = next(unit for unit in units if isinstance(unit, VideoConfig))
    assert config.codec == CODECS[codec][0]
    decoder = cast(VideoCodecContext, av.CodecContext.create(config.codec, "r"))
    decoder.extradata = config.extradata
    frames = []
    for picture in pictures(units):
        frames += decoder.decode(av.Packet(picture.data))
    frames += decoder.decode(None)
    assert len(frames) == len(pictures(units))
    rates = [unit.frame_rate for unit in units if isinstance(unit, Hints)]
    assert rates == [pytest.approx(30000 / 1001)]
    sound_config = next(unit for unit in units if isinstance(unit, AudioConfig))
    sound = cast(AudioCodecContext, av.CodecContext.create(sound_config.codec, "r"))
    if sound_config.extradata:
        sound.extradata = sound_config.extradata
    decoded = [frame for unit in sounds(units) for frame in sound.decode(av.Packet(unit.data))]
    assert sum(frame.samples for frame in decoded) / decoded[0].sample_rate == pytest.approx(2, abs=0.15)
    if codec != "aac":  # whose configuration says this
        assert {frame.sample_rate for frame in decoded} == {sound_config.sample_rate_hz}
        assert {len(frame.layout.channels) for frame in decoded} == {sound_config.channels}


def test_the_same_media_have_the_same_configurations_in_flv(tmp_path: Path) -> None:
    """An encoder that comes back over the other protocol must not look like another one."""
    flv = synthetic_clip(tmp_path / "clip.flv", size="320x180", seconds=1)
    ts = tmp_path / "clip.ts"
    subprocess.run([FFMPEG, "-v", "error", "-i", str(flv), "-c", "copy", "-f", "mpegts", str(ts)], check=True)
    found = [
        {unit for unit in units if isinstance(unit, VideoConfig | AudioConfig)}
        for units in (list(FlvDemuxer().feed(flv.read_bytes())), demux(ts.read_bytes()))
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 2


# Bad input.


def survives(data: bytes, step: int = 1316) -> None:
    """Nothing but our own errors, and what comes out is whole."""
    try:
        units = demux(data, step)
    except (BadMedia, UnsupportedCodec):
        return
    for unit in units:
        if isinstance(unit, VideoPacket):
            at = 0
            while at < len(unit.data):
                at += 4 + int.from_bytes(unit.data[at : at + 4], "big")
            assert at == len(unit.data)


@pytest.fixture(scope="module")
def seed_stream(clip: tuple[str, Path]) -> bytes:
    return clip[1].read_bytes()[: 188 * 150]


@pytest.mark.parametrize("kind", ["bits", "cut", "lost", "swapped"])
def test_mutations_of_a_real_stream(seed_stream: bytes, kind: str) -> None:
    randomness = random.Random(f"{kind}-1")
    for _ in range(150):
        data = bytearray(seed_stream)
        for _ in range(randomness.randrange(1, 12)):
            at = randomness.randrange(len(data))
            if kind == "bits":
                data[at] ^= 1 << randomness.randrange(8)
            elif kind == "cut":
                del data[at : at + randomness.randrange(1, 400)]
            elif kind == "lost":
                at = at // 188 * 188
                del data[at : at + 188 * randomness.randrange(1, 4)]
            else:
                other = randomness.randrange(len(data))
                data[at : at + 188], data[other : other + 188] = data[other : other + 188], data[at : at + 188]
        survives(bytes(data))


@given(st.binary(max_size=184), st.sampled_from([0, PMT_PID, VIDEO_PID, AUDIO_PID]), st.booleans())
def test_whatever_a_packet_holds_raises_only_our_errors(payload: bytes, pid: int, starts: bool) -> None:
    muxer = Muxer()
    start = tables(muxer) + muxer.pes(VIDEO_PID, KEY_PICTURE, 0)
    survives(start + packet(pid, muxer.counters.get(pid, 0), payload, starts=starts) + short_stream())


@given(st.binary(max_size=160), st.sampled_from([VIDEO_PID, AUDIO_PID]), st.sampled_from([0x03, 0x0F, 0x06]))
def test_whatever_a_pes_packet_holds_raises_only_our_errors(data: bytes, pid: int, audio_type: int) -> None:
    muxer = Muxer()
    descriptors = b"\x05\x04Opus\x7f\x02\x80\x02" if audio_type == 0x06 else b""
    start = muxer.pat({1: PMT_PID}) + muxer.pmt([H264, (audio_type, AUDIO_PID, descriptors)])
    prefix = {0x03: b"\xff\xfb", 0x0F: b"\xff\xf1", 0x06: b"\x7f\xe0"}[audio_type]
    survives(start + muxer.pes(pid, data, 0, bounded=True) + muxer.pes(pid, prefix + data, 3000, bounded=True))


@given(st.binary(max_size=60))
def test_whatever_a_table_holds_raises_only_our_errors(body: bytes) -> None:
    muxer = Muxer()
    data = muxer.unit(0, b"\x00" + section(0, 1, 0, body)) + muxer.pat({1: PMT_PID}, version=1)
    survives(data + muxer.unit(PMT_PID, b"\x00" + section(2, 1, 0, body)) + short_stream())

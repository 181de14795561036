"""Fragments as another implementation reads them."""

from __future__ import annotations

import io
import itertools
import struct
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from packager.cmaf import fragment, init_segment
from packager.codecs import codec_string, parse_aac_config, parse_avc_config
from packager.samples import AudioTrack, Sample, Track, VideoTrack
from tests.packager.helpers import audio_track, video_track
from transcode.opus import dops

FRAMES = 90
FPS = 30
START = 7 * 90_000


def encode_video(b_frames: int, *, early_dts: bool = False) -> tuple[VideoTrack, list[Sample]]:
    """Three seconds of moving pictures. DTS starts with PTS, so that with B-frames some PTS lie before their DTS;
    `early_dts` keeps the encoder's own, which never do.
    """
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 320, 180, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    encoder.flags |= 1 << 22  # global header
    encoder.options = {"preset": "ultrafast", "g": "30", "x264-params": f"annexb=0:bframes={b_frames}:b-adapt=0"}
    encoder.open()
    packets = []
    for index in range(FRAMES):
        picture = np.full((180, 320, 3), index * 2, dtype=np.uint8)
        picture[:, index * 3 : index * 3 + 8] = 255 - index
        frame = VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    first_dts = packets[0].dts
    assert first_dts is not None
    first_dts = 0 if early_dts else first_dts
    ticks = 90_000 // FPS
    samples = []
    for packet in packets:
        assert packet.dts is not None and packet.pts is not None
        samples.append(
            Sample(
                dts=START + (packet.dts - first_dts) * ticks,
                pts=START + packet.pts * ticks,
                duration=ticks,
                keyframe=packet.is_keyframe,
                data=bytes(packet),
            )
        )
    assert encoder.extradata is not None
    return replace(video_track(decoder_config=encoder.extradata), width_px=320, height_px=180), samples


def encode_audio(codec: str = "aac", frame_samples: int = 1024) -> tuple[AudioTrack, list[Sample]]:
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "stereo", "fltp" if codec == "aac" else "flt"
    encoder.flags |= 1 << 22
    encoder.open()
    packets = []
    for index in range(141):
        tone = np.sin(np.arange(index * frame_samples, (index + 1) * frame_samples) * 0.05).astype(np.float32)
        both = np.stack([tone, tone])
        shaped = both if codec == "aac" else np.ascontiguousarray(both.T).reshape(1, -1)
        frame = AudioFrame.from_ndarray(shaped, format=encoder.format.name, layout="stereo")
        frame.sample_rate, frame.pts = 48_000, index * frame_samples
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    samples = [
        Sample(dts=dts, pts=dts, duration=frame_samples, keyframe=True, data=bytes(packet))
        for dts, packet in zip(itertools.count(48_000, frame_samples), packets, strict=False)
    ]
    assert encoder.extradata is not None
    return replace(audio_track(), decoder_config=encoder.extradata), samples


def fragments(track: Track, samples: list[Sample], size: int) -> list[bytes]:
    return [fragment(track, n, samples[n * size : (n + 1) * size]) for n in range(-(-len(samples) // size))]


def decode(data: bytes) -> tuple[list[int], list[bool]]:
    """PTS of the decoded frames, and which packets are keyframes."""
    pts: list[int] = []
    keyframes: list[bool] = []
    with av.open(io.BytesIO(data), mode="r", format="mp4") as container:
        for packet in container.demux(container.streams[0]):
            if packet.size:
                keyframes.append(packet.is_keyframe)
            for frame in packet.decode():
                assert isinstance(frame, VideoFrame | AudioFrame) and frame.pts is not None
                pts.append(frame.pts)
    return pts, keyframes


@pytest.mark.parametrize("b_frames", [0, 2])
def test_video_decodes_with_every_frame_at_its_exact_time(b_frames: int) -> None:
    track, samples = encode_video(b_frames, early_dts=True)
    assert any(s.pts > s.dts for s in samples) == (b_frames > 0)
    pts, keyframes = decode(init_segment(track) + b"".join(fragments(track, samples, 10)))
    assert pts == [START + n * 3000 for n in range(FRAMES)]
    assert keyframes == [s.keyframe for s in samples]


def test_a_picture_may_be_shown_before_its_decoding_time() -> None:
    track, samples = encode_video(2)
    earliest = min(s.pts - s.dts for s in samples)
    assert earliest < 0
    pts, _keyframes = decode(init_segment(track) + b"".join(fragments(track, samples, 10)))
    # FFmpeg keeps DTS before PTS by delaying the whole track by the most negative offset.
    assert pts == [START - earliest + n * 3000 for n in range(FRAMES)]
    data = fragment(track, 0, samples)
    rows = data[data.index(b"trun") + 16 :]
    assert [struct.unpack_from(">i", rows, 16 * n + 12)[0] for n in range(FRAMES)] == [s.pts - s.dts for s in samples]


def test_audio_decodes_with_every_frame_at_its_exact_time() -> None:
    track, samples = encode_audio()
    pts, _keyframes = decode(init_segment(track) + b"".join(fragments(track, samples, 16)))
    assert pts == [s.pts for s in samples]


def test_opus_decodes_with_every_packet_at_its_exact_time() -> None:
    made, samples = encode_audio("libopus", 960)
    track = replace(made, codec="Opus", decoder_config=dops(made.decoder_config))
    assert codec_string(track) == "Opus"
    pts, _keyframes = decode(init_segment(track) + b"".join(fragments(track, samples, 16)))
    assert pts[1:] == [s.pts for s in samples[1:]]
    assert pts[0] == samples[0].pts + 312  # the pre-skip, which nobody hears


def test_a_player_may_begin_at_any_fragment_that_starts_with_a_keyframe() -> None:
    track, samples = encode_video(0)
    pts, _keyframes = decode(init_segment(track) + b"".join(fragments(track, samples, 30)[1:]))
    assert pts == [START + n * 3000 for n in range(30, FRAMES)]


def test_each_fragment_starts_where_the_one_before_ended() -> None:
    track, samples = encode_video(2)
    expected = START
    for number, data in enumerate(fragments(track, samples, 7)):
        at = data.index(b"tfdt")
        assert struct.unpack(">Q", data[at + 8 : at + 16]) == (expected,)
        assert struct.unpack(">I", data[data.index(b"mfhd") + 8 :][:4]) == (number,)
        expected += 3000 * len(samples[number * 7 : number * 7 + 7])


def test_the_encoders_configuration_says_what_was_encoded() -> None:
    video, _samples = encode_video(0)
    config = parse_avc_config(video.decoder_config)
    assert (config.width_px, config.height_px, config.frame_rate) == (320, 180, 30)
    audio, _samples = encode_audio()
    parsed = parse_aac_config(audio.decoder_config)
    assert (parsed.object_type, parsed.sample_rate_hz, parsed.channels) == (2, 48_000, 2)
    assert codec_string(audio) == "mp4a.40.2"


def test_a_sample_rate_beyond_16_bits_is_left_to_the_decoder_configuration() -> None:
    data = init_segment(replace(audio_track(), sample_rate_hz=96_000))
    at = data.index(b"mp4a", data.index(b"stsd"))
    assert struct.unpack(">I", data[at + 28 : at + 32]) == (0,)
    data = init_segment(audio_track())
    assert struct.unpack(">I", data[at + 28 : at + 32]) == (48_000 << 16,)


def test_a_decoder_configuration_that_no_descriptor_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="exceeds 127"):
        init_segment(replace(audio_track(), decoder_config=bytes(128)))

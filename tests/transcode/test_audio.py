from __future__ import annotations

import io

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame

from packager.cmaf import fragment, init_segment
from packager.samples import Sample
from transcode.audio import AAC_FRAME_SAMPLES, AudioTranscoder
from transcode.units import AudioConfig

ORIGIN_SAMPLES = 48_000


def encode(codec_name: str, rate_hz: int, layout: str, seconds: float) -> tuple[AudioConfig, list[tuple[float, bytes]]]:
    """A tone of this length in this codec: its configuration, and packets with the time of each in seconds."""
    codec = av.CodecContext.create(codec_name, "w")
    assert isinstance(codec, av.AudioCodecContext)
    codec.sample_rate, codec.layout = rate_hz, layout
    codec.format = "fltp"
    codec.open()
    packets = []
    size = codec.frame_size
    for start in range(0, int(seconds * rate_hz), size):
        tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(start, start + size) / rate_hz)
        block = np.stack([tone] * (2 if layout == "stereo" else 1)).astype(np.float32)
        frame = AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate_hz, start
        packets += codec.encode(frame)
    config = AudioConfig(codec=codec_name, extradata=codec.extradata or b"", sample_rate_hz=0, channels=0)
    return config, [((packet.pts or 0) / rate_hz, bytes(packet)) for packet in packets]


def decode(transcoder: AudioTranscoder, samples: list[Sample]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    data = init_segment(transcoder.track) + fragment(transcoder.track, 0, samples)
    with av.open(io.BytesIO(data), "r") as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)


@pytest.mark.parametrize(("rate_hz", "layout"), [(48_000, "stereo"), (44_100, "mono"), (22_050, "stereo")])
def test_any_aac_comes_out_as_unbroken_48_khz_stereo(rate_hz: int, layout: str) -> None:
    transcoder = AudioTranscoder(ORIGIN_SAMPLES)
    config, packets = encode("aac", rate_hz, layout, 2.0)
    transcoder.configure(config)
    samples = [sample for at_s, data in packets for sample in transcoder.packet(data, round(at_s, 3))]
    samples += transcoder.flush()
    assert [sample.dts for sample in samples] == [
        ORIGIN_SAMPLES + index * AAC_FRAME_SAMPLES for index in range(len(samples))
    ]
    sound = decode(transcoder, samples)
    assert sound.shape[0] == 2
    middle = sound[0, 24_000:72_000]
    crossings = int(np.sum((middle[:-1] < 0) & (middle[1:] >= 0)))
    assert crossings == pytest.approx(440, abs=2)


def test_silence_then_sound_then_silence_stays_on_the_clock() -> None:
    transcoder = AudioTranscoder(ORIGIN_SAMPLES)
    config, packets = encode("aac", 48_000, "stereo", 0.5)
    transcoder.configure(config)
    samples = transcoder.fill(1.0)
    samples += [sample for at_s, data in packets for sample in transcoder.packet(data, 1.0 + at_s)]
    samples += transcoder.fill(3.0) + transcoder.flush()
    sound = np.abs(decode(transcoder, samples)[0])
    loud = np.flatnonzero(sound > 0.1)
    # Sample 0 of the decoded sound lies at 0 s of the rendition.
    assert loud[0] / 48_000 == pytest.approx(1.0, abs=0.03)
    assert loud[-1] / 48_000 == pytest.approx(1.5, abs=0.04)
    assert sound.shape[0] / 48_000 == pytest.approx(3.0, abs=0.03)


def test_corrupt_packets_cost_only_themselves() -> None:
    transcoder = AudioTranscoder(ORIGIN_SAMPLES)
    config, packets = encode("aac", 48_000, "stereo", 2.0)
    transcoder.configure(config)
    rng = np.random.default_rng(7)
    samples: list[Sample] = []
    for index, (at_s, data) in enumerate(packets):
        samples += transcoder.packet(rng.bytes(len(data)) if index % 10 == 5 else data, at_s)
    samples += transcoder.flush()
    times = [sample.dts for sample in samples]
    assert times == list(range(ORIGIN_SAMPLES, ORIGIN_SAMPLES + len(times) * AAC_FRAME_SAMPLES, AAC_FRAME_SAMPLES))
    assert len(times) * AAC_FRAME_SAMPLES / 48_000 == pytest.approx(2.0, abs=0.1)

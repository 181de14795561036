"""Audio of any source codec to one unbroken AAC-LC rendition: decode, resample, clock, encode."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.packet import Packet

from config.ladders import AUDIO_BITRATE_BPS, AUDIO_CHANNELS, AUDIO_SAMPLE_RATE_HZ
from packager.samples import AudioTrack, Sample
from transcode.sample_clock import Block, SampleClock
from transcode.units import AudioConfig

AAC_FRAME_SAMPLES = 1024


class AudioDecoder:
    """Decodes one configuration to blocks of shape (2, samples) at 48 kHz. Corrupt packets are counted and skipped."""

    def __init__(self, config: AudioConfig) -> None:
        self._codec = cast(AudioCodecContext, av.CodecContext.create(config.codec, "r"))
        if config.extradata:
            self._codec.extradata = config.extradata
        if config.sample_rate_hz and config.codec.startswith("pcm"):
            self._codec.sample_rate = config.sample_rate_hz
            self._codec.layout = "stereo" if config.channels == 2 else "mono"
        self._resampler: AudioResampler | None = None
        self._resampler_key: tuple[str, str, int] | None = None
        self.corrupt = 0

    def decode(self, data: bytes) -> list[Block]:
        """The blocks of one packet, in order."""
        try:
            frames = self._codec.decode(Packet(data))
        except av.FFmpegError:
            self.corrupt += 1
            return []
        return [self._block(out) for frame in frames for out in self._resample(frame)]

    def _resample(self, frame: AudioFrame) -> list[AudioFrame]:
        key = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or key != self._resampler_key:
            self._resampler = AudioResampler(format="fltp", layout="stereo", rate=AUDIO_SAMPLE_RATE_HZ)
            self._resampler_key = key
        frame.pts = None
        return self._resampler.resample(frame)

    @staticmethod
    def _block(frame: AudioFrame) -> Block:
        return cast(Block, frame.to_ndarray()).astype(np.float32, copy=True)


class AacEncoder:
    """Encodes an endless run of blocks, the first of which is heard at `origin_samples`."""

    def __init__(self, origin_samples: int, bitrate_bps: int = AUDIO_BITRATE_BPS) -> None:
        self._origin_samples = origin_samples
        self._bitrate_bps = bitrate_bps
        self._codec = av.CodecContext.create("aac", "w")
        self._codec.sample_rate = AUDIO_SAMPLE_RATE_HZ
        self._codec.layout = "stereo"
        self._codec.format = "fltp"
        self._codec.bit_rate = bitrate_bps
        self._codec.time_base = Fraction(1, AUDIO_SAMPLE_RATE_HZ)
        self._codec.flags |= av.codec.context.Flags.global_header
        # A third of the cost of the default search, which is made for lower bitrates.
        self._codec.options = {"aac_coder": "fast"}
        self._codec.open()
        self._pending: list[Block] = []
        self._pending_samples = 0
        self._encoded_samples = 0

    @property
    def track(self) -> AudioTrack:
        """What the packager must know of the rendition."""
        assert self._codec.extradata is not None
        return AudioTrack(
            name="audio",
            timescale_hz=AUDIO_SAMPLE_RATE_HZ,
            codec="mp4a",
            decoder_config=self._codec.extradata,
            sample_rate_hz=AUDIO_SAMPLE_RATE_HZ,
            channels=AUDIO_CHANNELS,
            bandwidth_bps=int(self._bitrate_bps * 1.1),
            average_bandwidth_bps=self._bitrate_bps,
        )

    def start_at(self, sample: int) -> None:
        """The first block is heard this much later. To be called before there is any."""
        self._origin_samples += sample

    def encode(self, block: Block) -> list[Sample]:
        """The samples (AAC frames) that are complete once this block is in."""
        self._pending.append(block)
        self._pending_samples += block.shape[1]
        if self._pending_samples < AAC_FRAME_SAMPLES:
            return []
        joined = np.concatenate(self._pending, axis=1) if len(self._pending) > 1 else block
        whole = joined.shape[1] // AAC_FRAME_SAMPLES * AAC_FRAME_SAMPLES
        self._pending = [joined[:, whole:]]
        self._pending_samples = joined.shape[1] - whole
        samples: list[Sample] = []
        for start in range(0, whole, AAC_FRAME_SAMPLES):
            frame = AudioFrame.from_ndarray(
                np.ascontiguousarray(joined[:, start : start + AAC_FRAME_SAMPLES]), format="fltp", layout="stereo"
            )
            frame.sample_rate = AUDIO_SAMPLE_RATE_HZ
            frame.pts = self._encoded_samples
            frame.time_base = Fraction(1, AUDIO_SAMPLE_RATE_HZ)
            self._encoded_samples += AAC_FRAME_SAMPLES
            samples += self._samples(self._codec.encode(frame))
        return samples

    def flush(self) -> list[Sample]:
        """The samples still inside the encoder. It takes no block afterwards."""
        return self._samples(self._codec.encode(None))

    def _samples(self, packets: list[Packet]) -> list[Sample]:  # type: ignore[type-arg]
        samples = []
        for packet in packets:
            assert packet.pts is not None
            if packet.pts >= 0:  # the frame before holds the encoder's priming, which nobody should hear
                pts = self._origin_samples + packet.pts
                samples.append(Sample(dts=pts, pts=pts, duration=AAC_FRAME_SAMPLES, keyframe=True, data=bytes(packet)))
        return samples


class AudioTranscoder:
    """One AAC rendition on one sample clock: whatever comes in, an unbroken run of AAC frames goes out.

    Media times are in seconds on the clock of the rendition, whose sample 0 is at 0.0.
    """

    def __init__(self, origin_samples: int, bitrate_bps: int = AUDIO_BITRATE_BPS) -> None:
        self._clock = SampleClock(AUDIO_SAMPLE_RATE_HZ, AUDIO_CHANNELS)
        self._encoder = AacEncoder(origin_samples, bitrate_bps)
        self._decoder: AudioDecoder | None = None

    @property
    def track(self) -> AudioTrack:
        """What the packager must know of the rendition."""
        return self._encoder.track

    @property
    def clock(self) -> SampleClock:
        """Where the rendition stands, and how much silence and cutting it took."""
        return self._clock

    def start_at(self, sample: int) -> None:
        """Samples before this one are published already. To be called before there is anything."""
        self._clock.position = sample
        self._encoder.start_at(sample)

    def configure(self, config: AudioConfig) -> None:
        """From now on packets are of this configuration."""
        self._decoder = AudioDecoder(config)

    def packet(self, data: bytes, media_s: float) -> list[Sample]:
        """The AAC frames that a coded packet, to be heard at `media_s`, completes."""
        if self._decoder is None:
            return []
        samples: list[Sample] = []
        at = round(media_s * AUDIO_SAMPLE_RATE_HZ)
        for block in self._decoder.decode(data):
            for piece in self._clock.place(block, at):
                samples += self._encoder.encode(piece)
            at += block.shape[1]
        return samples

    def fill(self, until_s: float) -> list[Sample]:
        """The AAC frames of silence up to `until_s`."""
        samples: list[Sample] = []
        for block in self._clock.fill(round(until_s * AUDIO_SAMPLE_RATE_HZ)):
            samples += self._encoder.encode(block)
        return samples

    def flush(self) -> list[Sample]:
        """The last AAC frames. Nothing may be given afterwards."""
        return self._encoder.flush()


def silent_aac_frame(sample_rate_hz: int, channels: int) -> bytes:
    """One AAC-LC frame of silence for this rate and 1 or 2 channels."""
    codec = av.CodecContext.create("aac", "w")
    codec.sample_rate, codec.format = sample_rate_hz, "fltp"
    codec.layout = "mono" if channels == 1 else "stereo"
    frame = AudioFrame.from_ndarray(
        np.zeros((codec.channels, AAC_FRAME_SAMPLES), np.float32), format="fltp", layout=codec.layout.name
    )
    frame.sample_rate = sample_rate_hz
    packets = [*codec.encode(frame), *codec.encode(None)]
    return bytes(packets[-1])

"""FLV tags to units: configurations and coded packets.

Sources: Adobe Flash Video File Format Specification 10.1, E.4.2 (audio) and E.4.3 (video); Enhanced RTMP v2, of which
H.264 and the audio codecs are taken: FFmpeg sends 5.1 AAC that way.
"""

from __future__ import annotations

from collections.abc import Iterator

from transcode.flv import TAG_AUDIO, TAG_SCRIPT, TAG_VIDEO, FlvReader, FlvTag
from transcode.script_data import read_hints
from transcode.units import AudioConfig, AudioPacket, Unit, UnsupportedCodec, VideoConfig, VideoPacket

_VIDEO_CODEC_NAMES = {
    2: "Sorenson H.263",
    3: "Screen video",
    4: "VP6",
    5: "VP6 with alpha",
    6: "Screen video 2",
    12: "HEVC",
}
_AVC = 7
_AAC = 10
# FLV sound format -> (PyAV decoder, fixed sample rate or 0 = from the tag's rate bits)
_AUDIO_DECODERS = {2: ("mp3", 0), 14: ("mp3", 8000), 7: ("pcm_alaw", 8000), 8: ("pcm_mulaw", 8000), 3: ("pcm_s16le", 0)}
_SOUND_RATES_HZ = (5512, 11025, 22050, 44100)
# Enhanced RTMP (veovera, E-RTMP v2): a FourCC names the codec, and four bits the kind of packet.
_EX_VIDEO = 0x80
_EX_AUDIO = 9
_EX_SEQUENCE_START, _EX_CODED_FRAMES, _EX_CODED_FRAMES_X = 0, 1, 3
_EX_MULTITRACK = {"video": 6, "audio": 5}
_EX_AUDIO_DECODERS = {
    b"mp4a": "aac", b".mp3": "mp3", b"Opus": "opus", b"ac-3": "ac3", b"ec-3": "eac3", b"fLaC": "flac",
}  # fmt: skip


class FlvDemuxer:
    """Bytes of one encoder connection in, units out. Raises `UnsupportedCodec` and `FlvError`."""

    def __init__(self) -> None:
        self._reader = FlvReader()
        self._video_extradata: bytes | None = None
        self._audio: AudioConfig | None = None

    def feed(self, data: bytes | memoryview) -> Iterator[Unit]:
        """The units that `data` completes, in stream order."""
        for tag in self._reader.feed(data):
            if not tag.body:
                continue
            if tag.kind == TAG_VIDEO:
                yield from self._video(tag)
            elif tag.kind == TAG_AUDIO:
                yield from self._audio_tag(tag)
            elif tag.kind == TAG_SCRIPT:
                hints = read_hints(tag.body)
                if hints is not None:
                    yield hints

    def _video(self, tag: FlvTag) -> Iterator[Unit]:
        body = tag.body
        codec_id, frame_type = body[0] & 0x0F, body[0] >> 4 & 0x07
        if frame_type == 5:  # a command frame carries no picture
            return
        if body[0] & _EX_VIDEO:
            yield from self._ex_video(tag, kind=codec_id, keyframe=frame_type == 1)
            return
        if codec_id != _AVC:
            name = _VIDEO_CODEC_NAMES.get(codec_id, f"codec id {codec_id}")
            raise UnsupportedCodec(f"video codec {name} is not supported; use H.264")
        if len(body) < 5:
            return
        if body[1] == 0:
            yield from self._video_config(body[5:])
        elif body[1] == 1:
            yield from self._picture(tag, int.from_bytes(body[2:5], "big", signed=True), frame_type == 1, body[5:])

    def _ex_video(self, tag: FlvTag, kind: int, keyframe: bool) -> Iterator[Unit]:
        body = tag.body
        if kind == _EX_MULTITRACK["video"] or body[1:5] != b"avc1":
            name = "multitrack" if kind == _EX_MULTITRACK["video"] else repr(body[1:5])
            raise UnsupportedCodec(f"video {name} (Enhanced RTMP) is not supported; use a single track of H.264")
        if kind == _EX_SEQUENCE_START:
            yield from self._video_config(body[5:])
        elif kind == _EX_CODED_FRAMES:
            yield from self._picture(tag, int.from_bytes(body[5:8], "big", signed=True), keyframe, body[8:])
        elif kind == _EX_CODED_FRAMES_X:
            yield from self._picture(tag, 0, keyframe, body[5:])

    def _video_config(self, extradata: bytes) -> Iterator[Unit]:
        # Encoders repeat the configuration, and some send an empty one first.
        if len(extradata) >= 7 and extradata != self._video_extradata:
            self._video_extradata = extradata
            yield VideoConfig(codec="h264", extradata=extradata)

    def _picture(self, tag: FlvTag, composition_ms: int, keyframe: bool, data: bytes) -> Iterator[Unit]:
        if self._video_extradata is not None and data:
            yield VideoPacket(dts_ms=tag.timestamp_ms, composition_ms=composition_ms, keyframe=keyframe, data=data)

    def _audio_tag(self, tag: FlvTag) -> Iterator[Unit]:
        body = tag.body
        sound_format = body[0] >> 4
        if sound_format == _EX_AUDIO:
            yield from self._ex_audio(tag, kind=body[0] & 0x0F)
            return
        if sound_format == _AAC:
            if len(body) > 1:
                yield from self._coded_audio(tag, "aac", is_config=body[1] == 0, data=body[2:])
            return
        known = _AUDIO_DECODERS.get(sound_format)
        if known is None:
            raise UnsupportedCodec(f"audio with FLV sound format {sound_format} is not supported; use AAC")
        decoder, fixed_rate_hz = known
        if decoder == "pcm_s16le" and not body[0] & 0x02:
            decoder = "pcm_u8"
        config = AudioConfig(
            codec=decoder,
            extradata=b"",
            sample_rate_hz=fixed_rate_hz or _SOUND_RATES_HZ[body[0] >> 2 & 3],
            channels=2 if body[0] & 1 else 1,
        )
        yield from self._audio_config(config)
        if len(body) > 1:
            yield AudioPacket(pts_ms=tag.timestamp_ms, data=body[1:])

    def _ex_audio(self, tag: FlvTag, kind: int) -> Iterator[Unit]:
        body = tag.body
        codec = _EX_AUDIO_DECODERS.get(body[1:5])
        if kind == _EX_MULTITRACK["audio"] or codec is None:
            name = "multitrack" if kind == _EX_MULTITRACK["audio"] else repr(body[1:5])
            raise UnsupportedCodec(f"audio {name} (Enhanced RTMP) is not supported; use a single track of AAC")
        if kind == _EX_SEQUENCE_START:
            yield from self._coded_audio(tag, codec, is_config=True, data=body[5:])
        elif kind == _EX_CODED_FRAMES:
            if codec in ("mp3", "ac3", "eac3"):  # these need no configuration, so none may have come
                yield from self._audio_config(_audio_of(codec, b""))
            yield from self._coded_audio(tag, codec, is_config=False, data=body[5:])

    def _coded_audio(self, tag: FlvTag, codec: str, is_config: bool, data: bytes) -> Iterator[Unit]:
        if is_config:
            if len(data) >= 2:
                yield from self._audio_config(_audio_of(codec, data))
        elif data and self._audio is not None and self._audio.codec == codec:
            yield AudioPacket(pts_ms=tag.timestamp_ms, data=data)

    def _audio_config(self, config: AudioConfig) -> Iterator[Unit]:
        if config != self._audio:
            self._audio = config
            yield config


def _audio_of(codec: str, extradata: bytes) -> AudioConfig:
    return AudioConfig(codec=codec, extradata=extradata, sample_rate_hz=0, channels=0)

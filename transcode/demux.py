"""FLV tags to units: configurations and coded packets.

Sources: Adobe Flash Video File Format Specification 10.1, E.4.2 (audio) and E.4.3 (video); Enhanced RTMP v2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from transcode.enhanced import CODED_FRAMES, CODED_FRAMES_X, SEQUENCE_START, read_enhanced
from transcode.flv import TAG_AUDIO, TAG_SCRIPT, TAG_VIDEO, FlvReader, FlvTag
from transcode.script_data import read_hints
from transcode.units import AudioConfig, AudioPacket, Hints, Unit, UnsupportedCodec, VideoConfig, VideoPacket

_VIDEO_CODEC_NAMES = {
    2: "Sorenson H.263",
    3: "Screen video",
    4: "VP6",
    5: "VP6 with alpha",
    6: "Screen video 2",
}
# Codec id 12 for HEVC is no part of the specification, but what some encoders sent before there was Enhanced RTMP.
_VIDEO_DECODERS = {7: "h264", 12: "hevc"}
_AAC = 10
# FLV sound format -> (PyAV decoder, fixed sample rate or 0 = from the tag's rate bits)
_AUDIO_DECODERS = {2: ("mp3", 0), 14: ("mp3", 8000), 7: ("pcm_alaw", 8000), 8: ("pcm_mulaw", 8000), 3: ("pcm_s16le", 0)}
_AAC_FRAME = frozenset(bytes((_AAC << 4 | flags, 1)) for flags in range(16))
_AVC_KEYFRAME = b"\x17\x01"
_AVC_PICTURE = frozenset((_AVC_KEYFRAME, b"\x27\x01"))
_SOUND_RATES_HZ = (5512, 11025, 22050, 44100)
_EX_VIDEO = 0x80
_NO_SBR = bytes.fromhex("56e500")
_PLAIN_TRACK = 0  # of bodies that name no track, enhanced or not
_EX_AUDIO = 9
_EX_VIDEO_KINDS = (SEQUENCE_START, CODED_FRAMES, CODED_FRAMES_X)
_EX_VIDEO_DECODERS = {b"avc1": "h264", b"hvc1": "hevc", b"av01": "av1", b"vp09": "vp9"}
_EX_AUDIO_DECODERS = {
    b"mp4a": "aac", b".mp3": "mp3", b"Opus": "opus", b"ac-3": "ac3", b"ec-3": "eac3", b"fLaC": "flac",
}  # fmt: skip


_LEAST_CONFIG_BYTES = {"h264": 7, "hevc": 23, "av1": 4, "vp9": 8}


class FlvDemuxer:
    """Bytes of one encoder connection in, units out. Raises `UnsupportedCodec` and `FlvError`."""

    def __init__(self) -> None:
        self._reader = FlvReader()
        self._video: VideoConfig | None = None
        self._audio: AudioConfig | None = None
        self._tracks: dict[str, int] = {}
        self._numbered: set[int] = set()  # kinds of tags whose track in use is not the one of plain bodies
        self._hints = Hints()

    def feed(self, data: bytes | memoryview) -> Iterator[Unit]:
        """The units that `data` completes, in stream order."""
        for tag in self._reader.feed(data):
            kind, timestamp_ms, body = tag.kind, tag.timestamp_ms, tag.body
            # What nearly all tags are comes first; what they hold, and that there is a configuration, is known.
            head = b"" if kind in self._numbered else body[:2]
            if kind == TAG_AUDIO and head in _AAC_FRAME and self._audio is not None and self._audio.codec == "aac":
                if len(body) > 2:
                    yield AudioPacket(pts_ms=timestamp_ms, data=body[2:])
            elif kind == TAG_VIDEO and head in _AVC_PICTURE and self._video is not None:
                if len(body) > 5:
                    composition_ms = int.from_bytes(body[2:5], "big", signed=True)
                    yield VideoPacket(
                        dts_ms=timestamp_ms,
                        composition_ms=composition_ms,
                        keyframe=head == _AVC_KEYFRAME,
                        data=body[5:],
                    )
            elif not body:
                continue
            elif kind == TAG_VIDEO:
                yield from self._video_tag(tag)
            elif tag.kind == TAG_AUDIO:
                yield from self._audio_tag(tag)
            elif tag.kind == TAG_SCRIPT:
                hints = read_hints(tag.body)
                if hints is not None:
                    self._hints = replace(hints, has_extra_tracks=self._hints.has_extra_tracks)
                    yield self._hints

    def _video_tag(self, tag: FlvTag) -> Iterator[Unit]:
        body = tag.body
        codec_id, frame_type = body[0] & 0x0F, body[0] >> 4 & 0x07
        if frame_type == 5:  # a command frame carries no picture
            return
        if body[0] & _EX_VIDEO:
            yield from self._ex_video(tag, keyframe=frame_type == 1)
            return
        yield from self._count_tracks("video", _PLAIN_TRACK)
        if self._tracks["video"] != _PLAIN_TRACK:
            return
        codec = _VIDEO_DECODERS.get(codec_id)
        if codec is None:
            name = _VIDEO_CODEC_NAMES.get(codec_id, f"codec id {codec_id}")
            raise UnsupportedCodec(f"video codec {name} is not supported; use H.264")
        if len(body) < 5:
            return
        if body[1] == 0:
            yield from self._video_config(codec, body[5:])
        elif body[1] == 1:
            yield from self._picture(tag, int.from_bytes(body[2:5], "big", signed=True), frame_type == 1, body[5:])

    def _ex_video(self, tag: FlvTag, keyframe: bool) -> Iterator[Unit]:
        packet = read_enhanced(tag.body, "video")
        if packet is None:
            return
        yield from self._count_tracks("video", packet.track_id, packet.has_more_tracks)
        if packet.kind not in _EX_VIDEO_KINDS or packet.track_id != self._tracks["video"]:
            return
        codec = _EX_VIDEO_DECODERS.get(packet.four_cc)
        if codec is None:
            if packet.kind != SEQUENCE_START and self._video is not None:
                return  # a damaged one: another codec begins with its configuration
            raise UnsupportedCodec(f"video codec {packet.four_cc!r} is not supported; use H.264, HEVC, AV1 or VP9")
        if packet.kind == SEQUENCE_START:
            yield from self._video_config(codec, packet.data)
        else:
            yield from self._picture(tag, packet.composition_ms, keyframe, packet.data)

    def _count_tracks(self, media: str, track_id: int, has_more_tracks: bool = False) -> Iterator[Unit]:
        """The first track that comes is used; that there are others is said once."""
        first = self._tracks.setdefault(media, track_id)
        if first != _PLAIN_TRACK:
            self._numbered.add(TAG_VIDEO if media == "video" else TAG_AUDIO)
        if (has_more_tracks or track_id != first) and not self._hints.has_extra_tracks:
            self._hints = replace(self._hints, has_extra_tracks=True)
            yield self._hints

    def _video_config(self, codec: str, extradata: bytes) -> Iterator[Unit]:
        if codec == "vp9" and extradata[:4] == b"\1\0\0\0":  # with the header of the box that it has in a file
            extradata = extradata[4:]
        config = VideoConfig(codec=codec, extradata=extradata)
        # Encoders repeat the configuration, and some send an empty one first.
        if len(extradata) >= _LEAST_CONFIG_BYTES[codec] and config != self._video:
            self._video = config
            yield config

    def _picture(self, tag: FlvTag, composition_ms: int, keyframe: bool, data: bytes) -> Iterator[Unit]:
        if self._video is not None and data:
            yield VideoPacket(dts_ms=tag.timestamp_ms, composition_ms=composition_ms, keyframe=keyframe, data=data)

    def _audio_tag(self, tag: FlvTag) -> Iterator[Unit]:
        body = tag.body
        sound_format = body[0] >> 4
        if sound_format == _EX_AUDIO:
            yield from self._ex_audio(tag)
            return
        yield from self._count_tracks("audio", _PLAIN_TRACK)
        if self._tracks["audio"] != _PLAIN_TRACK:
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

    def _ex_audio(self, tag: FlvTag) -> Iterator[Unit]:
        packet = read_enhanced(tag.body, "audio")
        if packet is None:
            return
        yield from self._count_tracks("audio", packet.track_id, packet.has_more_tracks)
        if packet.kind not in (SEQUENCE_START, CODED_FRAMES) or packet.track_id != self._tracks["audio"]:
            return
        codec = _EX_AUDIO_DECODERS.get(packet.four_cc)
        if codec is None:
            if packet.kind != SEQUENCE_START and self._audio is not None:
                return
            raise UnsupportedCodec(f"audio codec {packet.four_cc!r} is not supported; use AAC")
        if packet.kind == CODED_FRAMES and codec in ("mp3", "ac3", "eac3"):
            # These need no configuration, so none may have come.
            yield from self._audio_config(_audio_of(codec, b""))
        yield from self._coded_audio(tag, codec, is_config=packet.kind == SEQUENCE_START, data=packet.data)

    def _coded_audio(self, tag: FlvTag, codec: str, is_config: bool, data: bytes) -> Iterator[Unit]:
        if is_config:
            if len(data) >= 2:
                yield from self._audio_config(_audio_of(codec, _plain(data) if codec == "aac" else data))
        elif data and self._audio is not None and self._audio.codec == codec:
            yield AudioPacket(pts_ms=tag.timestamp_ms, data=data)

    def _audio_config(self, config: AudioConfig) -> Iterator[Unit]:
        if config != self._audio:
            self._audio = config
            yield config


def _plain(config: bytes) -> bytes:
    """An AudioSpecificConfig without the extension that says only that there is no SBR (ISO/IEC 14496-3, 1.6.5.3).

    Encoders add it or not, MPEG-TS cannot carry it: the same audio must not look like a change.
    """
    return config.removesuffix(_NO_SBR) if len(config) == 2 + len(_NO_SBR) else config


def _audio_of(codec: str, extradata: bytes) -> AudioConfig:
    return AudioConfig(codec=codec, extradata=extradata, sample_rate_hz=0, channels=0)

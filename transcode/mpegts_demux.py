"""MPEG transport stream to units: chooses the program, follows its tables, reads its first video and audio stream.

Sources: ISO/IEC 13818-1, table 2-34 (stream types); ETSI EN 300 468, annex D (AC-3 descriptors). No I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from transcode.mpegts import PAT_PID, TsPacket, TsReader
from transcode.mpegts_audio import AdtsStream, AudioStream, OpusStream, ac3_stream, mpeg_audio_stream
from transcode.mpegts_pes import CLOCK_TICKS_PER_MS, Pes, PesReader, SourceClock, signed_difference
from transcode.mpegts_tables import ElementaryStream, SectionReader, programs, streams
from transcode.mpegts_video import H264, HEVC, VideoCodec, VideoStream
from transcode.units import AudioConfig, Unit, UnsupportedCodec, VideoConfig

_PRIVATE = 0x06
_VIDEO = {0x1B: H264, 0x24: HEVC}
_AUDIO: dict[int, Callable[[], AudioStream]] = {
    0x03: mpeg_audio_stream, 0x04: mpeg_audio_stream, 0x0F: AdtsStream, 0x81: ac3_stream, 0x87: ac3_stream,
}  # fmt: skip
_REGISTERED_AUDIO = frozenset({b"AC-3", b"EAC3"})
_AC3_DESCRIPTORS = frozenset({0x6A, 0x7A})
_OTHER_VIDEO = {0x01: "MPEG-1", 0x02: "MPEG-2", 0x10: "MPEG-4", 0x21: "JPEG 2000", 0x33: "VVC"}
_OTHER_REGISTERED_VIDEO = {b"AV01": "AV1", b"VC-1": "VC-1", b"drac": "Dirac"}
_OTHER_AUDIO = {0x11: "AAC with LATM"}
_OTHER_REGISTERED_AUDIO = {b"BSSD": "SMPTE 302M"}
_EXTENSION_DESCRIPTOR, _OPUS_EXTENSION = 0x7F, 0x80


class MpegTsDemuxer:
    """Bytes of one encoder connection in, units out. Raises `UnsupportedCodec` and `MpegTsError`.

    Of several programs the first with H.264 or HEVC is taken. Tables that change are followed: a stream that keeps its
    PID and type goes on undisturbed.
    """

    def __init__(self) -> None:
        self._reader = TsReader()
        self._clock = SourceClock()
        self._tables: dict[int, SectionReader] = {PAT_PID: SectionReader()}
        self._seen: dict[tuple[int, int], bytes] = {}  # the latest section by PID and table: most only repeat it
        self._programs: dict[int, int] = {}
        self._streams: dict[int, list[ElementaryStream]] = {}
        self._pes: dict[int, PesReader] = {}
        self._video: tuple[ElementaryStream, VideoStream] | None = None
        self._audio: tuple[ElementaryStream, AudioStream] | None = None
        self._video_config: VideoConfig | None = None
        self._audio_config: AudioConfig | None = None

    @property
    def gaps(self) -> int:
        """How often packets were missing."""
        return self._reader.gaps

    def feed(self, data: bytes | memoryview) -> Iterator[Unit]:
        """The units that `data` completes, in stream order."""
        for packet in self._reader.feed(data):
            pes_reader = self._pes.get(packet.pid)
            if pes_reader is not None:
                done = pes_reader.push(packet)
                if done:
                    for pes in done:
                        yield from self._units(packet.pid, pes)
            else:
                self._table(packet)

    def _units(self, pid: int, pes: Pes) -> Iterator[Unit]:
        if self._video is not None and pid == self._video[0].pid:
            composition_ms = 0.0
            if pes.pts is not None and pes.dts is not None:
                composition_ms = signed_difference(pes.pts, pes.dts) / CLOCK_TICKS_PER_MS
            dts_ms = None if pes.dts is None else self._clock.ms(pes.dts)
            for unit in self._video[1].push(dts_ms, composition_ms, pes.data):
                if isinstance(unit, VideoConfig):
                    if unit == self._video_config:
                        continue
                    self._video_config = unit
                yield unit
        elif self._audio is not None and pid == self._audio[0].pid:
            pts_ms = None if pes.pts is None else self._clock.ms(pes.pts)
            for sound in self._audio[1].push(pts_ms, pes.data):
                if isinstance(sound, AudioConfig):
                    if sound == self._audio_config:
                        continue
                    self._audio_config = sound
                yield sound

    def _table(self, packet: TsPacket) -> None:
        reader = self._tables.get(packet.pid)
        if reader is None:
            return
        for section in reader.push(packet):
            name = packet.pid, int.from_bytes(section[3:5], "big")
            if self._seen.get(name) == section:
                continue
            if packet.pid == PAT_PID:
                self._on_programs(section)
            else:
                self._on_streams(packet.pid, section)
            if len(self._seen) < 256:
                self._seen[name] = section

    def _on_programs(self, section: bytes) -> None:
        found = programs(section)
        if not found:
            return
        self._programs = found
        self._seen.clear()
        self._streams = {number: known for number, known in self._streams.items() if number in found}
        self._tables = {PAT_PID: self._tables[PAT_PID]}
        for pid in found.values():
            self._tables.setdefault(pid, SectionReader())
        self._choose()

    def _on_streams(self, pid: int, section: bytes) -> None:
        found = streams(section)
        if found is not None and self._programs.get(found[0]) == pid:
            self._streams[found[0]] = found[1]
            self._choose()

    def _choose(self) -> None:
        known = [self._streams[number] for number in self._programs if number in self._streams]
        chosen = next((program for program in known if any(_video_codec(stream) for stream in program)), None)
        if chosen is None and len(known) == len(self._programs):
            _refuse_other(known, _other_video, "video", "H.264 or HEVC")
            chosen = next((program for program in known if any(_audio_maker(stream) for stream in program)), None)
        if chosen is None:
            self._listen()
            return
        video = next((stream for stream in chosen if _video_codec(stream)), None)
        audio = next((stream for stream in chosen if _audio_maker(stream)), None)
        if audio is None:
            _refuse_other([chosen], _other_audio, "audio", "AAC")
        if video is None:
            self._video = None
        elif self._video is None or self._video[0] != video:
            codec = _video_codec(video)
            assert codec is not None
            self._video = video, VideoStream(codec)
            self._pes.pop(video.pid, None)
        if audio is None:
            self._audio = None
        elif self._audio is None or self._audio[0] != audio:
            make = _audio_maker(audio)
            assert make is not None
            self._audio = audio, make()
            self._pes.pop(audio.pid, None)
        self._listen()

    def _listen(self) -> None:
        """Read the tables and the streams in use, and nothing else."""
        pids = {stream.pid for stream, _ in (pair for pair in (self._video, self._audio) if pair is not None)}
        self._pes = {pid: self._pes.get(pid) or PesReader() for pid in pids - self._tables.keys()}
        self._reader.wanted = {*self._tables, *self._pes}


def _video_codec(stream: ElementaryStream) -> VideoCodec | None:
    """The codec of this stream; None when it is no video that is taken."""
    if stream.stream_type == _PRIVATE and stream.registration == b"HEVC":
        return HEVC
    return _VIDEO.get(stream.stream_type)


def _audio_maker(stream: ElementaryStream) -> Callable[[], AudioStream] | None:
    """How to read this stream; None when it is no audio that is taken."""
    if stream.stream_type != _PRIVATE:
        return _AUDIO.get(stream.stream_type)
    if stream.registration == b"Opus":
        extension = stream.descriptors.get(_EXTENSION_DESCRIPTOR, b"")
        channels = extension[1] if len(extension) > 1 and extension[0] == _OPUS_EXTENSION else 2
        return (lambda: OpusStream(channels)) if channels in (1, 2) else None
    is_ac3 = stream.registration in _REGISTERED_AUDIO or not _AC3_DESCRIPTORS.isdisjoint(stream.descriptors)
    return ac3_stream if is_ac3 else None


def _other_video(stream: ElementaryStream) -> str | None:
    if stream.stream_type == _PRIVATE:
        return _OTHER_REGISTERED_VIDEO.get(stream.registration)
    return _OTHER_VIDEO.get(stream.stream_type)


def _other_audio(stream: ElementaryStream) -> str | None:
    if stream.stream_type == _PRIVATE:
        if stream.registration == b"Opus":
            return "Opus with more than two channels"
        return _OTHER_REGISTERED_AUDIO.get(stream.registration)
    return _OTHER_AUDIO.get(stream.stream_type)


def _refuse_other(
    programs: list[list[ElementaryStream]], name_of: Callable[[ElementaryStream], str | None], what: str, instead: str
) -> None:
    names = [name for program in programs for stream in program if (name := name_of(stream)) is not None]
    if names:
        raise UnsupportedCodec(f"{what} codec {names[0]} is not supported; use {instead}")

"""MPEG transport stream to units: chooses the program, follows its tables, reads its first video and audio stream.

Sources: ISO/IEC 13818-1, table 2-34 (stream types); ETSI EN 300 468, annex D (AC-3 descriptors). No I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from transcode.mpegts import PAT_PID, TsPacket, TsReader
from transcode.mpegts_audio import AdtsStream, AudioStream, MpegAudioStream, OpusStream
from transcode.mpegts_pes import CLOCK_TICKS_PER_MS, Pes, PesReader, SourceClock, signed_difference
from transcode.mpegts_tables import ElementaryStream, SectionReader, programs, streams
from transcode.mpegts_video import H264Stream
from transcode.units import AudioConfig, Unit, UnsupportedCodec, VideoConfig

_H264 = 0x1B
_PRIVATE = 0x06
_OTHER_VIDEO = {0x01: "MPEG-1", 0x02: "MPEG-2", 0x10: "MPEG-4", 0x21: "JPEG 2000", 0x24: "HEVC", 0x33: "VVC"}
_OTHER_AUDIO = {0x11: "AAC with LATM", 0x81: "AC-3", 0x87: "E-AC-3"}
_AUDIO: dict[int, Callable[[], AudioStream]] = {0x03: MpegAudioStream, 0x04: MpegAudioStream, 0x0F: AdtsStream}
_REGISTERED_VIDEO = {b"HEVC": "HEVC", b"AV01": "AV1", b"VC-1": "VC-1", b"drac": "Dirac"}
_REGISTERED_AUDIO = {b"AC-3": "AC-3", b"EAC3": "E-AC-3", b"BSSD": "SMPTE 302M"}
_AC3_DESCRIPTORS = {0x6A: "AC-3", 0x7A: "E-AC-3"}
_EXTENSION_DESCRIPTOR, _OPUS_EXTENSION = 0x7F, 0x80


class MpegTsDemuxer:
    """Bytes of one encoder connection in, units out. Raises `UnsupportedCodec` and `MpegTsError`.

    Of several programs the first with H.264 is taken. Tables that change are followed: a stream that keeps its PID and
    type goes on undisturbed.
    """

    def __init__(self) -> None:
        self._reader = TsReader()
        self._clock = SourceClock()
        self._tables: dict[int, SectionReader] = {PAT_PID: SectionReader()}
        self._seen: dict[tuple[int, int], bytes] = {}  # the latest section by PID and table: most only repeat it
        self._programs: dict[int, int] = {}
        self._streams: dict[int, list[ElementaryStream]] = {}
        self._pes: dict[int, PesReader] = {}
        self._video: tuple[ElementaryStream, H264Stream] | None = None
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
        chosen = next((program for program in known if any(_is_h264(stream) for stream in program)), None)
        if chosen is None and len(known) == len(self._programs):
            _refuse_other(known, _other_video, "video", "H.264")
            chosen = next((program for program in known if any(_audio_maker(stream) for stream in program)), None)
        if chosen is None:
            self._listen()
            return
        video = next((stream for stream in chosen if _is_h264(stream)), None)
        audio = next((stream for stream in chosen if _audio_maker(stream)), None)
        if audio is None:
            _refuse_other([chosen], _other_audio, "audio", "AAC")
        if video is None:
            self._video = None
        elif self._video is None or self._video[0] != video:
            self._video = video, H264Stream()
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


def _is_h264(stream: ElementaryStream) -> bool:
    return stream.stream_type == _H264


def _audio_maker(stream: ElementaryStream) -> Callable[[], AudioStream] | None:
    """How to read this stream; None when it is no audio that is taken."""
    extension = stream.descriptors.get(_EXTENSION_DESCRIPTOR, b"")
    if stream.stream_type == _PRIVATE and stream.registration == b"Opus":
        channels = extension[1] if len(extension) > 1 and extension[0] == _OPUS_EXTENSION else 2
        return (lambda: OpusStream(channels)) if channels in (1, 2) else None
    return _AUDIO.get(stream.stream_type)


def _other_video(stream: ElementaryStream) -> str | None:
    registered = _REGISTERED_VIDEO.get(stream.registration) if stream.stream_type == _PRIVATE else None
    return registered or _OTHER_VIDEO.get(stream.stream_type)


def _other_audio(stream: ElementaryStream) -> str | None:
    if stream.stream_type == _PRIVATE:
        if stream.registration == b"Opus":
            return "Opus with more than two channels"
        described = next((name for tag, name in _AC3_DESCRIPTORS.items() if tag in stream.descriptors), None)
        return described or _REGISTERED_AUDIO.get(stream.registration)
    return _OTHER_AUDIO.get(stream.stream_type)


def _refuse_other(
    programs: list[list[ElementaryStream]], name_of: Callable[[ElementaryStream], str | None], what: str, instead: str
) -> None:
    names = [name for program in programs for stream in program if (name := name_of(stream)) is not None]
    if names:
        raise UnsupportedCodec(f"{what} codec {names[0]} is not supported; use {instead}")

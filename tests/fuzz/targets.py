"""What is fuzzed: each target takes any bytes, and raises only when something is wrong with us.

`make fuzz` runs them with a fuzzer that follows coverage; what it found lies in `finds/` and is run with the tests.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from config.limits import LIMITS, IngestLimits
from ingest.rtmp import amf0
from ingest.rtmp.chunks import ChunkReader, Message
from ingest.rtmp.connection import ServerConnection, State
from ingest.rtmp.errors import ProtocolError
from ingest.rtmp.events import PublishRequested
from ingest.srt.stream_id import StreamIdError, parse_stream_id
from packager.codecs import CodecError, parse_aac_config, parse_avc_config
from packager.frame_size import av1_size, vp9_size
from packager.hevc import parse_hevc_config, parse_hevc_sps
from tests.rtmp.wire import CONNECT, CREATE_STREAM, HELLO, command, control, media, publish
from tests.transcode.mpegts_wire import AUDIO_PID, PMT_PID, VIDEO_PID, Muxer
from transcode.demux import FlvDemuxer
from transcode.mpegts_demux import MpegTsDemuxer
from transcode.units import BadMedia, UnsupportedCodec

Target = Callable[[bytes], None]

_SMALL = IngestLimits(message_before_key_bytes=4096, message_after_key_bytes=4096, bytes_in_flight=8192)
_GREETING = HELLO + CONNECT + CREATE_STREAM + publish()


def _messages(data: bytes, step: int) -> tuple[list[Message], str]:
    """The messages in the bytes, and the error that ends them."""
    reader = ChunkReader(_SMALL)
    found: list[Message] = []
    try:
        for start in range(0, len(data), step):
            reader.feed(memoryview(data[start : start + step]))
            while (message := reader.next_message()) is not None:
                found.append(message._replace(body=bytes(message.body)))
    except ProtocolError as error:
        return found, str(error)
    return found, ""


def chunks(data: bytes) -> None:
    """The same messages come out however the bytes are split."""
    whole = _messages(data, max(1, len(data)))
    assert _messages(data, 1) == whole
    assert all(len(message.body) <= _SMALL.message_before_key_bytes for message in whole[0])


def amf0_values(data: bytes) -> None:
    """What can be read can be written, and read again as the same."""
    try:
        values = amf0.decode(data, LIMITS)
    except amf0.AmfError:
        return
    written = amf0.encode(*values)
    assert amf0.encode(*amf0.decode(written, LIMITS)) == written


def stream_id(data: bytes) -> None:
    """A key without a path, or our error, which does not tell what was sent."""
    try:
        found = parse_stream_id(data)
    except StreamIdError as error:
        assert len(str(error)) < 100
        return
    assert found.key and "/" not in found.key
    assert repr(found) == "StreamId()"


def rtmp_connection(data: bytes) -> None:
    """The first byte says how far the connection has come before the bytes arrive."""
    connection = ServerConnection(_SMALL)
    stage, data = (data[0] % 4 if data else 0), data[1:]
    pieces = [(HELLO, _GREETING[: -len(publish())], _GREETING, _GREETING)[stage], data]
    with contextlib.suppress(ProtocolError):
        for piece in pieces:
            connection.receive_data(memoryview(piece))
            while (event := connection.next_event()) is not None:
                if isinstance(event, PublishRequested):
                    assert event.key
                    if stage == 3:
                        connection.accept_publish()
            connection.data_to_send()
    assert isinstance(connection.state, State)


def flv(data: bytes) -> None:
    """Units, or a refusal."""
    with contextlib.suppress(BadMedia, UnsupportedCodec):
        for _ in FlvDemuxer().feed(b"FLV\x01\x05\0\0\0\x09\0\0\0\0" + data):
            pass


_AUDIO_TYPES = (0x03, 0x0F, 0x81, 0x87)


def mpegts(data: bytes) -> None:
    """The first byte chooses the codecs; the others are the video's, and the audio's, PES packets."""
    muxer = Muxer()
    choice, data = (data[0] if data else 0), data[1:]
    streams = [(0x24 if choice & 1 else 0x1B, VIDEO_PID, b""), (_AUDIO_TYPES[choice >> 1 & 3], AUDIO_PID, b"")]
    if choice & 8:
        streams[1] = (0x06, AUDIO_PID, b"\x05\x04Opus\x7f\x02\x80\x02")
    start = muxer.pat({1: PMT_PID}) + muxer.pmt(streams)
    pes = b"".join(muxer.pes(pid, data, 9000 * n, bounded=True) for n in (1, 2) for pid in (VIDEO_PID, AUDIO_PID))
    with contextlib.suppress(BadMedia, UnsupportedCodec):
        for _ in MpegTsDemuxer().feed(start + pes):
            pass


def configurations(data: bytes) -> None:
    """Decoder configurations, whatever codec they are of."""
    for parse in (parse_avc_config, parse_aac_config, parse_hevc_config, parse_hevc_sps):
        with contextlib.suppress(CodecError):
            parse(data)
    av1_size(data)
    vp9_size(data)


TARGETS: dict[str, Target] = {
    "chunks": chunks,
    "amf0": amf0_values,
    "stream_id": stream_id,
    "rtmp_connection": rtmp_connection,
    "flv": flv,
    "mpegts": mpegts,
    "configurations": configurations,
}

SEEDS: dict[str, Iterable[bytes]] = {
    "chunks": (CONNECT, control(1, b"\0\0\x10\0"), media(9, 0xFFFFFF, b"v" * 300), b"\x42\0\0\0\0\0\x06\x04"),
    "amf0": (
        amf0.encode("connect", 1.0, {"app": "live", "list": [1.0, None, True], "array": amf0.EcmaArray(a="b")}),
        amf0.encode(amf0.Date(0.0, 0), amf0.UNDEFINED, "x" * 70),
    ),
    "stream_id": (
        b"#!::r=live/sk_key,m=publish,u=me",
        b"publish:live/sk_key",
        b"%23!%3A%3Ar%3Dlive%2Fsk_key",
        b"sk_key",
    ),
    "rtmp_connection": (
        b"\0" + CONNECT,
        b"\1" + publish("sk_key?a=b"),
        b"\3" + media(9, 0, b"\x17\1\0\0\0abc") + media(22, 5, b"\x09\0\0\1\0\0\0\0\0\0\0x\0\0\0\x0c"),
        b"\3" + command("FCUnpublish", 5.0, None, "sk_key"),
    ),
    "flv": (
        b"\x09\0\0\x05\0\0\0\0\0\0\0\x17\0\0\0\0\0\0\0\x10",
        b"\x09\0\0\x0a\0\0\0\0\0\0\0\x90hvc1\1\2\3\4\5\0\0\0\x15",
        b"\x12\0\0\x10\0\0\0\0\0\0\0\2\0\x0aonMetaData\x05\0\0\0\0\x1b",
    ),
    "mpegts": (
        b"\0\0\0\1\x67\x4d\x40\x1f\xec\xa0\0\0\1\x68\xce\x3c\x80\0\0\1\x65abc",
        b"\1\0\0\1\x40\1\x0c\0\0\1\x42\1\1\0\0\1\x44\1\xc1\0\0\1\x26\1abc",
        b"\x02\xff\xf1\x4c\x80\1\x1f\xfcabc",
        b"\x04\x0b\x77\0\0\0\x40\x40\0",
        b"\x08\x7f\xe0\3\xfc\xff\xfe",
    ),
    "configurations": (
        b"\x01\x64\0\x1f\xff\xe1\0\x05\x67\x64\0\x1f\xac\1\0\2\x68\xce",
        b"\x11\x90",
        b"\x81\0\0\0\x0a\x0b\0\0\0\x04=\x06\xd4\x02\xf8\0@",
        b"\x82\x49\x83\x42\0\x27\xf0\x16\x70",
    ),
}

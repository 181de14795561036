"""What real encoders do that no specification asks for; each test is named after its quirk."""

from __future__ import annotations

from typing import Any

import pytest

from ingest.rtmp import amf0
from ingest.rtmp.amf0 import EcmaArray
from ingest.rtmp.chunk_writer import ChunkWriter
from ingest.rtmp.chunks import Message
from ingest.rtmp.events import Media, MetaData, PublishRequested, PublishStopped
from ingest.rtmp.messages import MessageType
from tests.rtmp.test_messages import tag
from tests.rtmp.wire import (
    CONNECT,
    CREATE_STREAM,
    HELLO,
    TCP_SERVER,
    Peer,
    command,
    control,
    media,
    publish,
    publishing,
)

META = amf0.encode("onMetaData", EcmaArray(width=1280.0))


def key_of(connect: Any, name: Any = "sk_key") -> str:
    return Peer().ask(command("connect", 1.0, connect), CREATE_STREAM, publish(name)).key


def test_simple_handshake_with_a_version_in_c1() -> None:
    # ffmpeg and OBS put a Flash version into C1 and ask for digests; S1 with version 0 tells them to go without.
    c1 = bytes(4) + bytes([9, 0, 124, 2]) + bytes(1528)
    assert Peer().send(bytes([3]) + c1 + bytes(1536) + CONNECT + CREATE_STREAM + publish()) != []


def test_connect_object_as_ecma_array() -> None:
    assert key_of(EcmaArray(app="live", tcUrl=TCP_SERVER)) == "sk_key"


def test_tcurl_in_lower_case() -> None:
    assert key_of({"app": "live", "tcurl": TCP_SERVER + "/sk_key"}, "") == "sk_key"


def test_tcurl_with_query() -> None:
    assert key_of({"tcUrl": TCP_SERVER + "?token=a/b"}) == "sk_key"


def test_tcurl_in_quotes() -> None:
    assert key_of({"tcUrl": f'"{TCP_SERVER}"'}) == "sk_key"


def test_key_in_the_app_part() -> None:
    assert key_of({"app": "live/sk_key"}, "") == "sk_key"


def test_key_in_tcurl() -> None:
    assert key_of({"app": "live", "tcUrl": TCP_SERVER + "/sk_key"}, "") == "sk_key"


def test_stream_name_with_query() -> None:
    assert key_of({"app": "live"}, "sk_key?user=u&pass=p") == "sk_key"


def test_stream_name_with_fragment() -> None:
    assert key_of({"app": "live"}, "sk_key#1") == "sk_key"


def test_stream_name_that_starts_with_a_question_mark() -> None:
    assert key_of({"app": "live/sk_key"}, "?user=u") == "sk_key"
    assert key_of({"app": "live"}, "?sk_key") == "sk_key"


def test_connect_without_an_object() -> None:
    assert Peer().ask(command("connect", 1.0, None), publish()).key == "sk_key"


def test_publish_without_create_stream() -> None:
    assert Peer().ask(CONNECT, publish()).key == "sk_key"


@pytest.mark.parametrize("name", ["releaseStream", "FCPublish", "_checkbw", "getStreamLength"])
def test_calls_around_publish_are_answered(name: str) -> None:
    peer = Peer()
    peer.send(HELLO + CONNECT + command(name, 4.0, None, "sk_key"))
    assert ["_result", 4.0, None] in [values[:3] for values in peer.replies.commands]
    assert "sk_key" not in repr(peer.replies.commands)


def test_fcpublish_gets_on_fcpublish() -> None:
    peer = Peer()
    peer.send(HELLO + CONNECT + command("FCPublish", 4.0, None, "sk_key"))
    assert peer.replies.commands[-1][0] == "onFCPublish"


def test_fcunpublish_is_a_goodbye_and_gets_on_fcunpublish() -> None:
    peer = publishing()
    goodbye = command("FCUnpublish", 5.0, None, "sk_key") + command("deleteStream", 6.0, None, 1.0)
    assert peer.send(goodbye) == [PublishStopped()]
    assert [values[0] for values in peer.replies.commands[-3:]] == ["_result", "onFCUnpublish", "onStatus"]


def test_close_stream_is_a_goodbye() -> None:
    assert publishing().send(command("closeStream", 0.0, None, stream_id=1)) == [PublishStopped()]


def test_fcunpublish_before_publish() -> None:
    # Some encoders clean up a former session first.
    before = command("FCUnpublish", 2.0, None, "sk_key") + command("deleteStream", 3.0, None, 1.0)
    assert Peer().ask(CONNECT, before, CREATE_STREAM, publish()).key == "sk_key"


def test_transaction_id_0() -> None:
    peer = Peer()
    peer.send(HELLO + command("connect", 0.0, {"app": "live"}) + command("createStream", 0.0, None))
    assert [values[:2] for values in peer.replies.commands] == [["_result", 0.0], ["_result", 0.0]]
    assert len(peer.send(publish(transaction_id=0.0))) == 1


def test_unknown_commands_get_an_error_and_do_no_harm() -> None:
    peer = Peer()
    peer.send(HELLO + CONNECT + command("setClientInfo", 7.0, None) + command("notification", 0.0, None))
    assert [values[:2] for values in peer.replies.commands[1:]] == [["_error", 7.0]]
    assert len(peer.send(CREATE_STREAM + publish())) == 1


def test_answers_of_the_encoder_are_not_commands() -> None:
    peer = Peer()
    peer.send(HELLO + CONNECT + command("_result", 9.0, None) + command("_error", 9.0, None))
    assert len(peer.replies.commands) == 1


def test_type_17_commands() -> None:
    peer = Peer()
    kind = MessageType.COMMAND_AMF3
    chunks = command("connect", 1.0, {"app": "live", "objectEncoding": 3.0}, type_id=kind)
    assert peer.send(HELLO + chunks + command("publish", 2.0, None, "sk_key", type_id=kind)) == [
        PublishRequested(key="sk_key", encoder="")
    ]
    assert peer.replies.commands[0][3]["objectEncoding"] == 0.0


@pytest.mark.parametrize(
    ("type_id", "body"),
    [(18, META), (18, amf0.encode("@setDataFrame") + META), (15, b"\0" + amf0.encode("@setDataFrame") + META)],
    ids=["plain", "set data frame", "type 15"],
)
def test_metadata_spellings(type_id: int, body: bytes) -> None:
    assert publishing().send(media(type_id, 5, body)) == [MetaData(timestamp_ms=5, body=META)]


@pytest.mark.parametrize("body", [b"\0\0\0\1", b"", b"\x02\xff\xff", amf0.encode("onTextData", {}), amf0.encode(None)])
def test_data_messages_that_are_no_metadata_are_ignored(body: bytes) -> None:
    assert publishing().send(media(18, 0, body) + media(9, 0, b"v")) == [Media(9, 0, b"v")]


def test_wrong_metadata_is_no_reason_to_stop() -> None:
    body = amf0.encode("onMetaData") + b"\xff\xff"
    assert publishing().send(media(18, 0, body) + media(9, 0, b"v"))[1:] == [Media(9, 0, b"v")]


def test_media_without_metadata() -> None:
    assert publishing().send(media(9, 0, b"v")) == [Media(9, 0, b"v")]


def test_metadata_resent_dozens_of_times() -> None:
    assert len(publishing().send(media(18, 0, META) * 60)) == 60


def test_huge_metadata_is_ignored() -> None:
    body = META + bytes(70_000)
    assert publishing().send(media(18, 0, body) + media(9, 0, b"v")) == [Media(9, 0, b"v")]


def test_empty_audio_and_video_messages_are_dropped() -> None:
    assert publishing().send(media(8, 0, b"") + media(9, 0, b"") + media(8, 1, b"a")) == [Media(8, 1, b"a")]


def test_repeated_decoder_configuration_is_handed_on() -> None:
    configuration = b"\x17\x00\x00\x00\x00\x01"
    assert publishing().send(media(9, 0, configuration) * 3) == [Media(9, 0, configuration)] * 3


def test_hevc_as_codec_id_12_is_handed_on() -> None:
    assert publishing().send(media(9, 0, b"\x1c\x00\x00\x00\x00")) == [Media(9, 0, b"\x1c\x00\x00\x00\x00")]


def test_aggregate() -> None:
    body = tag(9, 10, b"v") + tag(18, 10, META) + tag(8, 12, b"") + tag(8, 15, b"a") + tag(22, 15, tag(9, 0, b"x"))
    events = publishing().send(media(22, 1000, body) + media(9, 2000, b"w"))
    assert events == [
        Media(9, 1000, b"v"), MetaData(timestamp_ms=1000, body=META), Media(8, 1005, b"a"), Media(9, 2000, b"w"),
    ]  # fmt: skip


def test_large_and_small_chunk_sizes() -> None:
    for size in (1, 4096, 0xFFFFFF):
        peer = publishing()
        encoder = ChunkWriter()
        encoder.chunk_bytes = size
        video = encoder.write(6, Message(9, 0, 1, b"v" * 5000))
        assert peer.send(control(1, size.to_bytes(4, "big")) + video) == [Media(9, 0, b"v" * 5000)]


def test_control_messages_on_any_chunk_stream() -> None:
    peer = publishing()
    peer.send(control(MessageType.USER_CONTROL, b"\x00\x06\x00\x00\x00\x01", chunk_stream_id=9))
    assert peer.replies.messages[-1].body == b"\x00\x07\x00\x00\x00\x01"


def test_librtmp_ping_with_format_1_on_a_fresh_chunk_stream() -> None:
    peer = publishing()
    assert peer.send(b"\x42\x00\x00\x00\x00\x00\x06\x04\x00\x07\x00\x00\x00\x01" + media(9, 0, b"v")) != []


def test_timestamps_go_on_past_32_bits() -> None:
    late = media(9, 0xFFFFFFF0, b"a") + b"\x86\x00\x00\x20b"
    assert publishing().send(late) == [Media(9, 0xFFFFFFF0, b"a"), Media(9, 0x10, b"b")]


def test_enhanced_rtmp_capabilities_are_answered_truly_and_only_when_asked() -> None:
    asked = {"app": "live", "fourCcList": ["av01", "hvc1"], "capsEx": 1.0}
    peer = Peer()
    peer.send(HELLO + command("connect", 1.0, asked))
    info = peer.replies.commands[0][3]
    assert {"avc1", "hvc1", "av01", "vp09", "mp4a", "Opus"} <= set(info["fourCcList"]) and info["capsEx"] == 6.0
    assert "videoFourCcInfoMap" not in info
    silent = Peer()
    silent.send(HELLO + CONNECT)
    assert "fourCcList" not in silent.replies.commands[0][3]


def test_encoder_name_is_fit_for_a_log_line() -> None:
    name = "bad\n\x1b[31m" + "x" * 200
    event = Peer().ask(command("connect", 1.0, {"app": "live", "flashVer": name}), publish())
    assert event.encoder == "bad??[31m" + "x" * 55

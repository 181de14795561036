from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.limits import IngestLimits
from ingest.rtmp.chunks import Message
from ingest.rtmp.connection import State
from ingest.rtmp.errors import ProtocolError
from ingest.rtmp.events import Media, MetaData, PublishRequested, PublishStopped, Refused
from ingest.rtmp.messages import MessageType
from tests.rtmp.wire import CONNECT, CREATE_STREAM, HELLO, Peer, command, control, media, publish, publishing


@pytest.mark.parametrize("step", [None, 1, 1000])
def test_from_the_first_byte_to_the_goodbye(step: int | None) -> None:
    peer = Peer()
    opening = HELLO + CONNECT + CREATE_STREAM + publish()
    assert peer.send(opening, step) == [PublishRequested(key="sk_key", encoder="test encoder")]
    assert peer.replies.codes == ["NetConnection.Connect.Success"]
    assert peer.replies.commands[1] == ["_result", 2.0, None, 1.0]

    assert peer.accept() == []
    assert peer.replies.commands[-1][0] == "onStatus"
    assert peer.replies.codes[-1] == "NetStream.Publish.Start"
    assert peer.replies.messages[-1].stream_id == 1

    sent = media(9, 40, b"v" * 1000) + media(8, 41, b"a") + command("deleteStream", 0.0, None, 1.0)
    assert peer.send(sent, step) == [Media(9, 40, b"v" * 1000), Media(8, 41, b"a"), PublishStopped()]
    assert peer.replies.codes[-1] == "NetStream.Unpublish.Success"
    assert peer.core.state is State.DONE
    assert peer.send(b"anything", step) == []


def test_connect_is_answered_in_the_order_that_encoders_expect() -> None:
    peer = Peer()
    peer.send(HELLO + CONNECT)
    assert [message.type_id for message in peer.replies.messages] == [5, 6, 20]  # the reader keeps type 1 to itself
    name, transaction_id, properties, info = peer.replies.commands[0]
    assert (name, transaction_id) == ("_result", 1.0)
    assert properties == {"fmsVer": "FMS/3,0,1,123", "capabilities": 31.0}
    assert info["objectEncoding"] == 0.0


def test_nothing_is_parsed_while_the_decision_is_open() -> None:
    peer = Peer()
    early = media(9, 0, b"early")
    assert peer.send(HELLO + CONNECT + CREATE_STREAM + publish() + early) == [
        PublishRequested(key="sk_key", encoder="test encoder")
    ]
    assert peer.send(media(9, 1, b"later")) == []
    assert peer.accept() == [Media(9, 0, b"early"), Media(9, 1, b"later")]


def test_what_waits_for_the_decision_is_bounded() -> None:
    peer = Peer(IngestLimits(bytes_in_flight=100))
    peer.ask()
    with pytest.raises(ProtocolError, match="101 bytes sent before the answer to publish"):
        peer.send(bytes(101))


def test_refusal() -> None:
    peer = Peer()
    peer.ask()
    peer.core.refuse_publish("NetStream.Publish.BadName", "no such key")
    assert peer.drain() == []
    name, _, _, info = peer.replies.commands[-1]
    assert name == "onStatus"
    assert info == {"level": "error", "code": "NetStream.Publish.BadName", "description": "no such key"}
    assert peer.send(media(9, 0, b"v")) == []
    with pytest.raises(RuntimeError, match="connection is done, not deciding"):
        peer.core.accept_publish()


def test_the_bound_on_messages_rises_with_the_key() -> None:
    limits = IngestLimits(message_before_key_bytes=200, message_after_key_bytes=1000)
    with pytest.raises(ProtocolError, match="message of 201 bytes exceeds 200"):
        Peer(limits).send(HELLO + media(9, 0, bytes(201)))
    peer = publishing(limits)
    assert peer.send(media(9, 0, bytes(1000))) == [Media(9, 0, bytes(1000))]
    with pytest.raises(ProtocolError, match="message of 1001 bytes exceeds 1000"):
        peer.send(media(9, 0, bytes(1001)))


def test_media_before_publish_is_dropped() -> None:
    assert Peer().send(HELLO + CONNECT + media(9, 0, b"v") + media(22, 0, bytes(5))) == []


def test_commands_before_publish_are_bounded() -> None:
    peer = Peer(IngestLimits(commands_before_publish=3))
    peer.send(HELLO + CONNECT + CREATE_STREAM * 2)
    with pytest.raises(ProtocolError, match="more than 3 commands before publish"):
        peer.send(CREATE_STREAM)


def test_commands_after_publish_are_not() -> None:
    peer = publishing(IngestLimits(commands_before_publish=3))
    assert peer.send(CREATE_STREAM * 10) == []
    assert len(peer.replies.commands) == 3 + 10


def test_acknowledgements_keep_to_the_window_of_the_peer() -> None:
    peer = publishing()
    peer.send(control(MessageType.WINDOW_ACKNOWLEDGEMENT_SIZE, (5000).to_bytes(4, "big")))
    for _ in range(12):
        peer.send(media(9, 0, bytes(1000)))
    acknowledged = [int.from_bytes(m.body, "big") for m in peer.replies.messages if m.type_id == 3]
    assert len(acknowledged) >= 2
    assert all(5000 <= b - a <= 6100 for a, b in itertools.pairwise(acknowledged))


def test_ping_is_answered() -> None:
    peer = publishing()
    peer.send(control(MessageType.USER_CONTROL, b"\x00\x06\x00\x00\x12\x34"))
    assert peer.replies.messages[-1] == Message(4, 0, 0, b"\x00\x07\x00\x00\x12\x34")


def test_set_peer_bandwidth_is_answered_with_the_window() -> None:
    peer = publishing()
    peer.send(control(MessageType.SET_PEER_BANDWIDTH, b"\x00\x00\x10\x00\x02"))
    assert peer.replies.messages[-1].type_id == MessageType.WINDOW_ACKNOWLEDGEMENT_SIZE


@pytest.mark.parametrize("name", ["play", "play2"])
def test_players_are_refused(name: str) -> None:
    peer = Peer()
    assert peer.send(HELLO + CONNECT + CREATE_STREAM + command(name, 3.0, None, "sk_key")) == [Refused("play")]
    assert peer.replies.codes[-1] == "NetStream.Play.Failed"


def test_other_applications_are_refused() -> None:
    peer = Peer()
    assert peer.send(HELLO + command("connect", 1.0, {"app": "other"})) == [Refused("unknown_app")]
    assert peer.replies.commands[0][:2] == ["_error", 1.0]
    assert peer.replies.codes == ["NetConnection.Connect.InvalidApp"]


def test_publish_without_a_key_is_refused() -> None:
    peer = Peer()
    assert peer.send(HELLO + CONNECT + CREATE_STREAM + publish("")) == [Refused("no_key")]
    assert peer.replies.codes[-1] == "NetStream.Publish.BadName"


def test_a_second_publish_on_a_connection_leaves_the_first_alone() -> None:
    peer = publishing()
    assert peer.send(publish("sk_other")) == []
    assert peer.replies.codes[-1] == "NetStream.Publish.BadName"
    assert peer.send(media(9, 0, b"v")) == [Media(9, 0, b"v")]


def test_a_second_connect_is_an_error_and_changes_nothing() -> None:
    peer = Peer()
    peer.send(HELLO + CONNECT + command("connect", 2.0, {"app": "other"}))
    assert peer.replies.codes[-1] == "NetConnection.Connect.Rejected"
    assert peer.send(CREATE_STREAM + publish()) == [PublishRequested(key="sk_key", encoder="test encoder")]


def test_publish_before_connect_is_an_error() -> None:
    peer = Peer()
    assert peer.send(HELLO + publish()) == []
    assert peer.replies.commands[0][:2] == ["_error", 3.0]


def test_stop_from_our_side_tells_the_publisher() -> None:
    peer = publishing()
    peer.core.stop("NetStream.Failed", "over")
    assert peer.drain() == []
    assert peer.replies.codes[-1] == "NetStream.Failed"


def test_stop_before_connect_says_nothing() -> None:
    peer = Peer()
    peer.send(HELLO)
    peer.core.stop("NetStream.Failed", "over")
    assert peer.core.data_to_send() == b""


def test_media_before_an_error_still_arrives() -> None:
    peer = publishing()
    peer.core.receive_data(memoryview(media(9, 0, b"v") + b"\xff"))
    event = peer.core.next_event()
    assert isinstance(event, Media)
    with pytest.raises(ProtocolError, match="starts without a header"):
        peer.core.next_event()


def test_no_repr_tells_the_key() -> None:
    peer = Peer()
    assert "sk_key" not in repr(peer.ask())


def test_metadata_is_handed_on_each_time() -> None:
    peer = publishing()
    body = b"\x02\x00\x0aonMetaData\x05"
    assert peer.send(media(18, 3, body) * 2) == [MetaData(timestamp_ms=3, body=body)] * 2


@given(data=st.binary(max_size=600), step=st.integers(1, 100), known=st.booleans(), greeted=st.booleans())
@settings(max_examples=200)
def test_random_bytes_raise_nothing_but_protocol_errors(data: bytes, step: int, known: bool, greeted: bool) -> None:
    peer = publishing() if known else Peer()
    if greeted and not known:
        peer.send(HELLO + CONNECT)
    with contextlib.suppress(ProtocolError):
        peer.send(data, step)


@given(
    bodies=st.lists(
        st.tuples(st.sampled_from([3, 4, 5, 6, 15, 17, 18, 19, 20, 22]), st.binary(max_size=60)), max_size=8
    ),
    known=st.booleans(),
)
@settings(max_examples=200)
def test_random_bodies_raise_nothing_but_protocol_errors(bodies: list[tuple[int, bytes]], known: bool) -> None:
    peer = publishing() if known else Peer()
    if not known:
        peer.send(HELLO + CONNECT)
    with contextlib.suppress(ProtocolError):
        peer.send(b"".join(media(type_id, 0, body) for type_id, body in bodies))


def test_an_endless_amf_string_ends_the_connection() -> None:
    peer = Peer()
    with pytest.raises(ProtocolError, match="AMF string of 65535 bytes exceeds 8192"):
        peer.send(HELLO + control(MessageType.COMMAND_AMF0, b"\x02\xff\xff" + b"x" * 5000))


def test_a_message_of_16_mb_ends_the_connection_at_its_header() -> None:
    peer = publishing()
    with pytest.raises(ProtocolError, match="message of 16777215 bytes exceeds 4194304"):
        peer.send(b"\x06\x00\x00\x00\xff\xff\xff\x09\x01\x00\x00\x00")

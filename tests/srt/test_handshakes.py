from __future__ import annotations

import pytest

from config.limits import IngestLimits
from ingest.srt.abi import Reject
from ingest.srt.directory import KeyDirectory, Verdict
from ingest.srt.handshakes import Doorkeeper
from streams.ids import key_hash

KEY = "sk_right"
HASH = key_hash(KEY)


class Node:
    """A directory, and which streams this node is receiving."""

    def __init__(self, *, following: bool = True) -> None:
        self.delivering: set[str] = set()
        self.directory = KeyDirectory("node_here", self.delivering.__contains__)
        self.directory.replace_keys({HASH: "ls_1"})
        self.directory.replace_hosts({})
        self.directory.following = following


def test_a_known_key_may_publish_and_another_is_wrong() -> None:
    directory = Node().directory
    assert directory.verdict(HASH) is Verdict.MAY_PUBLISH
    assert directory.verdict(key_hash("sk_other")) is Verdict.WRONG_KEY


def test_a_directory_that_does_not_follow_is_unsure() -> None:
    directory = Node(following=False).directory
    assert directory.verdict(HASH) is Verdict.UNSURE
    assert directory.verdict(key_hash("sk_other")) is Verdict.UNSURE


def test_a_key_that_changes_is_unsure_until_it_is_known() -> None:
    directory = Node().directory
    new = key_hash("sk_new")
    directory.changing([new, HASH])
    assert directory.verdict(new) is directory.verdict(HASH) is Verdict.UNSURE
    directory.set_key(new, "ls_2")
    directory.set_key(HASH, None)
    assert directory.verdict(new) is Verdict.MAY_PUBLISH
    assert directory.verdict(HASH) is Verdict.WRONG_KEY


@pytest.mark.parametrize("following", [True, False])
def test_a_stream_that_this_node_receives_has_its_publisher(following: bool) -> None:
    node = Node(following=following)
    node.delivering.add("ls_1")
    assert node.directory.verdict(HASH) is Verdict.ALREADY_PUBLISHING


def test_a_session_elsewhere_is_a_conflict_and_one_held_here_is_not() -> None:
    directory = Node().directory
    directory.replace_hosts({"ls_1": "node_there"})
    assert directory.verdict(HASH) is Verdict.UNSURE
    directory.hosts_changing()
    assert directory.verdict(HASH) is Verdict.UNSURE
    directory.replace_hosts({"ls_1": "node_here"})
    assert directory.verdict(HASH) is Verdict.MAY_PUBLISH


@pytest.mark.parametrize(
    ("stream_id", "code", "reason"),
    [
        ("sk_wrong", Reject.BAD_SECRET, "wrong_key"),
        ("", Reject.BAD_REQUEST, "no_key"),
        (f"other/{KEY}", Reject.BAD_REQUEST, "unknown_app"),
        (f"#!::r={KEY},m=request", Reject.BAD_MODE, "not_publish"),
        (f"#!::r={KEY},m=publish,t=file", Reject.UNSUPPORTED_MEDIA, "not_stream"),
        ("x" * 513, Reject.BAD_REQUEST, "stream_id_too_long"),
    ],
)
def test_each_refusal_has_its_code(stream_id: str, code: Reject, reason: str) -> None:
    rejection = Doorkeeper(Node().directory, IngestLimits()).rejection("::1", stream_id.encode())
    assert rejection is not None
    assert (rejection.code, rejection.reason) == (code, reason)


def test_a_caller_that_may_publish_is_let_in_and_a_second_one_is_told_of_the_conflict() -> None:
    node = Node()
    doorkeeper = Doorkeeper(node.directory, IngestLimits())
    assert doorkeeper.rejection("::1", KEY.encode()) is None
    node.delivering.add("ls_1")
    rejection = doorkeeper.rejection("::1", KEY.encode())
    assert rejection is not None and rejection.code is Reject.CONFLICT


def test_a_full_node_refuses_newcomers_but_not_who_has_a_session() -> None:
    node = Node()
    doorkeeper = Doorkeeper(node.directory, IngestLimits())
    node.directory.full = True
    rejection = doorkeeper.rejection("::1", KEY.encode())
    assert rejection is not None and rejection.knew_key
    assert (rejection.code, rejection.reason) == (Reject.OVERLOAD, "full")
    node.directory.replace_hosts({"ls_1": "node_here"})
    assert doorkeeper.rejection("::1", KEY.encode()) is None


def test_an_unsure_directory_lets_in() -> None:
    doorkeeper = Doorkeeper(Node(following=False).directory, IngestLimits())
    assert doorkeeper.rejection("::1", b"sk_whatever") is None


def test_handshakes_from_one_address_are_limited_and_others_are_not() -> None:
    doorkeeper = Doorkeeper(Node().directory, IngestLimits(srt_handshakes_per_ip_per_s=3))
    answers = [doorkeeper.rejection("192.0.2.1", KEY.encode()) for _ in range(4)]
    assert answers[:3] == [None] * 3
    assert answers[3] is not None and answers[3].code is Reject.OVERLOAD
    assert doorkeeper.rejection("192.0.2.2", KEY.encode()) is None


def test_an_address_that_guesses_keys_is_slowed_and_others_are_not() -> None:
    doorkeeper = Doorkeeper(Node().directory, IngestLimits(failures_per_ip=3, failures_per_ip_per_s=0.0))
    answers = [doorkeeper.rejection("192.0.2.1", b"sk_guess%d" % number) for number in range(4)]
    assert [answer.reason for answer in answers if answer] == ["wrong_key"] * 3 + ["too_many_failures"]
    slowed = doorkeeper.rejection("192.0.2.1", KEY.encode())
    assert slowed is not None and slowed.code is Reject.OVERLOAD
    assert doorkeeper.rejection("192.0.2.2", KEY.encode()) is None

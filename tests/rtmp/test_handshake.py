from __future__ import annotations

import pytest

from ingest.rtmp.errors import ProtocolError
from ingest.rtmp.handshake import Handshake

C1 = bytes(range(256)) * 6
CLIENT = bytes([3]) + C1 + bytes(1536)


@pytest.mark.parametrize("step", [1, 7, 1537, 5000])
def test_answers_once_and_leaves_what_follows(step: int) -> None:
    handshake = Handshake(random_bytes=lambda size: b"r" * size)
    sent, rest = b"", b""
    data = CLIENT + b"more"
    for start in range(0, len(data), step):
        answer, left = handshake.receive_data(memoryview(data)[start : start + step])
        sent += answer
        rest += left
    assert handshake.done
    assert sent == bytes([3]) + bytes(8) + b"r" * 1528 + C1
    assert rest == b"more"


def test_s2_goes_out_before_c2_is_there() -> None:
    handshake = Handshake()
    answer, _ = handshake.receive_data(memoryview(CLIENT[:1537]))
    assert len(answer) == 3073
    assert not handshake.done


@pytest.mark.parametrize("version", [0, 6, ord("G")])
def test_other_versions_are_refused_at_the_first_byte(version: int) -> None:
    with pytest.raises(ProtocolError, match=f"version {version}, supported is 3"):
        Handshake().receive_data(memoryview(bytes([version])))

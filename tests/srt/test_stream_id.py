from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.srt.stream_id import Fault, StreamIdError, parse_stream_id

KEY = "sk_0123456789ABCDEFGHIJKLMNOPqr"

TAKEN = [
    f"#!::r=live/{KEY},m=publish",
    f"#!::m=publish,r=live/{KEY}",
    f"#!::r={KEY},m=publish",
    f"#!::r=/live/{KEY},m=publish",
    f"#!::r=live/{KEY}",
    f"#!::h=example.com,u=somebody,r=live/{KEY},m=publish,t=stream,s=17",
    f"#!::bmd_uuid=1234,bmd_name=My Deck,r=live/{KEY},m=publish",
    f"#!::r=live/{KEY},m=PUBLISH",
    f"#!::R=live/{KEY},M=publish",
    f"#!::r=live/{KEY},r=live/other,m=publish",
    f"#!::r=live/{KEY}?from=somewhere,m=publish",
    f"live/{KEY}",
    f"/live/{KEY}",
    f"live/{KEY}/",
    f"live/{KEY}?a=b",
    KEY,
    f"publish:live/{KEY}",
    f"publish:{KEY}",
    f'"{KEY}"',
    f"{KEY}\x00",
]

REFUSED = [
    ("", Fault.NO_KEY),
    ("live", Fault.NO_KEY),
    ("live/", Fault.NO_KEY),
    ("/", Fault.NO_KEY),
    ("publish:", Fault.NO_KEY),
    ("publish:live/", Fault.NO_KEY),
    ("#!::", Fault.NO_KEY),
    ("#!::m=publish", Fault.NO_KEY),
    ("#!::r=,m=publish", Fault.NO_KEY),
    (f"live/{KEY}/more", Fault.NO_KEY),
    (f"other/{KEY}", Fault.UNKNOWN_APP),
    (f"#!::r=other/{KEY},m=publish", Fault.UNKNOWN_APP),
    (f"#!::r=live/{KEY},m=request", Fault.NOT_PUBLISH),
    (f"#!::r=live/{KEY},m=bidirectional", Fault.NOT_PUBLISH),
    (f"#!::r=live/{KEY},m=", Fault.NOT_PUBLISH),
    (f"read:live/{KEY}", Fault.NOT_PUBLISH),
    (f"request:{KEY}", Fault.NOT_PUBLISH),
    (f"#!::r=live/{KEY},m=publish,t=file", Fault.NOT_STREAM),
    (f"#!:{{r=live/{KEY}}}", Fault.MALFORMED),
    ("#!", Fault.MALFORMED),
    ("x" * 513, Fault.TOO_LONG),
]


@pytest.mark.parametrize("text", TAKEN)
@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "percent-encoded"])
def test_the_key_is_found(text: str, encoded: bool) -> None:
    raw = quote(text, safe="") if encoded else text
    assert parse_stream_id(raw.encode()).key == KEY


@pytest.mark.parametrize(("text", "fault"), REFUSED)
def test_what_names_no_stream_is_refused(text: str, fault: Fault) -> None:
    with pytest.raises(StreamIdError) as refused:
        parse_stream_id(text.encode())
    assert refused.value.fault is fault
    assert KEY not in str(refused.value)


def test_512_bytes_are_read() -> None:
    text = f"#!::r=live/{KEY},m=publish,x="
    assert parse_stream_id((text + "y" * (512 - len(text))).encode()).key == KEY


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(parse_stream_id(KEY.encode()))


PIECES = st.sampled_from(
    ["#!::", "#!:", "r=", "m=", "t=", ",", "=", "live/", "publish", "request", ":", "%23", "%", KEY]
)


@given(st.one_of(st.binary(max_size=600), st.lists(PIECES, max_size=12).map(lambda parts: "".join(parts).encode())))
def test_any_bytes_give_a_key_or_our_error(raw: bytes) -> None:
    try:
        key = parse_stream_id(raw).key
    except StreamIdError:
        return
    assert key
    assert "/" not in key

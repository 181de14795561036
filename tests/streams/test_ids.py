"""Ids and stream keys."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import ids


def test_ids_are_a_prefix_and_a_lower_case_ulid() -> None:
    for new, is_one, prefix in (
        (ids.new_stream_id, ids.is_stream_id, "ls_"),
        (ids.new_edge_id, ids.is_edge_id, "lse_"),
        (ids.new_session_id, ids.is_session_id, "se_"),
    ):
        made = {new() for _ in range(1000)}
        assert len(made) == 1000
        assert all(is_one(one) and one.startswith(prefix) and len(one) == len(prefix) + 26 for one in made)


def test_neighbours_of_an_id_cannot_be_guessed() -> None:
    # Ids of one millisecond share the first ten characters; the rest is random and does not count up.
    made = [ids.new_edge_id() for _ in range(2000)]
    tails = [int(one[-8:].translate(_CROCKFORD_TO_BASE32), 32) for one in made]
    assert not any(after - before == 1 for before, after in itertools.pairwise(tails))


_CROCKFORD_TO_BASE32 = str.maketrans("0123456789abcdefghjkmnpqrstvwxyz", "0123456789abcdefghijklmnopqrstuv")


def test_a_stream_key_fits_every_encoder_and_needs_no_escaping() -> None:
    keys = {ids.new_stream_key() for _ in range(1000)}
    assert len(keys) == 1000
    for key in keys:
        assert re.fullmatch(r"sk_[0-9A-Za-z]{28}", key)
        assert len(key) <= 32
        assert ids.is_stream_key(key)


def test_key_hash_is_sha256_in_hex() -> None:
    assert ids.key_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(st.text(st.characters(codec=None)))
def test_key_hash_takes_any_text(text: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", ids.key_hash(text))


def test_key_hash_takes_a_lone_surrogate() -> None:
    assert ids.key_hash("\udc80") != ids.key_hash("\\udc80")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ls_",
        "ls_01JPP00000000000000000000A",
        "ls_8zzzzzzzzzzzzzzzzzzzzzzzzz",
        "ls_0000000000000000000000000i",
        "lse_00000000000000000000000000",
        "ls_00000000000000000000000000\n",
        "ls_000000000000000000000000000",
    ],
)
def test_what_is_no_stream_id(text: str) -> None:
    assert not ids.is_stream_id(text)


@pytest.mark.parametrize("text", ["", "sk_", "sk_" + "a" * 27, "sk_" + "a" * 29, "sk_" + "-" * 28, "SK_" + "a" * 28])
def test_what_is_no_stream_key(text: str) -> None:
    assert not ids.is_stream_key(text)

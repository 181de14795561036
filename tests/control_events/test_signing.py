"""Signatures by the Standard Webhooks specification."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from control.webhooks.signing import new_secret, signature, signed_headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_example_of_the_specification() -> None:
    signed = signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_every_secret_signs() -> None:
    first, second = new_secret(), new_secret()
    assert first != second
    headers = signed_headers([first, second], "ev_1", 17, b"{}")
    expected = [
        "v1,"
        + base64.b64encode(
            hmac.new(base64.b64decode(secret[len("whsec_") :]), b"ev_1.17.{}", hashlib.sha256).digest()
        ).decode()
        for secret in (first, second)
    ]
    assert headers["webhook-signature"].split(" ") == expected
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("ev_1", "17")


@pytest.mark.parametrize("secret", ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!"])
def test_what_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError):
        signature(secret, "ev_1", 17, b"{}")

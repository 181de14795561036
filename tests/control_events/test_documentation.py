"""The example of docs/events-and-webhooks.md does what it says."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from control.webhooks.signing import new_secret, signed_headers

PAGE = Path(__file__).parents[2] / "docs/events-and-webhooks.md"


@pytest.fixture
def verify() -> Callable[[str, dict[str, str], bytes], None]:
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    function: Callable[[str, dict[str, str], bytes], None] = names["verify"]
    return function


def test_a_delivery_is_verified(verify: Callable[[str, dict[str, str], bytes], None]) -> None:
    old, new = new_secret(), new_secret()
    headers = signed_headers([new, old], "ev_1", int(time.time()), b'{"seq":1}')
    for secret in (old, new):
        verify(secret, headers, b'{"seq":1}')


@pytest.mark.parametrize("spoilt", ["body", "secret", "id", "time"])
def test_what_is_not_from_here_is_refused(verify: Callable[[str, dict[str, str], bytes], None], spoilt: str) -> None:
    secret = new_secret()
    sent_s = int(time.time()) - (600 if spoilt == "time" else 0)
    headers = signed_headers([secret], "ev_1", sent_s, b"{}")
    if spoilt == "id":
        headers["webhook-id"] = "ev_2"
    with pytest.raises(ValueError, match="old" if spoilt == "time" else "signature"):
        verify(new_secret() if spoilt == "secret" else secret, headers, b"[]" if spoilt == "body" else b"{}")

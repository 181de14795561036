from __future__ import annotations

import pytest

from ingest.rtmp.stream_name import app_name, stream_key

URL = "rtmp://example.org:1935/live"


@pytest.mark.parametrize(
    ("app", "tc_url", "name"),
    [
        ("live", URL, "sk_1"),
        ("live", URL, "sk_1?token=a/b"),
        ("live", URL, "sk_1#part"),
        ("live", URL, " 'sk_1' "),
        ("live", URL, "/sk_1/"),
        ("live", URL, "?sk_1"),
        ("live", URL, "?sk_1&token=a"),
        ("", "rtmp://example.org", "live/sk_1"),
        ("live/sk_1", URL, ""),
        ("live/sk_1", URL, "?token=a"),
        ("live/sk_1?token=a", URL, ""),
        ("live/_definst_", URL, "sk_1"),
        ("live/_definst_/sk_1", URL, ""),
        ("live", URL + "/sk_1", ""),
        ("live", URL + "/sk_1?token=a", "?token=a"),
        ("live", f'"{URL}/sk_1"', ""),
    ],
)
def test_key(app: str, tc_url: str, name: str) -> None:
    assert stream_key(app, tc_url, name) == "sk_1"


@pytest.mark.parametrize(
    ("app", "tc_url", "name"),
    [("live", URL, ""), ("", "", ""), ("live", URL, "?token=a"), ("live/", URL + "/", "//"), ("live", "no url", "#")],
)
def test_no_key(app: str, tc_url: str, name: str) -> None:
    assert stream_key(app, tc_url, name) == ""


@pytest.mark.parametrize(
    ("app", "tc_url", "expected"),
    [
        ("live", "", "live"),
        ("/live/", "", "live"),
        ("live?token=a", "", "live"),
        ("live/sk_1", "", "live"),
        ("", URL, "live"),
        ("", f"'{URL}?a=b'", "live"),
        ("other", URL, "other"),
        ("", "rtmp://example.org", ""),
    ],
)
def test_app(app: str, tc_url: str, expected: str) -> None:
    assert app_name(app, tc_url) == expected

"""Where encoders put the stream key: in the stream name, the app, or tcUrl; with queries, quotes and fragments."""

from __future__ import annotations

import re

APP = "live"
_DEFAULT_INSTANCE = "_definst_"


def app_name(app: str, tc_url: str) -> str:
    """The application that the encoder asks for, empty when it names none. Only the first path element counts."""
    return (_elements(app) or _elements(_url_path(tc_url)) or [""])[0]


def stream_key(app: str, tc_url: str, name: str) -> str:
    """The key, empty when there is none.

    The stream name decides, if it holds more than a query; else what follows the app in `app`, then in `tc_url`.
    A name that is nothing but `?key` is taken at last.
    """
    for elements in (_elements(name), _elements(app)[1:], _elements(_url_path(tc_url))[1:]):
        if elements:
            return elements[-1]
    bare = re.fullmatch(r"\?+([^?&#=/]+)([?&#].*)?", _unquoted(name))
    return bare[1] if bare else ""


def _elements(path: str) -> list[str]:
    """The path elements without query and fragment."""
    path = re.split(r"[?#]", _unquoted(path), maxsplit=1)[0]
    return [element for element in path.split("/") if element and element != _DEFAULT_INSTANCE]


def _url_path(url: str) -> str:
    _, _, after_scheme = _unquoted(url).partition("://")
    _, _, path = after_scheme.partition("/")
    return path


def _unquoted(text: str) -> str:
    return text.strip().strip("\"'").strip()

"""Requests of the checker: playlists with delivery directives, and media."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from packager.conformance.findings import Findings
from packager.conformance.playlist_rules import READABLE
from packager.conformance.response_rules import ANSWER, Answer
from packager.conformance.rules import Violation, new_rule
from packager.conformance.text import NotAPlaylist, ReadMultivariant, ReadPlaylist, read_playlist

_TIMEOUT_S = 60.0
_MAX_BYTES = 64 << 20
_AVAILABLE = new_rule(
    "6.2.1", "what-is-listed-is-there", "MUST", "A segment or part can be downloaded once a playlist lists it."
)


class CheckFailed(Exception):
    """There is nothing to check, or the origin does not answer. The message is one line for a person."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer to a request for a playlist; `problem` says why it could not be read."""

    status: int
    headers: dict[str, str]
    parsed: ReadPlaylist | ReadMultivariant | None
    problem: str


@dataclass(frozen=True, slots=True)
class Hinted:
    """The answer to a request for a hinted part; `sending_s` from the first byte of a chunked body to its last."""

    status: int
    body: bytes
    sending_s: float


class Fetcher:
    """An HTTP client that checks what it gets."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        timeout = aiohttp.ClientTimeout(total=None, sock_read=_TIMEOUT_S, sock_connect=10)
        self._http = aiohttp.ClientSession(
            timeout=timeout, auto_decompress=True, connector=aiohttp.TCPConnector(limit=100)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def get(self, url: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
        """Status, headers with names in lower case, and body. Raises `CheckFailed`."""
        try:
            async with self._http.get(URL(url, encoded=True), headers=headers) as response:
                body = await response.content.read(_MAX_BYTES) if response.content_length != 0 else b""
                while chunk := await response.content.read(_MAX_BYTES):
                    body += chunk
                    if len(body) > _MAX_BYTES:
                        raise CheckFailed(f"{url}: the body exceeds {_MAX_BYTES} bytes")
                return response.status, {name.lower(): value for name, value in response.headers.items()}, body
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise CheckFailed(f"{url}: {type(error).__name__}: {error}") from error

    async def playlist(
        self, url: str, *, msn: int | None = None, part: int | None = None, skip: bool = False
    ) -> Fetched:
        """A playlist, asked for with these directives, and checked as an answer."""
        directives = {"_HLS_msn": msn, "_HLS_part": part, "_HLS_skip": "YES" if skip else None}
        query = {name: str(value) for name, value in directives.items() if value is not None}
        asked = str(URL(url, encoded=True).update_query(query)) if query else url
        status, headers, body = await self.get(asked, {"Accept-Encoding": "gzip"})
        if status != 200:
            return Fetched(status, headers, None, f"status {status}")
        try:
            parsed = read_playlist(body.decode("utf-8"))
        except (NotAPlaylist, UnicodeDecodeError) as error:
            self.findings.add([Violation(READABLE, f"{asked}: {error}")])
            return Fetched(status, headers, None, str(error))
        self.findings.looked_at["playlists"] += 1
        media = parsed if isinstance(parsed, ReadPlaylist) else None
        answer = Answer(url=asked, status=status, headers=headers, playlist=media, msn=msn, part=part, skip=skip)
        self.findings.add(ANSWER.check(answer))
        return Fetched(status, headers, parsed, "")

    async def hinted(self, url: str) -> Hinted:
        """A part that is hinted at: asked for before it exists, so the answer may take a while."""
        try:
            async with self._http.get(URL(url, encoded=True)) as response:
                first = await response.content.read(1)
                begun_s = time.monotonic()
                body = first + await response.content.read(-1)
                chunked = response.headers.get("Transfer-Encoding") == "chunked"
                return Hinted(response.status, body, time.monotonic() - begun_s if chunked else 0.0)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise CheckFailed(f"{url}: {type(error).__name__}: {error}") from error

    async def media(self, url: str, what: str) -> bytes | None:
        """An init segment, a part or a segment that is listed; None, and a violation, when it is not there."""
        status, _headers, body = await self.get(url)
        if status != 200:
            self.findings.add([Violation(_AVAILABLE, f"{url}: status {status}")])
            return None
        self.findings.looked_at[what] += 1
        return body

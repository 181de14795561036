"""Counts what HTTP clients ask for and get, where aiohttp would write an access log."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator

from aiohttp import hdrs, web
from aiohttp.abc import AbstractAccessLogger
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from config.families import counters, histograms
from config.measures import Durations
from packager.elsewhere import PROXIED
from packager.held_requests import Answers
from packager.hot_media import HotMedia
from packager.viewers import NO_RENDITION, Viewers

_BODILESS = frozenset({204, 304})


class RequestMeter(Collector):
    """The requests of one process. `kind` is api, playlist, media or other."""

    def __init__(self) -> None:
        self.viewers = Viewers()
        self.hot: HotMedia | None = None
        """What is answered before aiohttp sees the request."""
        self._requests: Counter[tuple[str, str]] = Counter()
        self._bytes: Counter[str] = Counter()
        self._durations: defaultdict[str, Durations] = defaultdict(Durations)

    def count(self, request: web.BaseRequest, response: web.StreamResponse, took_s: float) -> None:
        """One that is answered."""
        kind = _kind(request.path)
        self._requests[kind, f"{response.status // 100}xx"] += 1
        self._durations[kind].observe(took_s)
        if request.method != hdrs.METH_HEAD and response.status not in _BODILESS:
            # A file that the kernel sends is in its length only.
            self._bytes[kind] += response.content_length or response.body_length
        headers = request.headers
        # What another node has passed on is counted there.
        if kind == "playlist" and response.status < 400 and PROXIED not in headers:
            _, tree, edge_id, *below = request.path.split("/")
            if tree == "live":
                rendition = below[1] if len(below) == 3 else NO_RENDITION
                agent = headers.get(hdrs.USER_AGENT)
                self._seen(edge_id, rendition, request.remote, headers.get("X-Forwarded-For"), agent)

    def count_held(self, answers: Answers) -> None:
        """Requests that waited and were answered before aiohttp saw them."""
        self._requests[answers.kind, f"{answers.status // 100}xx"] += len(answers.asked)
        self._bytes[answers.kind] += answers.size_bytes * len(answers.asked)
        durations = self._durations[answers.kind]
        for asked in answers.asked:
            durations.observe(answers.at_s - asked.at_s)
            headers = asked.headers
            if answers.kind == "playlist" and answers.status < 400:
                agent = headers.user_agent
                self._seen(answers.edge_id, answers.rendition, asked.address, headers.forwarded_for, agent)

    def _seen(
        self, edge_id: str, rendition: str, address: str | None, forwarded_for: str | None, user_agent: str | None
    ) -> None:
        # A cache in front, if it says so, asks for many.
        self.viewers.seen(hash((forwarded_for or address, user_agent, edge_id)), edge_id, rendition)

    def describe(self) -> list[Metric]:
        """None in advance."""
        return []

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        requests, sent_bytes = self._requests, self._bytes
        if self.hot is not None:
            requests = requests + Counter({("media", "2xx"): self.hot.answers})
            sent_bytes = sent_bytes + Counter({"media": self.hot.answered_bytes})
        yield counters("http_requests", "requests answered", ("kind", "status"), requests)
        yield counters("http_sent_bytes", "bytes of bodies sent", ("kind",), sent_bytes)
        yield histograms(
            "http_request_seconds", "request to answer; playlists wait for news", ("kind",), self._durations
        )

    def access_logger(self) -> type[AbstractAccessLogger]:
        """The class that aiohttp is to tell of each request."""
        meter = self

        class Meter(AbstractAccessLogger):
            def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
                meter.count(request, response, time)

        return Meter


LOGGER = logging.getLogger("antlive.requests")
"""aiohttp tells nobody without one."""


def _kind(path: str) -> str:
    if path.startswith(("/live/", "/vod/")):
        return "playlist" if path.endswith(".m3u8") else "media"
    return "api" if path.startswith("/v1/") else "other"

"""Each rule of answers can fail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from packager.conformance.response_rules import (
    ANSWER,
    HINTED,
    PROBE_400,
    PROBE_404,
    PROBE_FAR,
    PROBE_MEDIA,
    REPORTS,
    Answer,
    Probe,
)
from tests.conformance.playlists import delta, good, media

GOOD = Answer(
    url="http://origin.example/v/media.m3u8?_HLS_msn=20&_HLS_part=1",
    status=200,
    headers={
        "content-type": "application/vnd.apple.mpegurl",
        "content-encoding": "gzip",
        "access-control-allow-origin": "*",
        "cache-control": "public, max-age=2",
    },
    playlist=media(good()),
    msn=20,
    part=1,
)
LONG = media(good(first=8))
BROKEN = {
    "a-blocking-request-is-answered-when-the-playlist-has-it": replace(GOOD, part=2),
    "a-delta-update-comes-only-when-asked-for": replace(GOOD, playlist=media(delta())),
    "a-delta-update-is-given-when-asked-for": replace(GOOD, playlist=LONG, skip=True),
    "playlists-are-gzipped": replace(GOOD, headers={**GOOD.headers, "content-encoding": ""}),
    "playlists-have-their-type": replace(
        GOOD, url="http://origin.example/playlist", headers={**GOOD.headers, "content-type": "text/plain"}
    ),
    "any-page-may-read-it": replace(GOOD, headers={**GOOD.headers, "access-control-allow-origin": "https://a.example"}),
    "live-playlists-are-not-cached-for-long": replace(GOOD, headers={**GOOD.headers, "cache-control": "max-age=60"}),
}


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        replace(GOOD, msn=19, part=None),
        replace(GOOD, msn=19, part=9),
        replace(GOOD, playlist=media(good(ended=True)), msn=99, headers={**GOOD.headers, "cache-control": ""}),
        replace(GOOD, playlist=media(delta()), skip=True),
        replace(GOOD, status=400, playlist=None),
        replace(GOOD, headers={**GOOD.headers, "cache-control": "no-cache, max-age=99"}),
    ],
)
def test_a_good_answer_breaks_no_rule(answer: Answer) -> None:
    assert [str(violation) for violation in ANSWER.check(answer)] == []


@pytest.mark.parametrize("rule", BROKEN)
def test_a_rule_of_answers_can_fail(rule: str) -> None:
    assert [violation.rule.name for violation in ANSWER.check(BROKEN[rule])] == [rule]


@pytest.mark.parametrize(("msn", "part"), [(20, None), (21, None), (20, 2), (21, 0), (999, None)])
def test_no_request_is_answered_early(msn: int, part: int | None) -> None:
    early = replace(GOOD, msn=msn, part=part)
    assert [v.rule.name for v in ANSWER.check(early)] == ["a-blocking-request-is-answered-when-the-playlist-has-it"]


PROBES = {
    "a-part-without-a-segment-is-refused": (PROBE_400, 200),
    "what-is-too-far-ahead-is-refused": (PROBE_FAR, 200),
    "what-is-not-there-is-not-found": (PROBE_404, 200),
    "media-are-served-by-ranges": (PROBE_MEDIA, 200),
}


@pytest.mark.parametrize("rule", PROBES)
def test_a_rule_of_probes_can_fail(rule: str) -> None:
    rules, status = PROBES[rule]
    probe = Probe(what="probe", expected=(404,), status=status, max_age_s=None)
    assert [violation.rule.name for violation in rules.check(probe)] == [rule]
    assert not list(rules.check(replace(probe, status=404)))


def test_an_error_that_is_cached_for_long_is_noticed() -> None:
    probe = Probe(what="probe", expected=(404,), status=404, max_age_s=3600)
    assert [violation.rule.name for violation in PROBE_404.check(probe)] == ["what-is-not-there-is-not-found"]


HINTS = {"a-hinted-part-can-be-requested": (404, 0.0), "a-part-is-sent-when-it-is-whole": (200, 0.3)}


@pytest.mark.parametrize("rule", HINTS)
def test_a_rule_of_hinted_parts_can_fail(rule: str) -> None:
    assert not list(HINTED.check("part", 200, 0.01, 0.5))
    assert [violation.rule.name for violation in HINTED.check("part", *HINTS[rule], 0.5)] == [rule]


RULE_OF_REPORTS = "reports-are-as-new-as-their-playlist"


@pytest.mark.parametrize(
    ("known", "broken"),
    [
        ((20, 2), False),
        ((20, 1), False),
        ((20, 0), False),
        ((21, 0), False),
        ((20, 3), True),
        ((21, 1), True),
        ((22, 0), True),
    ],
)
def test_a_report_that_is_older_than_its_playlist_is_noticed(known: tuple[int, int], broken: bool) -> None:
    """The report says that part 20.1 is the last, and may not know yet that segment 20 is complete."""
    found = [violation.rule.name for violation in REPORTS.check("v", media(good()), {"../a/media.m3u8": known})]
    assert found == ([RULE_OF_REPORTS] if broken else [])

"""What the dependency audit makes of the answers of pip-audit and npm; the services themselves are not asked."""

from __future__ import annotations

import pytest

from scripts.audit import NotAsked, ignored, of_npm, of_pip


def test_what_pip_audit_reports() -> None:
    report = {
        "dependencies": [
            {"name": "good", "version": "1", "vulns": []},
            {"name": "bad", "version": "2", "vulns": [{"id": "PYSEC-1"}, {"id": "PYSEC-2"}]},
            {"name": "strange", "skip_reason": "not found"},
        ]
    }
    assert of_pip(report) == ({"PYSEC-1": "bad 2", "PYSEC-2": "bad 2"}, 2, 1)


def test_what_npm_reports() -> None:
    advisory = {"url": "https://github.com/advisories/GHSA-1-2-3"}
    report = {"vulnerabilities": {"hls.js": {"via": [advisory]}, "uses-it": {"via": ["hls.js"]}}}
    assert of_npm(report) == {"GHSA-1-2-3": "hls.js"}
    assert of_npm({"vulnerabilities": {}}) == {}


@pytest.mark.parametrize(
    "report", [{"error": {"summary": "405 Method Not Allowed"}}, {"message": "405 Method Not Allowed", "error": {}}]
)
def test_a_service_that_cannot_be_asked_is_no_good_news(report: dict[str, object]) -> None:
    with pytest.raises(NotAsked, match="405"):
        of_npm(report)


def test_what_is_ignored_has_a_reason() -> None:
    assert ignored("# all of them\n\nPYSEC-1  only with a setting that nobody has\n") == {"PYSEC-1"}
    with pytest.raises(ValueError, match="PYSEC-2 is ignored without a reason"):
        ignored("PYSEC-2\n")

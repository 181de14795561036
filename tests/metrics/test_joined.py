"""Pages of several processes become one."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from antlive.metrics_text import joined


def page_of(role: str, *own: str) -> str:
    registry = CollectorRegistry()
    Counter("shared", "of all, with a\nsecond line", ["role"], registry=registry).labels(role).inc(2)
    Gauge("unused", "without a sample", ["role"], registry=registry)
    Histogram("taken_seconds", "of all", ["role"], registry=registry).labels(role).observe(0.1)
    for name in own:
        Gauge(name, "its own", registry=registry).set(1)
    return generate_latest(registry).decode()


def samples_of(page: str) -> dict[str, set[str]]:
    return {family.name: {str(sample) for sample in family.samples} for family in text_string_to_metric_families(page)}


def test_a_family_has_the_samples_of_all_pages_and_one_head() -> None:
    pages = [page_of("web", "a"), page_of("ingest", "b"), page_of("recorder")]
    page = joined([*pages, ""])
    each = [samples_of(one) for one in pages]
    for name, samples in samples_of(page).items():
        assert samples == set().union(*(one.get(name, set()) for one in each)), name
    assert set(samples_of(page)) == set().union(*each) >= {"a", "b"}
    heads = [line.split()[2] for line in page.splitlines() if line.startswith("# HELP")]
    assert len(heads) == len(set(heads)) and page.endswith("\n") and "\n\n" not in page
    assert joined([page]) == page and joined([]) == joined([""]) == ""


@pytest.mark.parametrize("page", ["<html>", "antlive_x 1\n# HELP a b\n# TYPE a gauge\na 1\n"])
def test_what_is_no_page_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="begins with"):
        joined([page])

"""Prometheus metric families of plain numbers: all of antlive's are named `antlive_…`.

A key is the value of the one label, or the tuple of all values, from a known set: none is an id or an address.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from config.measures import Durations


def gauge(name: str, text: str, value: float) -> Metric:
    """One number."""
    return GaugeMetricFamily(f"antlive_{name}", text, value)


def counter(name: str, text: str, value: float) -> Metric:
    """One number that only grows; its name gets `_total`."""
    return CounterMetricFamily(f"antlive_{name}", text, value)


def gauges(name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    """A gauge by its labels."""
    family = GaugeMetricFamily(f"antlive_{name}", text, labels=labels)
    for key, value in values.items():
        family.add_metric(_labels(key), value)
    return family


def counters(name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    """A counter by its labels; its name gets `_total`."""
    family = CounterMetricFamily(f"antlive_{name}", text, labels=labels)
    for key, value in values.items():
        family.add_metric(_labels(key), value)
    return family


def histograms(name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, Durations]) -> Metric:
    """A histogram of durations by its labels."""
    family = HistogramMetricFamily(f"antlive_{name}", text, labels=labels)
    for key, taken in values.items():
        family.add_metric(_labels(key), taken.cumulative(), taken.sum_s)
    return family


def _labels(key: object) -> list[str]:
    return [str(part) for part in key] if isinstance(key, tuple) else [str(key)]

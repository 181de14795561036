"""No rule is without a test that breaks it."""

from __future__ import annotations

from packager.conformance import follow, guard
from packager.conformance.rules import ALL_RULES
from tests.conformance import test_follow, test_media_rules, test_playlist_rules, test_response_rules

assert follow and guard  # they import every rule


def test_every_rule_is_seen_to_fail() -> None:
    seen = {"a-delta-update-counts-what-it-skips", "media-are-fragmented-mp4", test_response_rules.RULE_OF_REPORTS}
    seen |= set(test_playlist_rules.BROKEN) | set(test_playlist_rules.UPDATES)
    seen |= set(test_playlist_rules.MULTIVARIANTS) | set(test_playlist_rules.PRESENTATIONS)
    seen |= set(test_media_rules.BROKEN) | set(test_media_rules.OTHERS)
    seen |= set(test_response_rules.BROKEN) | set(test_response_rules.PROBES) | set(test_response_rules.HINTS)
    seen |= test_follow.RULES
    assert seen == set(ALL_RULES)


def test_every_rule_says_what_it_wants() -> None:
    for rule in ALL_RULES.values():
        assert rule.says.endswith(".") and rule.section, rule

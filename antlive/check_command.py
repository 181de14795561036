"""`antlive check URL`: does an origin, ours or another, keep to the rules of LL-HLS?"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from config.settings import Settings


def add_check_parser(commands: Any) -> None:
    """Add the command to the parser's sub-commands."""
    check = commands.add_parser("check", help="follow a playlist of any LL-HLS origin and say which rules it breaks")
    check.add_argument("url", help="URL of a multivariant or media playlist")
    check.add_argument(
        "--seconds", type=float, default=20.0, help="how long to follow, 1 to 86400 (default %(default)s)"
    )
    check.add_argument("--rules", action="store_true", help="list all rules after the report")
    check.set_defaults(run=_check)


def _check(settings: Settings, options: argparse.Namespace) -> int:
    """Exit code: 0 when nothing but advice is not followed, 1 when a rule is broken, 2 when there is no playlist."""
    from packager.conformance.follow import check_origin
    from packager.conformance.http import CheckFailed
    from packager.conformance.rules import ALL_RULES

    if not 1 <= options.seconds <= 86400:
        print(f"antlive check: --seconds {options.seconds} is not from 1 to 86400", file=sys.stderr)
        return 2
    try:
        findings = asyncio.run(check_origin(options.url, options.seconds))
    except CheckFailed as error:
        print(f"antlive check: {error}", file=sys.stderr)
        return 2
    print(findings.report())
    if options.rules:
        print()
        for rule in sorted(ALL_RULES.values(), key=lambda rule: (rule.section, rule.name)):
            print(f"{rule.section:9} {rule.level:6} {rule.name}: {rule.says}")
    return 1 if findings.failed else 0

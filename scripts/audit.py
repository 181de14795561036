"""Known vulnerabilities in what is installed: Python packages by pip-audit, npm packages by `npm audit`.

Fails only for what is found and not in `audit-ignore.txt`. Where a service can't be asked, it says so, and nothing
fails: a network that is not there is no reason to stop work. Usage: `python scripts/audit.py`
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
IGNORED = ROOT / "audit-ignore.txt"
_TIMEOUT_S = 90


class NotAsked(Exception):
    """The service gave no answer; the text says which way."""


def of_pip(report: Mapping[str, Any]) -> tuple[dict[str, str], int, int]:
    """Vulnerabilities (id → package and version), packages that were audited, packages that could not be."""
    packages = report["dependencies"]
    found = {
        vulnerability["id"]: f"{package['name']} {package['version']}"
        for package in packages
        for vulnerability in package.get("vulns", ())
    }
    skipped = sum("skip_reason" in package for package in packages)
    return found, len(packages) - skipped, skipped


def of_npm(report: Mapping[str, Any]) -> dict[str, str]:
    """Vulnerabilities (id → package). Raises `NotAsked`."""
    if "error" in report or "vulnerabilities" not in report:
        raise NotAsked(str(report.get("error", {}).get("summary") or report.get("message") or "no answer"))
    return {
        str(via["url"]).rpartition("/")[2]: name
        for name, package in report["vulnerabilities"].items()
        for via in package["via"]
        if isinstance(via, dict)
    }


def ignored(text: str) -> set[str]:
    """The ids of a file with `ID  why it does not concern us` on each line. `ValueError` for one without a reason."""
    ids = set()
    for line in text.splitlines():
        if not (entry := line.partition("#")[0].strip()):
            continue
        identifier, _, reason = entry.partition(" ")
        if not reason.strip():
            raise ValueError(f"{IGNORED.name}: {identifier} is ignored without a reason")
        ids.add(identifier)
    return ids


def _report(command: list[str]) -> Any:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        return json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise NotAsked(f"no answer within {_TIMEOUT_S} s") from None
    except (OSError, json.JSONDecodeError) as error:
        raise NotAsked(type(error).__name__) from None


def _pip() -> dict[str, str]:
    requirements = ["--requirement", "constraints.txt", "--no-deps", "--disable-pip"]
    program = str(Path(sys.executable).parent / "pip-audit")
    report = _report([program, *requirements, "--format", "json", "--progress-spinner", "off", "--timeout", "10"])
    found, audited, skipped = of_pip(report)
    if audited == 0:
        raise NotAsked(f"it knows none of the {skipped} packages")
    print(f"audit: {audited} Python packages, {skipped} of them unknown to the service")
    return found


def _npm() -> dict[str, str]:
    found = of_npm(_report(["npm", "audit", "--omit=dev", "--json"]))
    print("audit: npm packages")
    return found


def main() -> int:
    """Exit code 1 when something was found."""
    known = ignored(IGNORED.read_text()) if IGNORED.is_file() else set()
    failed = False
    for name, audit in (("Python", _pip), ("npm", _npm)):
        try:
            found = audit()
        except NotAsked as error:
            print(f"audit: {name} packages NOT audited: the service can't be asked ({error})")
            continue
        for identifier, package in sorted(found.items()):
            if identifier not in known:
                print(f"audit: {package}: {identifier}")
                failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""Pages of metrics joined as text. Parsing them and writing all anew took most of a scrape's time."""

from __future__ import annotations

from collections.abc import Iterable

_HELP = "\n# HELP "


def joined(pages: Iterable[str]) -> str:
    """One page in the text format of Prometheus: a family that is on several pages has the samples of all of them.

    Raises `ValueError` for a page that does not begin with a family.
    """
    families: dict[str, list[str]] = {}
    for page in pages:
        before, *blocks = f"\n{page.strip()}".split(_HELP) if page else [""]
        if before:
            raise ValueError(f"a page of metrics begins with {before[:32]!r}")
        for block in blocks:
            name = block.partition(" ")[0]
            if (samples := families.get(name)) is None:
                families[name] = [block]
            else:
                samples += block.split("\n", 2)[2:]  # without HELP and TYPE
    return "".join("# HELP " + "\n".join(samples) + "\n" for samples in families.values())

"""`make fuzz`: every target for a while, with a fuzzer that follows coverage. Finds are kept in `finds/`.

python -m tests.fuzz [SECONDS] [TARGET …]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.targets import SEEDS, TARGETS

FINDS = Path(__file__).parent / "finds"
SECONDS = 20
_ONE = "--one"


def fuzz(name: str) -> None:
    """Fuzz one target in this process; never returns. The rest of the command line is libFuzzer's."""
    import atheris  # not installed everywhere: it has no wheel for some machines

    target = TARGETS[name]
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *sys.argv[3:]], target)
    atheris.Fuzz()


def main(arguments: list[str]) -> int:
    """Returns 1 when something was found."""
    seconds = next((int(argument) for argument in arguments if argument.isdigit()), SECONDS)
    names = [argument for argument in arguments if not argument.isdigit()] or list(TARGETS)
    found = 0
    for name in names:
        keep = FINDS / name
        keep.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="antlive-fuzz-") as corpus:
            for number, seed in enumerate(SEEDS[name]):
                (Path(corpus) / str(number)).write_bytes(seed)
            limits = [f"-max_total_time={seconds}", "-max_len=2048", "-timeout=5", "-rss_limit_mb=1024"]
            command = [sys.executable, "-m", "tests.fuzz", _ONE, name, *limits, f"-artifact_prefix={keep}/", corpus]
            done = subprocess.run([*command, str(keep)], stderr=subprocess.PIPE, text=True, check=False)
        *_, last = [line for line in done.stderr.splitlines() if line.startswith("Done")] or ["found something"]
        print(f"{name:16} {last}", flush=True)
        if done.returncode:
            found = 1
            print(done.stderr[-4000:], file=sys.stderr)
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == [_ONE]:
        fuzz(sys.argv[2])
    sys.exit(main(sys.argv[1:]))

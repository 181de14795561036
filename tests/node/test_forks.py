"""A child that can not be forked is told as such, and the next attempt is a fresh one."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import asyncio, resource
from antlive.forks import Forks, ForkFailed
from antlive.zygote import Request, run_program

async def main(forks):
    forks.follow()
    request = Request("true", run_program, (["/bin/true"], {}))
    print(await forks.start(request).wait())
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        forks.start(request)
    except ForkFailed as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
    print(await forks.start(request).wait())
    forks.close()

asyncio.run(main(Forks()))
"""


def test_a_lack_of_files_does_not_end_the_zygote_for_good() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    lines = [line for line in ran.stdout.splitlines() if "zygote_lost" not in line]  # of the log, which nobody set up
    assert lines == ["0", "OSError: [Errno 24] Too many open files", "0"], ran.stdout

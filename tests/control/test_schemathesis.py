"""The live server against its own document, by a tool that makes up requests, good ones and bad ones."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.control.helpers import KEY_RED, Api

BUDGET_S = 30
# Fixed, so that a failure is one of the change that is tested; other seeds are for exploring.
SEED = 1


async def test_no_request_breaks_what_the_document_promises(api: Api, tmp_path: Path) -> None:
    await api.create(name="there is one")
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{api.base}/openapi.json",
        "--header", f"Authorization: Bearer {KEY_RED}",
        "--max-examples", "40", "--max-time", str(BUDGET_S), "--seed", str(SEED), "--no-color",
        "--continue-on-failure", "--no-shrink", "--request-timeout", "3",
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), BUDGET_S * 2)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = output.decode(errors="replace")
    assert process.returncode == 0, text[-8000:]
    assert KEY_RED not in text

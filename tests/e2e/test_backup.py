"""The backup of docs/operating.md, made of a running node and restored to another."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

from tests.e2e.node import running_node

SECTION = (Path(__file__).parents[2] / "docs/operating.md").read_text().partition("## Backup")[2].partition("\n## ")[0]


async def run(script: str, **variables: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        "bash", "-euo", "pipefail", "-c", script,
        env=os.environ | {name: str(value) for name, value in variables.items()},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, output.decode()


async def test_streams_and_keys_are_back(tmp_path: Path) -> None:
    backup, restore = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
    file = tmp_path / "backup.tar.gz"
    async with running_node(tmp_path / "lost") as node:
        stream = await node.create(name="kept")
        assert (node.data_dir / "redis").stat().st_mode & 0o077 == 0, "others can read webhooks' secrets"
        for name in ("api_key", "ready_stream.json", "serve.json"):
            assert (node.data_dir / name).stat().st_mode & 0o077 == 0, f"others can read the key in {name}"
        await run(backup, DATA=node.data_dir, BACKUP=file)
        later = await node.create(name="made after the backup")
    await run(restore, BACKUP=file, RESTORED=tmp_path / "new/data")
    async with running_node(tmp_path / "new") as restored:
        assert restored.api_key == node.api_key
        assert (await restored.stream(stream["streamId"]))["name"] == "kept"
        async with restored.http.get(f"{restored.api_url}/{later['streamId']}", headers=restored.auth) as response:
            assert response.status == 404

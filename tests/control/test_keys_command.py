"""`antlive keys` in a process of its own, as an operator types it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streams.store import StreamStore
from tests.control.helpers import Api
from tests.redis_server import RedisServer


class Keys:
    """Runs the command against one Redis and one key prefix."""

    def __init__(self, directory: Path, **settings: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANTLIVE_")}
        self._environment = inherited | {"ANTLIVE_DATA_DIR": str(directory / "data"), **settings}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "antlive", "keys", *arguments]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def keys(server: RedisServer, store: StreamStore, tmp_path: Path) -> Keys:
    return Keys(tmp_path, ANTLIVE_REDIS_URL=server.url, ANTLIVE_REDIS_PREFIX=store.keys.prefix)


async def test_create_list_and_revoke(keys: Keys, api: Api) -> None:
    made = keys("create", "--env", "stage", "--label", "the console")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert re.fullmatch(r"ak_[0-9A-Za-z]{32}", key)
    reader = keys("create", "--env", "stage", "--read-only").stdout.strip()
    assert (await api.get(key=key)).status == 200
    assert (await api.request("POST", "/v1/live-streams", key=reader, json={"name": "x"})).status == 403

    listed = keys("list", "--env", "stage").stdout
    rows = [line.split() for line in listed.splitlines()]
    assert [row[1:4] for row in rows] == [
        ["ENVIRONMENT", "SCOPE", "KEY"],
        ["stage", "full", key[:7] + "…"],
        ["stage", "read", reader[:7] + "…"],
    ]
    assert key not in listed and "the console" in listed
    assert "red" in keys("list").stdout

    key_id = rows[1][0]
    wrong = keys("revoke", "--env", "red", key_id)
    assert wrong.returncode == 1 and "environment red has no API key" in wrong.stderr
    assert (await api.get(key=key)).status == 200
    assert keys("revoke", "--env", "stage", key_id).returncode == 0
    assert (await api.get(key=key)).status == 401
    assert (await api.get(key=reader)).status == 200


def test_what_is_wrong_is_said_in_one_line(keys: Keys, tmp_path: Path) -> None:
    wrong = keys("create", "--env", "No Good")
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1)
    assert "'No Good'" in wrong.stderr
    nowhere = Keys(tmp_path)("list")
    assert (nowhere.returncode, len(nowhere.stderr.splitlines())) == (1, 1)
    assert "ANTLIVE_REDIS_URL" in nowhere.stderr
    away = Keys(tmp_path, ANTLIVE_REDIS_URL=f"unix://{tmp_path}/none.sock")("list")
    assert (away.returncode, len(away.stderr.splitlines())) == (1, 1)

"""The life of a node's processes: started, stopped, killed, crowded. It leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import psutil
import pytest
from redis import Redis

from config.settings import Settings
from tests.e2e.inside import (
    processes_of,
    role,
    temporary_dir,
    wait_for_events,
    wait_for_exit,
    workers,
)
from tests.e2e.node import Node, pushing, running_node, wait_until
from tests.redis_server import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="session")

STOP_S = 5.0


def default_media_dir(data_dir: Path) -> Path:
    return Settings(data_dir=data_dir).effective_media_dir


def _listing(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def _there(path: Path) -> bool:
    return path.exists()


async def refused_start(directory: Path, command: str = "serve", **environment: str) -> tuple[int | None, str]:
    """Exit code and standard error of a node, or role, that does not come up."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ANTLIVE_")}
    variables |= {
        "ANTLIVE_BIND": "127.0.0.1",
        "ANTLIVE_HTTP_PORT": "0",
        "ANTLIVE_RTMP_PORT": "0",
        "ANTLIVE_SRT_PORT": "0",
        "ANTLIVE_DATA_DIR": str(directory / "data"),
        "ANTLIVE_LOG_LEVEL": "error",
        "TMPDIR": str(directory),
        **environment,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "antlive", command,
        env=variables, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    stdout, stderr = await asyncio.wait_for(process.communicate(), 15)
    assert stdout == b""
    return process.returncode, stderr.decode()


@pytest.fixture
def obeyed_hangup() -> Iterator[None]:
    """The tests themselves may run under `nohup`, which a node would inherit and obey."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("obeyed_hangup")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_stops_everything_while_a_stream_is_live(
    tmp_path: Path, tiny_clip: Path, number: signal.Signals
) -> None:
    async with running_node(tmp_path, ANTLIVE_MEDIA_DIR=None) as node:
        stream = await node.create()
        media_dir, temporary = default_media_dir(node.data_dir), Path(temporary_dir(node))
        async with pushing(tiny_clip, stream["ingest"]["rtmpFullUrl"]):
            await node.wait_for_state(stream["streamId"], "live")
            processes = processes_of(node)
            assert len(processes) >= 6
            assert media_dir.is_relative_to("/dev/shm") and _there(temporary) and _listing(media_dir)
            started_s = time.monotonic()
            node.process.send_signal(number)
            assert await asyncio.wait_for(node.process.wait(), STOP_S) == 0
            assert time.monotonic() - started_s < STOP_S
        await wait_for_exit(processes, timeout_s=0.5)
        assert not _there(media_dir) and not _there(temporary)
        assert not _there(node.data_dir / "serve.json")
    assert "child_killed" not in node.log_text() and "sessions_cut" not in node.log_text(), node.log_text()
    # Its state reached Redis before Redis was stopped: the next run has nothing to make good.
    async with running_node(tmp_path) as again:
        assert (await again.stream(stream["streamId"]))["state"] == "ended"
        events = await wait_for_events(again, stream["streamId"], "connecting", "live", "disconnected", "ended")
        assert [event.reason for event in events[2:]] == ["shutdown", "node_stopped"]


async def test_ctrl_c_during_the_start_stops_at_once(tmp_path: Path) -> None:
    variables = {**os.environ, "ANTLIVE_DATA_DIR": str(tmp_path / "data"), "TMPDIR": str(tmp_path)}
    variables |= {"ANTLIVE_HTTP_PORT": "0", "ANTLIVE_RTMP_PORT": "0", "ANTLIVE_SRT_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "antlive", "serve", env=variables, stdout=asyncio.subprocess.DEVNULL
    )
    found: list[psutil.Process] = []

    async def ingest_started() -> bool:
        found[:] = psutil.Process(process.pid).children(recursive=True)
        return any("ingest" in child.cmdline() for child in found)

    await wait_until(ingest_started, "the first role to be started")
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), STOP_S) == 0
    await wait_for_exit(found, timeout_s=2)
    assert _listing(tmp_path) == ["data"]


async def test_children_of_a_killed_supervisor_go_away_and_the_next_start_works(
    tmp_path: Path, tiny_clip: Path
) -> None:
    async with running_node(tmp_path) as node:
        stream = await node.create()
        code, text = await refused_start(tmp_path)
        assert code == 1 and text.count("\n") == 1 and f"ANTLIVE_DATA_DIR={node.data_dir}" in text
        for role_name, directory in (("ingest", node.data_dir), ("serve", tmp_path / "data2")):
            # A second node, or a second process of a role, on directories of this one.
            directories = {"ANTLIVE_DATA_DIR": str(directory), "ANTLIVE_MEDIA_DIR": str(node.media_dir)}
            code, text = await refused_start(tmp_path, role_name, **directories)
            setting = "ANTLIVE_DATA_DIR" if directory == node.data_dir else "ANTLIVE_MEDIA_DIR"
            assert code == 1 and text.count("\n") == 1 and f"{setting}={directories[setting]}" in text
        shutil.rmtree(tmp_path / "data2")
        assert _listing(tmp_path) == ["data", "media"]
        temporary = Path(temporary_dir(node))
        async with pushing(tiny_clip, stream["ingest"]["rtmpFullUrl"]):
            await node.wait_for_state(stream["streamId"], "live")
            processes = processes_of(node)
            node.process.kill()
            await node.process.wait()
            await wait_for_exit(processes, timeout_s=STOP_S)
    async with running_node(tmp_path) as again:
        assert not _there(temporary)
        assert (again.api_key, again.ready_key) == (node.api_key, node.ready_key)
        await again.wait_for_state(stream["streamId"], "ended")


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


@pytest.mark.parametrize("name", ["ANTLIVE_RTMP_PORT", "ANTLIVE_HTTP_PORT"])
async def test_a_port_that_is_taken_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    with taken_port() as port:
        code, text = await refused_start(tmp_path, **{name: str(port)})
    assert code == 1
    assert text.count("\n") == 1 and f"127.0.0.1:{port} ({name}): Address already in use" in text, text
    assert _listing(tmp_path) == ["data"]
    assert not _there(default_media_dir(tmp_path / "data"))
    left = [process for process in psutil.process_iter() if str(tmp_path) in " ".join(_command(process))]
    assert left == []


async def test_a_redis_that_takes_no_writes_is_told_in_one_line(tmp_path: Path) -> None:
    with redis_server() as server:
        with Redis.from_url(server.url) as client:
            client.config_set("min-replicas-to-write", 1)
        code, error = await refused_start(tmp_path, ANTLIVE_REDIS_URL=server.url)
    assert code == 1
    assert error.startswith("antlive: cannot use Redis (ANTLIVE_REDIS_URL): NOREPLICAS")
    assert error.count("\n") == 1


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


async def test_killed_children_are_started_again_on_the_same_ports(tmp_path: Path, tiny_clip: Path) -> None:
    async with running_node(tmp_path) as node:
        stream = await node.create()
        stream_id, url, hls_url = stream["streamId"], stream["ingest"]["rtmpFullUrl"], stream["playback"]["hlsUrl"]
        async with pushing(tiny_clip, url) as encoder:
            await node.wait_for_state(stream_id, "live")
            video_url = urljoin(hls_url, (await node.playlist(hls_url)).playlists[0].uri)
            before = await node.text(video_url)

            role(node, "web").kill()
            await wait_until(lambda: _differs(node, video_url, before), "playlists to come back")

            redis = role(node, "redis-server")
            redis.kill()
            await wait_until(lambda: _state_is(node, stream_id, "live"), "the stream to be back in Redis")
            assert role(node, "redis-server").pid != redis.pid
            await wait_for_events(node, stream_id, "connecting", "live")
            assert encoder.returncode is None
        await wait_for_events(node, stream_id, "connecting", "live", "disconnected")

        async with pushing(tiny_clip, url) as encoder:
            await wait_for_events(node, stream_id, "connecting", "live", "disconnected", "reconnected")
            (worker,) = workers(node).values()
            role(node, "ingest").kill()
            temporary = Path(temporary_dir(node))
            assert _listing(temporary), "what a killed child leaves lies elsewhere"
            assert await asyncio.wait_for(encoder.wait(), 10) != 0
        # What happens to the session meanwhile is in test_killed.py.
        await wait_for_events(node, stream_id, "connecting", "live", "disconnected", "reconnected", "disconnected")
        assert worker.is_running()
    assert not _there(temporary)


async def test_a_killed_zygote_is_replaced_and_no_process_outlives_the_node(tmp_path: Path, tiny_clip: Path) -> None:
    async with running_node(tmp_path) as node:
        stream = await node.create()
        async with pushing(tiny_clip, stream["ingest"]["rtmpFullUrl"]):
            await node.wait_for_state(stream["streamId"], "live")
            before = processes_of(node)
            (zygote,) = [process for process in before if "antlive.zygote" in process.cmdline()]
            ingest = role(node, "ingest")
            zygote.kill()
            await wait_for_exit([zygote], timeout_s=5)
            assert role(node, "ingest") == ingest, "the roles notice nothing"
            ingest.kill()
            await wait_until(lambda: _has_logged(node, "worker_adopted"), "ingest to come back", 20)
            role(node, "ingest").kill()
            # The node stops before the next one is there: the worker has nobody.
            found = {*before, *processes_of(node)}
    await wait_for_exit(list(found), timeout_s=5)


async def _has_logged(node: Node, event: str) -> bool:
    return event in node.log_text()


async def _differs(node: Node, url: str, before: str) -> bool:
    try:
        return await node.text(url) != before
    except aiohttp.ClientError:
        return False


async def _state_is(node: Node, stream_id: str, state: str) -> bool:
    async with node.http.get(f"{node.api_url}/{stream_id}", headers=node.auth) as response:
        return response.status == 200 and (await response.json())["state"] == state


@pytest.mark.parametrize("role", ["serve", "control", "ingest", "origin", "recorder"])
async def test_a_wrong_login_at_redis_ends_the_start_of_every_role(tmp_path: Path, role: str) -> None:
    media_dir = str(tmp_path / "media")
    with redis_server() as server:
        url = server.url.replace("//", "//nobody:wrong@")
        code, error = await refused_start(tmp_path, role, ANTLIVE_REDIS_URL=url, ANTLIVE_MEDIA_DIR=media_dir)
    assert code == 1 and "cannot use Redis (ANTLIVE_REDIS_URL): login refused" in error, error
    assert error.count("\n") == 1 and "wrong@" not in error


@pytest.mark.parametrize("role", ["control", "ingest"])
async def test_a_redis_that_is_not_there_ends_the_start_of_who_needs_it(tmp_path: Path, role: str) -> None:
    variables = {"ANTLIVE_REDIS_URL": "redis://nobody.invalid", "ANTLIVE_MEDIA_DIR": str(tmp_path / "media")}
    code, error = await refused_start(tmp_path, role, **variables)
    assert code == 1 and error.startswith(f"antlive {role}: cannot use Redis (ANTLIVE_REDIS_URL) within 5 s: nobody")
    assert error.count("\n") == 1

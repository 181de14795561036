"""A whole node beside its sessions: how soon it is ready, what it costs when idle, and what watching it costs."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import psutil
import structlog
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.cpu import cpu_seconds_of
from benchmarks.report import Figure
from benchmarks.rtmp_load import pushing_to
from benchmarks.sources import CLIPS, source
from config.logs import RepeatLimit
from tests.clips import synthetic_clip
from tests.e2e.inside import role
from tests.e2e.node import Node, pushing, running_node
from transcode.meter import SessionMeter

SESSIONS = 200
SCRAPE_EVERY_S = 15.0
"""What Prometheus does by default, and what the share of metrics is counted with."""
_SCRAPES = 40
AS_IS: dict[str, str | None] = {"ANTLIVE_CONFORMANCE_SHARE": None}
"""Tests check all that is published; a node checks the share of its settings."""
_SETTLE_S = 4.0
_CALLS = 50_000


async def run(directory: Path, quick: bool) -> list[Figure]:
    """Start and idle; 200 sessions; one ladder session."""
    seconds = 8 if quick else 20
    return [
        await _ready(directory / "start", 2 if quick else 4),
        *await _idle(directory / "idle", seconds),
        *await _scrape(directory / "many"),
        await _watched_ladder(directory / "ladder", seconds),
    ]


async def _ready(directory: Path, starts: int) -> Figure:
    """From the start of the process until it says that it is ready; Redis included, on a data directory of its own."""
    took_s = []
    for number in range(starts + 1):
        begun_s = time.monotonic()
        async with running_node(directory / str(number), ANTLIVE_CAPACITY_UNITS=None):
            took_s.append(time.monotonic() - begun_s)
    warm_s = took_s[1:]  # the first has brought the files into memory
    note = f"worst of {starts}, median {median(warm_s):.2f} s; the first took {took_s[0]:.2f} s"
    return Figure(name="node: start to ready", value=max(warm_s), unit="s", at_most=3.0, note=note)


async def _idle(directory: Path, seconds: float) -> list[Figure]:
    """What all processes of a node without a session need together; shared pages count once."""
    async with running_node(directory, **AS_IS) as node:
        await asyncio.sleep(_SETTLE_S)
        before_s = cpu_seconds_of([node.process.pid])
        await asyncio.sleep(seconds)
        share = (cpu_seconds_of([node.process.pid]) - before_s) / seconds
        supervisor = psutil.Process(node.process.pid)
        memory = {process.pid: process.memory_full_info().pss / 1e6 for process in _processes(supervisor)}
        names = {process.pid: _short_name(process) for process in _processes(supervisor)}
        each = ", ".join(f"{names[pid]} {size:.0f}" for pid, size in memory.items())
    return [
        Figure(name="node, idle: share of a core", value=share * 100, unit="%", at_most=1.0),
        Figure(name="node, idle: memory", value=sum(memory.values()), unit="MB", at_most=150.0, note=each),
    ]


async def _scrape(directory: Path) -> list[Figure]:
    """Passthrough sessions of little bitrate: what is measured is the page, not the media. Then Redis hangs, too."""
    directory.mkdir(parents=True)
    small = ("-b:v", "60k", "-g", "30")
    clip = synthetic_clip(directory / "clip.flv", size="160x90", fps="10", seconds=60, video=small, gop_frames=10)
    environment = {**AS_IS, "ANTLIVE_API_BURST": "1000", "ANTLIVE_RECONNECT_WINDOW_S": "0"}
    async with running_node(directory / "node", **environment) as node:
        streams = [await node.create(quality="passthrough") for _ in range(SESSIONS)]
        async with pushing_to([stream["ingest"]["rtmpFullUrl"] for stream in streams], clip):
            for stream in streams:
                await node.wait_for_state(stream["streamId"], "live")
            name = f"metrics of {SESSIONS} sessions: scrape"
            figures = [await _slowest_scrape(node, name)]
            redis = role(node, "redis-server")
            redis.suspend()
            try:
                figures.append(await _slowest_scrape(node, f"{name}, Redis hangs"))
            finally:
                redis.resume()
    return figures


async def _slowest_scrape(node: Node, name: str) -> Figure:
    took_s, page = [], ""
    for _ in range(_SCRAPES):
        begun_s = time.monotonic()
        page = await node.text(f"{node.base_url}/metrics")
        took_s.append(time.monotonic() - begun_s)
        await asyncio.sleep(0.05)
    assert _value(page, "antlive_sessions") == SESSIONS, "not all sessions were there"
    note = f"worst of {_SCRAPES}, median {median(took_s) * 1000:.0f} ms; {len(page) / 1000:.0f} kB"
    return Figure(name=name, value=max(took_s) * 1000, unit="ms", at_most=100.0, note=note)


async def _watched_ladder(directory: Path, seconds: float) -> Figure:
    """What metrics and log lines take of the CPU time of a `standard` session and all that serves it."""
    async with running_node(directory / "node", ANTLIVE_LOG_FORMAT="json", **AS_IS) as node:
        stream = await node.create(quality="standard")
        async with pushing(source(directory, CLIPS[0], 30), stream["ingest"]["rtmpFullUrl"]):
            await node.wait_for_state(stream["streamId"], "live")
            await asyncio.sleep(_SETTLE_S)
            lines, counted = len(node.log_lines), await _observations(node)
            before_s, begun_s = cpu_seconds_of([node.process.pid]), time.monotonic()
            await asyncio.sleep(seconds)
            passed_s = time.monotonic() - begun_s
            session_s = (cpu_seconds_of([node.process.pid]) - before_s) / passed_s
            calls_per_s = (await _observations(node) - counted) / passed_s
            lines_per_s = (len(node.log_lines) - lines) / passed_s
            scrape_s = await _cpu_of_a_scrape(node)
    call_s, line_s = _cost_of(_meter_call()), _cost_of(_log_line())
    parts = {
        "scrapes": scrape_s / SCRAPE_EVERY_S,
        "counting": calls_per_s * call_s,
        "lines": lines_per_s * line_s,
    }
    shown = ", ".join(f"{name} {part / session_s * 100:.2f}" for name, part in parts.items())
    note = f"{shown}; a scrape {scrape_s * 1000:.1f} ms, {calls_per_s:.0f} counts/s of {call_s * 1e6:.1f} µs"
    return Figure(
        name="metrics and logs / CPU of a standard ladder",
        value=sum(parts.values()) / session_s * 100,
        unit="%",
        at_most=1.0,
        note=note,
    )


async def _observations(node: Node) -> float:
    """How often the session's meter was called so far: once a stage of a picture, and as often to count it."""
    page = await node.text(f"{node.base_url}/metrics")
    return 2 * sum(
        _value(page, name) for name in ("antlive_stage_seconds_count", "antlive_part_lateness_seconds_count")
    )


async def _cpu_of_a_scrape(node: Node) -> float:
    """CPU seconds of web and ingest for one scrape, beyond what they need anyway."""
    pids = [role(node, "web").pid, role(node, "ingest").pid]

    async def spent(scrapes: int, seconds: float) -> float:
        clocks_s, end_s = _own_cpu_s(pids), time.monotonic() + seconds
        for _ in range(scrapes):
            await node.text(f"{node.base_url}/metrics")
        await asyncio.sleep(max(0.0, end_s - time.monotonic()))
        return _own_cpu_s(pids) - clocks_s

    return max(0.0, await spent(_SCRAPES, 6.0) - await spent(0, 6.0)) / _SCRAPES


def _own_cpu_s(pids: list[int]) -> float:
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def _cost_of(call: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    begun_s = time.process_time()
    for _ in range(_CALLS):
        call()
    return (time.process_time() - begun_s) / _CALLS


def _meter_call() -> Callable[[], object]:
    meter = SessionMeter()
    return lambda: meter.observe("decode", 0.004)


def _log_line() -> Callable[[], object]:
    """One JSON line as a node writes it, into memory."""
    sink = io.StringIO()
    processors: list[structlog.typing.Processor] = [
        RepeatLimit(10 * _CALLS),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(),
    ]
    log = structlog.wrap_logger(structlog.PrintLogger(sink), processors=processors)
    return lambda: log.info("source", stream_id="ls_1", session_id="se_1", width_px=1280, renditions=["720p"])


def _value(page: str, name: str) -> float:
    families = text_string_to_metric_families(page)
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def _processes(supervisor: psutil.Process) -> list[psutil.Process]:
    return [supervisor, *supervisor.children(recursive=True)]


def _short_name(process: psutil.Process) -> str:
    command = process.cmdline()
    return command[3] if command[2:3] == ["antlive"] else process.name()

"""nginx with the configuration of `deploy/edge` as a cache, beside nginx that serves the same bytes as plain files.

Both speak TLS with the same certificate, and have the same core; the load (wrk) has the other one. A ratio is that of
CPU time per request, the peer's divided by the edge's: wrk, which decrypts it all, is slower than either.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import string
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.cpu import cpu_seconds_of
from benchmarks.nginx import running_nginx
from benchmarks.origin import PART_BYTES, PARTS, free_port, origin_process, publish
from benchmarks.report import Figure
from tests.certificates import write_certificate
from tests.packager.helpers import EDGE_ID, SESSION_ID

_TEMPLATE = Path("deploy/edge/edge.conf.template")
_CONNECTIONS = 16
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class _Cost:
    cpu_us: float
    per_s: float


async def run(directory: Path, quick: bool) -> list[Figure]:
    """Parts of video and audio and a whole segment: each pair in turns, and the median of the ratios."""
    media_dir = directory / "media"
    msn = publish(media_dir)
    directory.mkdir(exist_ok=True)
    write_certificate(directory / "cert.pem", directory / "key.pem", "edge.example")
    edge_port, peer_port = free_port(), free_port()
    peer = (
        f"server {{ listen 127.0.0.1:{peer_port} ssl http2; ssl_certificate {directory}/cert.pem;"
        f" ssl_certificate_key {directory}/key.pem; ssl_protocols TLSv1.2 TLSv1.3; keepalive_requests 100000;"
        f" location /live/ {{ alias {media_dir}/; sendfile on; tcp_nopush on; }} }}"
    )
    files = {f"part of {size / 1000:g} kB": f"{name}/{msn}.0.m4s" for name, size in PART_BYTES.items()}
    files[f"segment of {PART_BYTES['720p'] * PARTS / 1000:g} kB"] = f"720p/{msn}.m4s"
    figures = []
    async with (
        origin_process(media_dir) as (origin_port, _),
        running_nginx(directory / "edge", _configuration(directory, edge_port, origin_port)) as edge,
        running_nginx(directory / "peer", peer) as static,
    ):
        for parent in (edge, static):
            for process in psutil.Process(parent).children():
                process.cpu_affinity([0])
        for what, file in files.items():
            path = f"/live/{EDGE_ID}/{SESSION_ID}/{file}"
            pairs = [
                (
                    await _cost(f"https://127.0.0.1:{edge_port}{path}", edge, 1 if quick else 3),
                    await _cost(f"https://127.0.0.1:{peer_port}{path}", static, 1 if quick else 3),
                )
                for _ in range(_ROUNDS)
            ]
            ratio = statistics.median(other.cpu_us / ours.cpu_us for ours, other in pairs)
            ours, other = pairs[-1]
            cost = f"{ours.cpu_us:.0f} us against {other.cpu_us:.0f} us of CPU"
            note = f"{cost}, {ours.per_s:,.0f}/s against {other.per_s:,.0f}/s"
            figures.append(Figure(name=f"{what}: edge / static", value=ratio, unit="", at_least=0.9, note=note))
    return figures


def _configuration(directory: Path, edge_port: int, origin_port: int) -> str:
    values = {
        "ANTLIVE_ORIGINS": f"server 127.0.0.1:{origin_port};",
        "ANTLIVE_EDGE_LISTEN": f"127.0.0.1:{edge_port}",
        "ANTLIVE_EDGE_NAME": "edge.example",
        "ANTLIVE_TLS_CERT": str(directory / "cert.pem"),
        "ANTLIVE_TLS_KEY": str(directory / "key.pem"),
        "ANTLIVE_CACHE_DIR": str(directory / "cache"),
        "ANTLIVE_CACHE_SIZE": "100m",
    }
    # As envsubst does with these names: nginx's own variables stay.
    return string.Template(_TEMPLATE.read_text()).safe_substitute(values)


async def _cost(url: str, nginx: int, seconds: int) -> _Cost:
    """What a request costs the nginx of this process id. Raises `RuntimeError` when one is not answered with 200."""
    load = ["taskset", "-c", str((os.cpu_count() or 1) - 1), "wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", url]
    before_s = cpu_seconds_of([nginx])
    process = await asyncio.create_subprocess_exec(*load, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    spent_s = cpu_seconds_of([nginx]) - before_s
    requests, per_s = re.search(rb"([0-9]+) requests in", out), re.search(rb"Requests/sec: *([0-9.]+)", out)
    if requests is None or per_s is None or b"Non-2xx" in out:
        raise RuntimeError(out.decode())
    return _Cost(cpu_us=spent_s / int(requests[1]) * 1e6, per_s=float(per_s[1]))

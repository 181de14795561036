"""A load generator that costs little: prepared requests over kept connections, each sent when the last is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured: latencies in seconds, sorted, and the time that the whole took."""

    latencies_s: Sequence[float]
    took_s: float

    @property
    def per_s(self) -> float:
        """Requests a second."""
        return len(self.latencies_s) / self.took_s

    def quantile_ms(self, share: float) -> float:
        """The latency in milliseconds that this share of the requests did not exceed."""
        return self.latencies_s[min(int(share * len(self.latencies_s)), len(self.latencies_s) - 1)] * 1000


async def run_load(host: str, port: int, request: bytes, status: int, requests: int, connections: int) -> Load:
    """Send `request` so many times in all. Raises `RuntimeError` for an answer of another status."""
    left = iter(range(requests))
    latencies_s: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for _ in left:
            begun_s = time.perf_counter()
            writer.write(request)
            await _answer(reader, status)
            latencies_s.append(time.perf_counter() - begun_s)
        writer.close()

    begun_s = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    return Load(sorted(latencies_s), time.perf_counter() - begun_s)


async def _answer(reader: asyncio.StreamReader, status: int) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 %d " % status):
        raise RuntimeError(f"expected {status}, got {head[:200]!r}")
    size_bytes = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
    await reader.readexactly(int(size_bytes))


def request_bytes(method: str, path: str, key: str, body: bytes = b"") -> bytes:
    """A request with an API key."""
    content = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n{content}\r\n".encode() + body

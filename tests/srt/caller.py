"""A caller for tests, on libsrt itself: connects with the options it is given, and tells how it was refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ingest.srt.abi import Option, SocketState
from ingest.srt.libsrt import check, ffi, library, set_option, socket_address

TRANSMISSION_TYPE, FILE_MODE = 50, 1
KEY_LENGTH_BYTES = 27
TS_PACKET = b"\x47\x1f\xff\x10" + bytes(184)
MESSAGE = TS_PACKET * 7


class Rejected(Exception):
    """The handshake was refused with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class Caller:
    """A connected caller."""

    def __init__(self, u: int) -> None:
        self.u = u

    async def send(self, message: bytes = MESSAGE) -> None:
        """Send one message. Raises `SrtError` when the connection is over."""
        await asyncio.to_thread(lambda: check("send", library().srt_send(self.u, message, len(message))))

    async def wait_for_end(self) -> None:
        """Until the other side has closed the connection."""
        async with asyncio.timeout(10):
            while self.connected:  # noqa: ASYNC110 (the state lies in libsrt)
                await asyncio.sleep(0.01)

    @property
    def connected(self) -> bool:
        return bool(library().srt_getsockstate(self.u) == SocketState.CONNECTED)


def _connect(
    port: int, stream_id: bytes, host: str, passphrase: str | None, options: dict[int, int], from_host: str = ""
) -> int:
    lib: Any = library()
    u = int(check("create_socket", lib.srt_create_socket()))
    try:
        for option, value in options.items():
            data = ffi.new("int *", value)
            check(f"option {option}", lib.srt_setsockflag(u, option, data, ffi.sizeof("int")))
        if stream_id:
            set_option(u, Option.STREAM_ID, stream_id)
        if passphrase is not None:
            set_option(u, Option.PASSPHRASE, passphrase.encode())
        if from_host:
            own = socket_address(from_host, 0)
            check("bind", lib.srt_bind(u, own, len(own)))
        address = socket_address(host, port)
        if lib.srt_connect(u, address, len(address)) == -1:
            raise Rejected(lib.srt_getrejectreason(u))
    except BaseException:
        lib.srt_close(u)
        raise
    return u


@asynccontextmanager
async def calling(
    port: int,
    stream_id: bytes | str,
    *,
    host: str = "127.0.0.1",
    passphrase: str | None = None,
    options: dict[int, int] | None = None,
    from_host: str = "",
) -> AsyncIterator[Caller]:
    """A connection to the server. Raises `Rejected`."""
    raw = stream_id.encode() if isinstance(stream_id, str) else stream_id
    u = await asyncio.to_thread(_connect, port, raw, host, passphrase, options or {}, from_host)
    try:
        yield Caller(u)
    finally:
        await asyncio.to_thread(library().srt_close, u)

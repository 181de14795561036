"""The official libsrt, loaded at run time: sockets, options, addresses, statistics."""

from __future__ import annotations

import ctypes.util
import functools
import socket
import struct
from typing import Any

import cffi

from ingest.srt.abi import DECLARATIONS, LOG_CRITICAL, Option

SONAMES = ("libsrt.so.1.5", "libsrt-openssl.so.1.5", "libsrt-gnutls.so.1.5")
DEBIAN_PACKAGE = "libsrt1.5-openssl"
_ADDRESS_BYTES = 128

ffi = cffi.FFI()
ffi.cdef(DECLARATIONS)


class SrtError(OSError):
    """A call of libsrt has failed. `code` is libsrt's own."""

    def __init__(self, call: str, code: int, text: str) -> None:
        super().__init__(f"{call}: {text}")
        self.code = code


class LibraryMissing(OSError):
    """libsrt is not installed."""


@functools.cache
def library() -> Any:
    """The loaded library. Raises `LibraryMissing`."""
    found = ctypes.util.find_library("srt")
    for name in (*SONAMES, *((found,) if found else ())):
        try:
            lib = ffi.dlopen(name)
        except OSError:
            continue
        # Its messages go to standard error and may quote what callers send.
        lib.srt_setloglevel(LOG_CRITICAL)
        return lib
    raise LibraryMissing(f"{SONAMES[0]} is not installed: run `make setup`, or install {DEBIAN_PACKAGE}")


def check(call: str, result: int) -> int:
    """The result of a call. Raises `SrtError` when it says that the call has failed."""
    if result == -1:
        raise last_error(call)
    return result


def last_error(call: str) -> SrtError:
    """The error of this thread's last call."""
    lib = library()
    code = lib.srt_getlasterror(ffi.NULL)
    return SrtError(call, code, ffi.string(lib.srt_getlasterror_str()).decode(errors="replace"))


def set_option(u: int, option: Option, value: int | bool | bytes) -> None:
    """Set an option of a socket. Raises `SrtError`."""
    if isinstance(value, bytes):
        data, size = ffi.new("char[]", value), len(value)
    elif isinstance(value, bool):
        data, size = ffi.new("bool *", value), ffi.sizeof("bool")
    else:
        data, size = ffi.new("int *", value), ffi.sizeof("int")
    check(f"set {option.name}", library().srt_setsockflag(u, int(option), data, size))


def stream_id(u: int) -> bytes:
    """The stream id that the caller of an accepted socket has sent. Raises `SrtError`."""
    data, size = ffi.new("char[]", 1024), ffi.new("int *", 1024)
    check("get STREAM_ID", library().srt_getsockflag(u, int(Option.STREAM_ID), data, size))
    return bytes(ffi.buffer(data, size[0]))


def peer_version(u: int) -> str:
    """The libsrt version of the peer, such as `1.5.1`. Raises `SrtError`."""
    value, size = ffi.new("int *"), ffi.new("int *", ffi.sizeof("int"))
    check("get PEER_VERSION", library().srt_getsockflag(u, int(Option.PEER_VERSION), value, size))
    return f"{value[0] >> 16 & 0xFF}.{value[0] >> 8 & 0xFF}.{value[0] & 0xFF}"


def accept(listener: int) -> tuple[int, str, str] | None:
    """The next connected socket with the IP address and the full address of its caller; None when none waits."""
    address, size = new_address()
    u = library().srt_accept(listener, address, size)
    if u == -1:
        return None
    ip, port = read_address(address)
    return u, ip, shown_address(ip, port)


def bound_port(u: int) -> int:
    """The UDP port of a bound socket. Raises `SrtError`."""
    address, size = new_address()
    check("getsockname", library().srt_getsockname(u, address, size))
    return read_address(address)[1]


def new_address() -> tuple[Any, Any]:
    """Room for a socket address, and its size."""
    return ffi.new("char[]", _ADDRESS_BYTES), ffi.new("int *", _ADDRESS_BYTES)


def read_address(address: Any) -> tuple[str, int]:
    """IP address and port of a `sockaddr`; an IPv4 address that came over IPv6 is shown as IPv4."""
    data = bytes(ffi.buffer(ffi.cast("char *", address), 28))
    family, port = struct.unpack_from("=H", data)[0], struct.unpack_from(">H", data, 2)[0]
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, data[4:8]), port
    if data[8:20] == bytes(10) + b"\xff\xff":
        return socket.inet_ntop(socket.AF_INET, data[20:24]), port
    return socket.inet_ntop(socket.AF_INET6, data[8:24]), port


def shown_address(ip: str, port: int) -> str:
    """As logs have it."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def socket_address(host: str, port: int) -> bytes:
    """The `sockaddr` of a host and port. Raises `OSError` for a host that cannot be resolved."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    ip = str(address[0])
    if family == socket.AF_INET:
        return struct.pack("=H", family) + struct.pack(">H4s8x", port, socket.inet_aton(ip))
    scope = int(address[3]) if len(address) == 4 else 0
    packed = struct.pack(">HI16s", port, 0, socket.inet_pton(socket.AF_INET6, ip.split("%")[0]))
    return struct.pack("=H", family) + packed + struct.pack("=I", scope)

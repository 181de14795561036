"""What is wrong with Redis, in words for whoever runs it. Never a password: what may quote one is left out."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from socket import gaierror
from typing import Final

from redis.exceptions import AuthenticationError, InvalidResponse, NoPermissionError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

_MAX_CHARACTERS: Final = 200
_ADDRESS = re.compile(r"(?:connecting to|reading from|writing to) (\S+?)\.? ")
_CONNECTING = re.compile(r"Error -?\d+ connecting to \S+?\. (.+?)\.?")
_NO_LOGIN_SENT: Final = ("HELLO must be called", "Authentication required", "NOAUTH")
_QUOTED_FROM: Final = "with args beginning"
"""A server that does not know a command repeats what came with it; with HELLO or AUTH that is a password."""

_LOGIN_REFUSED: Final = (AuthenticationError, NoPermissionError)


class NoPrimary(RedisConnectionError):
    """None of those who should know says which server is the master. The text has each one's problem."""


def is_refused(error: BaseException) -> bool:
    """Whether Redis answers and does not let us in: no waiting mends that."""
    return any(isinstance(cause, _LOGIN_REFUSED) for cause in _chain(error))


def problem_of(error: BaseException, *, for_anybody: bool = False) -> str:
    """One line: the address if it is known, and which check or step failed. No address `for_anybody`."""
    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, NoPrimary):
            return str(cause).partition(" (")[0] if for_anybody else str(cause)
    if for_anybody:
        unknown = "no answer in time" if isinstance(error, TimeoutError) else "an error; the log says which"
        return next((words for cause in chain if (words := _words(cause))), unknown)
    address = next((f"{match[1]}: " for cause in chain if (match := _ADDRESS.search(f"{cause} "))), "")
    return address + next((words for cause in chain if (words := _words(cause))), _plain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The cause first that is the root of it."""
    seen: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in seen:
        seen.append(at)
        at = at.__cause__ or at.__context__
    return reversed(seen)


def _words(error: BaseException) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"TLS: the certificate is refused: {error.verify_message.rstrip('.')}"
        case ssl.SSLError():
            return f"TLS: {str(error.reason or error).lower().replace('_', ' ')}"
        case gaierror():
            return f"host not found: {error.strerror}"
        case ConnectionRefusedError():
            return "connection refused"
        case ConnectionResetError() | BrokenPipeError():
            return "the connection was closed (TLS on one side alone?)"
        case AuthenticationError() if str(error).startswith(_NO_LOGIN_SENT):
            return "it wants a login, and none is set (NOAUTH)"
        case AuthenticationError() if "invalid" in str(error):
            return "login refused: wrong user or password, or the user is disabled (WRONGPASS)"
        case NoPermissionError():
            return f"the user lacks a right (NOPERM): {_plain(error)}"
        case InvalidResponse():
            return "it answers, but not as a Redis does"
        case RedisTimeoutError():
            return "no answer in time (wrong port, a firewall, a server that hangs, or TLS on one side alone)"
        case OSError() if error.errno and error.strerror:
            return error.strerror
        case _:
            return ""


def _plain(error: BaseException) -> str:
    """The error's own text, as far as it is the server's or the client's and quotes nobody."""
    if isinstance(error, RedisError) and str(error):
        text = str(error).partition(_QUOTED_FROM)[0] if isinstance(error, ResponseError) else str(error)
        if match := _CONNECTING.fullmatch(text):  # the cause is not kept everywhere
            text = match[1].lower()
        return " ".join(text.split()).rstrip(" ,.")[:_MAX_CHARACTERS]
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__

"""Log lines of every process: one per life event, on standard error, pretty for people or JSON for machines.

Whatever a process has to say goes through here: lines of libraries, warnings, and the traceback of whatever ends a
thread, a task or the process.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

log = structlog.get_logger()

LINES_PER_MIN: Final = 60
"""Of one event about one stream. What comes beyond that is counted, and the count told once in a minute."""
LEFT_OUT: Final = "lines_left_out"
_WINDOW_S: Final = 60.0
_LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class LogStyle:
    """How a process writes its lines: the settings `log_format` and `log_level`."""

    format: str = "pretty"
    level: str = "info"


def configure_logs(role: str, style: LogStyle) -> None:
    """Set up the log of this process; every line carries the role, from whichever thread it comes."""
    level = logging.getLevelNamesMapping()[style.level.upper()]
    is_json = style.format == "json"
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if is_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), pad_event_to=24, exception_formatter=structlog.dev.plain_traceback
        )
    )
    first: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        Role(role),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [structlog.processors.format_exc_info, renderer] if is_json else [renderer]
    limit = RepeatLimit(LINES_PER_MIN)
    structlog.configure(
        processors=[limit, *first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    atexit.register(limit.tell)
    handler = logging.StreamHandler(sys.stderr)
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    # An f-string with the name would be no event: it is a field.
    foreign: list[Processor] = [*first, structlog.stdlib.add_logger_name]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=foreign, processors=[remove, *last]))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    _hook_what_nobody_catches()


class Role:
    """A processor: the process's role in every line. A thread has no context of its own to take it from."""

    def __init__(self, role: str) -> None:
        self._role = role

    def __call__(self, logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
        line.setdefault("role", self._role)
        return line


class RepeatLimit:
    """A processor that leaves out lines beyond so many a minute of the same event about the same stream."""

    def __init__(self, per_min: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self._per_min = per_min
        self._now_s = now_s
        self._lines: dict[tuple[Any, ...], list[float]] = {}  # since when, how many
        self._look_s = now_s()
        self._lock = threading.Lock()

    def __call__(self, logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
        event = line.get("event")
        if event == LEFT_OUT:
            return line
        now_s = self._now_s()
        if now_s - self._look_s >= _LOOK_S:
            self._look_s = now_s
            self.tell(before_s=now_s - _WINDOW_S)
        with self._lock:
            counted = self._lines.setdefault((event, line.get("stream_id"), line.get("reason")), [now_s, 0])
            counted[1] += 1
            is_too_many = counted[1] > self._per_min
        if is_too_many:
            raise structlog.DropEvent
        return line

    def tell(self, before_s: float = float("inf")) -> None:
        """Say what was left out of what began before then, and count it anew."""
        with self._lock:
            over = {key: counted for key, counted in self._lines.items() if counted[0] <= before_s}
            for key in over:
                del self._lines[key]
        for (event, stream_id, reason), (_, count) in over.items():
            if count > self._per_min:
                about = {"stream_id": stream_id, "reason": reason}
                fields = {name: value for name, value in about.items() if value is not None}
                log.warning(LEFT_OUT, of=event, lines=round(count) - self._per_min, **fields)


def _hook_what_nobody_catches() -> None:
    def of_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            log.critical("process_failed", exc_info=(kind, error, trace))

    def of_thread(failed: threading.ExceptHookArgs) -> None:
        if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
            name = None if failed.thread is None else failed.thread.name
            about = (failed.exc_type, failed.exc_value, failed.exc_traceback)
            log.error("thread_failed", thread=name, exc_info=about)

    def of_nobody(failed: Any) -> None:
        about = (failed.exc_type, failed.exc_value, failed.exc_traceback)
        log.error("error_nobody_sees", where=repr(failed.object), exc_info=about)

    sys.excepthook = of_process
    threading.excepthook = of_thread
    sys.unraisablehook = of_nobody

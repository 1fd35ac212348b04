"""Logging: one JSON object a line on standard error, unable to print identity.

Exceptions are the classic leak: their text may quote what they choked on. So only edged's own exceptions,
whose texts are ours, are logged with text; of any other, type and place alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import sys
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO

import structlog

from edged.errors import EdgedError
from edged.identity import Identity

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable
    from types import TracebackType

_WITHHELD = "<identity withheld>"

RECENT_BYTES: Final = 1 << 20
"""Characters of log lines kept in memory: a busy day of a counter."""

_MAX_DEPTH = 6  # deeper nesting than any log line of ours; also ends self-referencing structures


def configure(level: str, *, stream: TextIO | None = None) -> None:
    """Set up structlog, and the hooks for what nobody caught: exceptions, finalisers, warnings, libraries' logs."""
    lines = _Lines(stream or sys.stderr)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            scrub_exception,
            withhold_identity,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=_unprintable),
            _recent.remember,  # last: what it keeps is what is printed
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    # Libraries that log through the standard module (aiomqtt, paho) may quote payloads.
    logging.basicConfig(level=logging.CRITICAL, handlers=[_LibraryHandler()], force=True)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_thread_exception
    warnings.showwarning = _log_warning


def set_level(level: str) -> None:
    """From now on, lines of this level and above; everything else stays as `configure` set it up."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())))


class Recent:
    """The process's latest log lines, as they were printed: in memory, bounded, gone with the process."""

    def __init__(self, most_bytes: int = RECENT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._lines: deque[tuple[float, str]] = deque()
        self._lock = threading.Lock()

    def remember(self, _logger: Any, _method: str, line: Any) -> Any:
        """structlog processor after the renderer."""
        with self._lock:
            self._lines.append((time.time(), line))
            self._bytes += len(line)
            while self._bytes > self._most_bytes:
                self._bytes -= len(self._lines.popleft()[1])
        return line

    def lines(self, most: int, since: float = 0.0) -> list[str]:
        """The latest `most` lines, oldest first, of those written at `since` (seconds since 1970) or later."""
        with self._lock:
            kept = list(self._lines)
        return [line for when, line in kept if when >= since][-most:] if most > 0 else []


_recent = Recent()


def recent(most: int, since: float = 0.0) -> list[str]:
    """This process's latest log lines; see `Recent.lines`."""
    return _recent.lines(most, since)


def scrubbed(value: Any) -> Any:
    """What a log line would say of `value`: plain values, no identity, types in place of anything else."""
    return _clean(value, -1)[0]


class _Lines:
    """Where log lines go; what structlog calls a logger.

    A line that can't be written (disk full, reader gone, reader that has stopped reading) is dropped and
    counted: a log must never take a verdict with it, and never make one wait. Lines go past Python's buffers,
    which would keep a refused line and fail again with it at the exit.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream  # None: this process was started without a standard error
        self._lost = 0
        # The same thread may come back in: a finaliser that fails while a line is being written is logged too.
        self._lock = threading.RLock()
        self._descriptor: int | None = None
        with contextlib.suppress(OSError, AttributeError):
            self._descriptor = stream.fileno() if stream is not None else None

    def msg(self, line: str) -> None:
        """Write one line, after a note of those that were lost before it."""
        with self._lock:
            note = f'{{"event": "log lines were lost", "level": "warning", "lost": {self._lost}}}\n'
            try:
                self._write((note if self._lost else "") + line + "\n")
            except (OSError, ValueError):  # ValueError: the stream was closed
                self._lost += 1
            else:
                self._lost = 0

    debug = info = warning = error = critical = msg

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        if self._descriptor is None:
            self._stream.write(text)
            self._stream.flush()
            return
        ready = select.poll()
        ready.register(self._descriptor, select.POLLOUT)
        if not ready.poll(0):
            raise BlockingIOError
        left = text.encode("utf-8", "backslashreplace")
        while left:
            left = left[os.write(self._descriptor, left) :]


class _LibraryHandler(logging.Handler):
    """Says that a library logged something, and where; what it logged may quote payloads."""

    def emit(self, record: logging.LogRecord) -> None:
        get("process").critical(
            "a library complained", library=record.name, where=f"{record.filename}:{record.lineno}"
        )


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry `part=name`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=name)
    return logger


def withhold_identity(
    _logger: Any, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """structlog processor: replace identity anywhere in the line, and say that it was attempted."""
    cleaned, withheld = _clean(event, -1)
    if withheld:
        cleaned["identity_withheld"] = True
    line: structlog.typing.EventDict = cleaned
    return line


def _clean(value: Any, depth: int) -> tuple[Any, bool]:
    """What may be printed of `value`, and whether anything was withheld. Never compares: arrays don't."""
    if isinstance(value, Identity) or depth > _MAX_DEPTH:
        return _WITHHELD, True
    if isinstance(value, str | int | float | bool | None):
        return value, False
    if isinstance(value, Mapping):
        keys, hidden_keys = _clean_all(value.keys(), depth)
        values, hidden_values = _clean_all(value.values(), depth)
        return dict(zip(map(str, keys), values, strict=True)), hidden_keys or hidden_values
    if isinstance(value, tuple) and hasattr(
        value, "_fields"
    ):  # may hold lines of text on their way through `core`
        return _unprintable(value), True
    if isinstance(value, list | tuple | set | frozenset):
        return _clean_all(value, depth)
    if isinstance(value, EdgedError):
        return str(value), False
    return _unprintable(value), True


def _clean_all(values: Iterable[Any], depth: int) -> tuple[list[Any], bool]:
    cleaned = [_clean(value, depth + 1) for value in values]
    return [value for value, _ in cleaned], any(withheld for _, withheld in cleaned)


def _unprintable(value: Any) -> str:
    """What JSON can't express is named by its type: a `repr` is somebody else's idea of what may be seen."""
    return f"<{type(value).__name__}>"


def scrub_exception(
    _logger: Any, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """structlog processor: `exc_info` becomes type, place, and text only where the text is ours."""
    exc_info = event.pop("exc_info", None)
    if not exc_info:
        return event
    if isinstance(exc_info, BaseException):
        error: BaseException | None = exc_info
    elif isinstance(exc_info, tuple):
        error = exc_info[1]
    else:
        error = sys.exc_info()[1]
    if error is not None:
        event["error"] = describe(error)
    return event


def describe(error: BaseException) -> dict[str, Any]:
    """An exception as log fields: type, text (ours alone), where, and the same of its causes."""
    described: dict[str, Any] = {"type": type(error).__name__}
    if isinstance(error, EdgedError):
        described["text"] = Exception.__str__(error)
    elif isinstance(error, OSError) and error.errno is not None:
        described["errno"] = error.errno
    frames = traceback.extract_tb(error.__traceback__)
    if frames:
        described["where"] = [f"{_base(frame.filename)}:{frame.lineno}" for frame in frames[-6:]]
    if isinstance(error, BaseExceptionGroup):
        described["errors"] = [describe(inner) for inner in error.exceptions[:8]]
    elif error.__cause__ is not None:
        described["cause"] = describe(error.__cause__)
    return described


def _log_uncaught(kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    get("process").critical("uncaught exception", exc_info=error)


def _log_thread_exception(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        get("process").critical("uncaught exception in a thread", exc_info=arguments.exc_value)


def _log_unraisable(arguments: sys.UnraisableHookArgs) -> None:
    """What a finaliser raised: Python's own hook prints the exception's text and the object's repr."""
    get("process").error(
        "exception in a finaliser or callback",
        exc_info=arguments.exc_value,
        raised=arguments.exc_type.__name__,
        of=type(arguments.object).__name__,
    )


def _log_warning(
    message: Warning | str,  # noqa: ARG001 - what is unused here is the signature of warnings.showwarning
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    """A warning by type and place: its text, and the line of source shown with it, may quote values."""
    get("process").warning("python warning", type=category.__name__, where=f"{_base(filename)}:{lineno}")


def _base(filename: str) -> str:
    return filename.rpartition("/")[2]


def log_loop_exception(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """asyncio exception handler: the default one prints the exception's text and the objects involved."""
    get("process").error("unhandled exception in the event loop", exc_info=context.get("exception"))

"""Logging: one JSON object a line on standard error, unable to print identity.

Exceptions are the classic leak: their text may quote what they choked on. So only edged's own exceptions,
whose texts are ours, are logged with text; of any other, type and place alone.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from edged.errors import EdgedError
from edged.identity import Identity

if TYPE_CHECKING:
    import asyncio
    from types import TracebackType

_WITHHELD = "<identity withheld>"
_MAX_DEPTH = 6  # deeper nesting than any log line of ours; also ends self-referencing structures


def configure(level: str, *, stream: TextIO | None = None) -> None:
    """Set up structlog and the hooks for uncaught exceptions of this process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            scrub_exception,
            withhold_identity,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=_unprintable),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Libraries that log through the standard module (aiomqtt, paho) may quote payloads.
    logging.basicConfig(level=logging.CRITICAL, stream=stream or sys.stderr, force=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_thread_exception


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry `part=name`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=name)
    return logger


def withhold_identity(
    _logger: Any, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """structlog processor: replace identity anywhere in the line, and say that it was attempted."""
    cleaned = {key: _clean(value, 0) for key, value in event.items()}
    if cleaned != event:
        cleaned["identity_withheld"] = True
    return cleaned


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, Identity) or depth > _MAX_DEPTH:
        return _WITHHELD
    if isinstance(value, Mapping):
        return {str(_clean(key, depth + 1)): _clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, depth + 1) for item in value] if _holds_identity(value, depth) else value
    if isinstance(value, str | int | float | bool | None):
        return value
    return f"<{type(value).__name__}>" if not isinstance(value, EdgedError) else str(value)


def _holds_identity(value: Any, depth: int) -> bool:
    return (
        any(not isinstance(item, str | int | float | bool | None) for item in value) and depth <= _MAX_DEPTH
    )


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
        described["where"] = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-6:]]
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


def log_loop_exception(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """asyncio exception handler: the default one prints the exception's text and the objects involved."""
    get("process").error("unhandled exception in the event loop", exc_info=context.get("exception"))

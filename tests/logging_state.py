"""Logging as it was before: for tests in whose process `edged.log.configure` is called."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import warnings
from collections.abc import Iterator

import structlog


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """structlog, the standard logger's level and handlers, and the hooks of the interpreter."""
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        yield
    finally:
        structlog.reset_defaults()
        root.setLevel(level)
        root.handlers[:] = handlers
        sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning = hooks

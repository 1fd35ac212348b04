"""Contract tests as stories: asynchronous, each in a loop of its own, bounded, and leaving nothing behind.

No plug-in for asyncio is needed, and none is in the way: to pytest a story is a plain test.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import structlog.testing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

PATIENCE_S: Final = float(os.environ.get("EDGED_TESTING_PATIENCE_S", "60"))
"""For anything a device does by itself: a failure is said after this long, nothing else depends on it."""

LOOK_EVERY_S: Final = 0.01

ENDING_S: Final = 5.0
"""For a task or thread that is ending to have ended."""

T = TypeVar("T")


def story(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """An asynchronous test as a plain one; see `run`."""

    @functools.wraps(test)
    def told(*args: Any, **kwargs: Any) -> None:
        run(test(*args, **kwargs))

    signature = inspect.signature(test)
    del told.__dict__["__wrapped__"]  # or other plug-ins would look through it and find a coroutine
    told.__signature__ = signature  # type: ignore[attr-defined] # what pytest reads the fixtures from
    return told


def run(scene: Coroutine[Any, Any, None]) -> None:
    """Run one story in a loop of its own. Fails when it takes too long, or leaves a task or a thread behind."""
    before = set(threading.enumerate())

    async def bounded() -> None:
        async with asyncio.timeout(1.5 * PATIENCE_S):
            await scene
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            _, left = await asyncio.wait(left, timeout=ENDING_S)
        assert not left, f"tasks that outlive the device: {left}"

    asyncio.run(bounded())
    for thread in set(threading.enumerate()) - before:
        thread.join(ENDING_S)
    left = [thread.name for thread in threading.enumerate() if thread not in before]
    assert not left, f"threads that outlive the device: {left}"


async def next_of(events: AsyncIterator[T]) -> T:
    """The next thing that happens, within `PATIENCE_S`."""
    async with asyncio.timeout(PATIENCE_S):
        return await anext(events)


async def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds, within `PATIENCE_S`."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what it looks at sets no event
            await asyncio.sleep(LOOK_EVERY_S)


async def until_done(attempt: Callable[[], Awaitable[T]], *passing: type[Exception]) -> T:
    """What `attempt` gives once it no longer fails with one of `passing`, within `PATIENCE_S`."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await attempt()
            except passing:
                await asyncio.sleep(LOOK_EVERY_S)


class Overheard:
    """All that is logged while it is entered, through structlog and through logging."""

    def __init__(self) -> None:
        self._structured = structlog.testing.capture_logs()
        self._entries: list[Any] = []
        self._records: list[str] = []
        self._handler = logging.Handler()
        self._handler.emit = self._keep  # type: ignore[method-assign] # a handler is nothing but this

    def _keep(self, record: logging.LogRecord) -> None:
        self._records.append(logging.Formatter().format(record))

    def __enter__(self) -> Self:
        self._entries = self._structured.__enter__()
        logging.getLogger().addHandler(self._handler)
        return self

    def __exit__(self, *about: object) -> None:
        logging.getLogger().removeHandler(self._handler)
        self._structured.__exit__(None, None, None)

    def said(self) -> str:
        """Everything, as one text."""
        return "\n".join([*map(repr, self._entries), *self._records])

"""Waiting for what other tasks do, where there is nothing to await."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(
    condition: Callable[[], object], seconds: float = 90.0, *, so_far: Callable[[], object] = lambda: ""
) -> None:
    """Wait until `condition` holds; `seconds` only bound a failure, which then tells `so_far`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s; so far {so_far()}"
        await asyncio.sleep(0.01)

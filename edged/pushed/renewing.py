"""Renews a box's certificates while it works: the task around `edged.pushed.renewal`.

A new pair of key and certificate is made beside the old one and takes its place in one rename
(`edged.pushed.identity_files`), so there is no moment without a working pair, whatever happens to the power. The old
one is kept until the new one has connected.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edged.uplink.names import Usage


class Renewer:
    """A task of the daemon: `await Renewer(…).run()`. The daemon tells it how connecting went."""

    def __init__(
        self,
        files: object,
        service: str,
        *,
        renewed: Callable[[frozenset[Usage]], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: random.Random | None = None,
    ) -> None:
        """`renewed(usages)` is called in the event loop after a switch: connect anew, open the signer anew."""
        raise NotImplementedError

    async def run(self) -> None:
        """Look, renew, wait, until cancelled."""
        await asyncio.Event().wait()

    async def proved(self) -> None:
        """The uplink has connected with what is current: what it replaced is removed."""

    async def refused(self) -> bool:
        """The broker doesn't take what is current: back to the pair before, while there is one and it holds."""
        return False

"""The box's own software, as the switch sees it: one more thing that has to be here before a version is tried.

`fetch` brings the package like any file and has root's helper install it (`edged.pushed.package_update`). If that goes
well, it ends with this process: the new version finds the push where this one left it, sees that it is the software
that was asked for, and goes on to the trial. `probe` is the trial's first probe; `healthy` tells the helper that all
have passed, before the trial is written down as good: cut off in between, the trial is only repeated.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from typing import TYPE_CHECKING, Final

from edged import __version__, log
from edged.errors import PushRefusedError
from edged.pushed import update_request
from edged.pushed.host import ProbeResult
from edged.pushed.update_request import HELPER
from edged.pushed.update_steps import Mark, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from edged.desired import ArtefactKind
    from edged.pushed.host import Artefacts, Files
    from edged.pushed.update_steps import Outcome
    from edged.pushed.verifying import ArtefactTarget
    from edged.uplink.mqtt import Connection
    from edged.uplink.mqtt_types import Received

PROBE: Final = "software"

KEPT: Final = 4
"""Messages kept until the agent says which of them it has taken."""

LOOK_S: Final = 1.0

AGAIN_S: Final = 60.0
"""So often the request is written again: systemd doesn't see a change that falls into the helper's own end."""

HELPER_S: Final = 7200.0
"""Two installations and the longest probation take less; after that there is no helper on this box."""


class Software:
    """`Artefacts` around another's, and a `Rider` that listens to what is pushed beside the agent."""

    def __init__(
        self,
        artefacts: Artefacts,
        *,
        topic: str,
        state: Path,
        taken: Callable[[], tuple[int, str | None]],
        running: str = __version__,
        helper: Path = HELPER,
        look_s: float = LOOK_S,
        helper_s: float = HELPER_S,
        again_s: float = AGAIN_S,
    ) -> None:
        """`topic` is the box's `desired`; `taken` says which push the agent took last, and the hash of its message."""
        self._artefacts = artefacts
        self._topic = topic
        self._state = state
        self._taken = taken
        self._running = running
        self._helper = helper
        self._look_s = look_s
        self._helper_s = helper_s
        self._again_s = again_s
        self._wanted: ArtefactTarget | None = None
        self._heard: deque[bytes] = deque(maxlen=KEPT)
        self._news = asyncio.Event()
        self._log = log.get("update")

    # --- a rider of the uplink ---

    def filters(self) -> Sequence[str]:
        """The agent has subscribed already."""
        return ()

    def wants(self, topic: str) -> bool:
        """Whether something was pushed."""
        return topic == self._topic

    async def take(self, received: Sequence[Received]) -> None:
        """Keep it, in case the helper has to verify it as well."""
        for message in received:
            if message.payload and message.payload not in self._heard:
                self._heard.append(message.payload)
        self._news.set()

    async def serve(self, connection: Connection) -> None:
        """There is nothing to say."""

    # --- for the agent ---

    async def here(self, targets: Mapping[ArtefactKind, ArtefactTarget]) -> Files | None:
        """See `Artefacts`; the version that is asked about last is the one that is probed."""
        self._wanted = targets.get("software")
        return await self._artefacts.here(targets)

    async def keep(self, targets: Collection[ArtefactTarget]) -> None:
        """See `Artefacts`."""
        await self._artefacts.keep(targets)

    async def fetch(
        self, targets: Mapping[ArtefactKind, ArtefactTarget], on_progress: Callable[[int], None]
    ) -> Files:
        """See `Artefacts`. With other software than this among them, this process doesn't see the end of it.

        Returns when that software was taken back: the trial's probe says so then. Raises `PushRefusedError`, its code
        the helper's where it refused, or `update.no_helper`.
        """
        files = await self._artefacts.fetch(targets, on_progress)
        target = targets.get("software")
        if target is not None and target.version != self._running:
            await self._have_installed(target)
        return files

    async def _have_installed(self, target: ArtefactTarget) -> None:
        """Ask for it, and wait for the helper's word."""
        try:
            async with asyncio.timeout(self._helper_s):
                ended = await self._answered(target)
        except TimeoutError:
            raise PushRefusedError("update.no_helper", target.path) from None
        if ended.outcome == "refused":
            raise PushRefusedError(ended.code or "update.not_healthy", target.path)

    async def _answered(self, target: ArtefactTarget) -> Outcome:
        clock = asyncio.get_running_loop().time
        asked_at = clock()
        while True:
            request = Request(push=self._taken()[0], sha256=target.sha256)
            ended = await self._outcome(request)
            if ended is not None:
                return ended
            if await asyncio.to_thread(update_request.asked, self._state) != request:
                bundle = await self._bundle()
                self._log.info("asking for software", version=target.version, push=request.push)
                await asyncio.to_thread(update_request.ask, self._state, request, bundle)
                asked_at = clock()
            elif clock() - asked_at >= self._again_s:
                await asyncio.to_thread(update_request.ask_again, self._state, request)
                asked_at = clock()
            await asyncio.sleep(self._look_s)

    async def _outcome(self, request: Request) -> Outcome | None:
        return await asyncio.to_thread(update_request.outcome, request, self._helper)

    async def _bundle(self) -> bytes:
        """The message that the agent took; after a start it comes again with the connection."""
        while True:
            self._news.clear()
            _, sha256 = self._taken()
            for data in self._heard:
                if hashlib.sha256(data).hexdigest() == sha256:
                    return data
            await self._news.wait()

    # --- for the daemon, of the version on trial ---

    async def probe(self, push: int, deadline_s: float) -> ProbeResult:
        """Whether the software of the version that was put in force last is what runs.

        Waits for the helper's word where it isn't, since that may be on its way.
        """
        target = self._wanted
        if target is None or target.version == self._running:
            return ProbeResult()
        until = asyncio.get_running_loop().time() + deadline_s
        request = Request(push=push, sha256=target.sha256)
        while True:
            ended = await self._outcome(request)
            if ended is not None or asyncio.get_running_loop().time() >= until:
                code = None if ended is None else ended.code
                return ProbeResult(PROBE, code or "update.not_healthy")
            await asyncio.sleep(self._look_s)

    async def healthy(self, push: int) -> None:
        """Every probe of that push has passed. Raises `StateError`."""
        if self._wanted is not None:
            mark = Mark(push=push, version=self._running)
            await asyncio.to_thread(update_request.mark_healthy, self._state, mark)

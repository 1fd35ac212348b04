"""The box as one of its fleet: everything that listens on its line beside receipts, opened and closed together.

A box without a `[fleet]` section takes no pushes and renews nothing by itself; it hears commands and the directory like
any other.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from edged.commanded import Obedient
from edged.errors import ControlError
from edged.head_firmware import HeadFirmware
from edged.managed import Managed
from edged.pushed.agent import PushAgent
from edged.pushed.artefact_rider import ArtefactRider
from edged.pushed.artefact_store import ArtefactStore
from edged.pushed.command_journal import FILE, CommandJournal
from edged.pushed.commands import CommandAgent
from edged.pushed.directory_rider import DirectoryRider
from edged.pushed.head_artefact import HeadArtefact
from edged.pushed.software import Software
from edged.renewals import Renewals
from edged.uplink import topics
from edged.uplink.database import DatabaseThread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from edged.box import Box
    from edged.uplink.riding import Rider


class Membership:
    """Opened by `open`; `begin` before the box's devices are; `parts` are tasks of the daemon; `close` in the end."""

    def __init__(
        self,
        box: Box,
        journal: DatabaseThread[CommandJournal],
        *,
        status: Callable[[], Awaitable[Mapping[str, Any]]],
        stop: Callable[[], None],
        publish: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> None:
        self._box = box
        self._journal = journal
        self._agent: PushAgent | None = None
        principal, directory = box.held.signer.principal, box.boot.state.directory
        # Nothing new is asked for while a document is read: its verdict and that verdict's receipt have the line.
        self._files = ArtefactRider(
            principal.fleet, ArtefactStore(directory), busy=lambda: box.station.inspecting
        )
        self._software = Software(
            self._files,
            topic=topics.desired(principal.fleet, principal.name),
            state=directory,
            taken=lambda: (0, None) if self._agent is None else self._agent.taken,
        )
        self.head_firmware = HeadFirmware(box, publish)
        self._artefacts = HeadArtefact(
            self._software,
            install=self.head_firmware.install,
            updatable=lambda: self.head_firmware.updatable,
        )
        self.managed = Managed(box, self._software)
        self._renewals = Renewals.of(box, lambda: self.managed.authorities)
        self._directory = DirectoryRider(box.held.anchor, box.boot.state.directory, clock=_now)
        obedient = Obedient(
            box,
            self.managed,
            status=status,
            stop=stop,
            rotate=self._rotate,
            push=self.push_status,
            refused=lambda: self._commands.refused,
        )
        self._commands = CommandAgent(
            journal=journal,
            commanded=obedient,
            signer=lambda: box.held.signer,
            anchor=lambda: box.held.anchor,
            time_and_trust=self._time_and_trust,
        )

    @classmethod
    async def open(
        cls,
        box: Box,
        *,
        status: Callable[[], Awaitable[Mapping[str, Any]]],
        stop: Callable[[], None],
        publish: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> Membership:
        """Open what is kept on the disk. Raises `StateError`, `ConfigError`."""
        path = box.boot.state.directory / FILE
        seconds = int((await box.read_clock()).now.timestamp())
        journal = await DatabaseThread.open("commands", lambda: CommandJournal.open(path, max(seconds, 0)))
        made = cls(box, journal, status=status, stop=stop, publish=publish)
        try:
            if box.boot.fleet is not None:
                made._agent = await PushAgent.open(
                    host=made.managed, artefacts=made._artefacts, signer=lambda: box.held.signer, clock=_now
                )
        except BaseException:
            await journal.close()
            raise
        return made

    async def begin(self) -> None:
        """Put in force what the box has to start with, and know again who was revoked. Raises `EdgedError`."""
        if self._agent is not None:
            await self._agent.begin()
        # After that: whoever signed the directory may be under an authority that a push has named.
        await asyncio.to_thread(self._directory.load)
        self._box.riders = self.riders
        if self._renewals is not None:
            self._box.on_event = self._renewals.heard

    @property
    def riders(self) -> tuple[Rider, ...]:
        """What listens on the line: the directory first, so that nobody who is revoked is heard after it."""
        pushes = () if self._agent is None else (self._agent, self._software, self._files)
        return (self._directory, *pushes, self._commands)

    @property
    def parts(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Tasks, by name."""
        parts = {"commands": self._commands.run()}
        if self._agent is not None:
            parts["pushes"] = self._agent.run()
        if self._renewals is not None:
            parts |= {"renewal": self._renewals.run(), "renewed": self._renewals.follow()}
        return parts

    def push_status(self) -> dict[str, Any]:
        """What was made of the last push; empty for a box that takes none."""
        if self._agent is None:
            return {}
        return {
            "running": self._agent.running_push,
            "sealing_key": self._agent.sealing_key,
            **msgspec.to_builtins(self._agent.report),
        }

    async def close(self) -> None:
        """Close what was opened, when the tasks have ended."""
        try:
            if self._agent is not None:
                await self._agent.close()
        finally:
            await self._journal.close()

    async def _rotate(self) -> Mapping[str, Any]:
        if self._renewals is None:
            raise ControlError("command.no_enrolment")
        return await self._renewals.rotate()

    async def _time_and_trust(self) -> tuple[datetime, bool]:
        reading = await self._box.read_clock()
        return reading.now, reading.trusted


def _now() -> datetime:
    return datetime.now(UTC)

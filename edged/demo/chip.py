"""The demo's emulated chips: on a real PC/SC reader where this machine has the stack, on a simulated one otherwise.

One process is passport office and chip: it writes down which states are to be trusted, which `edged trust import` takes
as an operator would, and lays down the documents it is told to.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from edged.demo.party import EDGED, Party, PartyError
from edged.emulator import pcsc_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date
    from pathlib import Path

    from edged.specimens import EmulatedChip

READY_TIMEOUT_S = 30.0
"""For making the states' keys; some tenths of a second on an idle machine."""
_IMPORT = ("trust", "import", "--yes")

READER_CONFIG = """
[chip_reader]
{driver}
trust = "{trust}"
find_s = 0.05
"""


class DemoChip:
    """The chip's process and what the box needs to read it; `home` is a directory of its own.

    Attributes:
        missing: why there is no PC/SC stack here (a code of the catalogue); None when the real one is used.
    """

    def __init__(self, home: Path, *, issued: date | None, on_restart: Callable[[str], None]) -> None:
        self.missing = pcsc_stack.missing()
        self._home = home
        self._issued = issued
        self._on_restart = on_restart
        self._events: asyncio.Queue[str] = asyncio.Queue()
        self._laid = False
        self._authorities = home / "authorities.pem"
        where = (
            ("--vpcd", pcsc_stack.VPCD) if self.missing is None else ("--socket", str(home / "reader.sock"))
        )
        arguments = [*EDGED, "chip", "emulate", "--json", "--issue-trust", str(self._authorities), *where]
        if issued is not None:
            arguments += ["--issued", issued.isoformat()]
        self.party = Party(
            "chip",
            (),
            home / "log",
            command=pcsc_stack.command(home, arguments) if self.missing is None else arguments,
            environment=pcsc_stack.environment(),
            takes_orders=True,
            on_line=self._heard,
            on_restart=self._restarted,
        )

    @property
    def config(self) -> str:
        """The box's section for the chip reader."""
        driver = (
            f'driver = "pcsc"\nreader = "{pcsc_stack.READER}"'
            if self.missing is None
            else f'driver = "simulated"\nsocket = "{self._home / "reader.sock"}"'
        )
        return READER_CONFIG.format(driver=driver, trust=self._home / "trust")

    @property
    def environment(self) -> Mapping[str, str] | None:
        """What the box's process needs to find the reader."""
        return pcsc_stack.client_environment(self._home) if self.missing is None else None

    @property
    def place(self) -> str:
        """Where the reader is."""
        return pcsc_stack.READER if self.missing is None else str(self._home / "reader.sock")

    async def start(self) -> None:
        """Start it and have the box trust its states. Raises `PartyError`."""
        await self.party.start()
        await self._until("trust")
        await self._import()

    async def lay(self, chip: EmulatedChip) -> None:
        """Lay a document with this chip on the reader. Raises `PartyError`."""
        await self.lift()
        await self.party.order(do="lay", specimen=chip.page, profile=chip.profile, fault=chip.fault)
        self._laid = True
        await self._until("laid")

    async def lift(self) -> None:
        """Take away what lies there."""
        if self._laid:
            self._laid = False
            await self.party.order(do="lift")
            await self._until("lifted")

    def _heard(self, line: dict[str, Any]) -> None:
        self._events.put_nowait(line["event"])

    def _restarted(self, name: str) -> None:
        self._laid = False
        self._on_restart(name)

    async def _until(self, wanted: str) -> None:
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                while (event := await self._next()) != wanted:
                    if event == "refused":
                        raise self._silent()
        except TimeoutError as error:
            raise self._silent() from error

    async def _next(self) -> str:
        """The next event; raises what the party was given up for, if that comes first."""
        while True:
            if self.party.failure is not None:
                raise self.party.failure
            try:
                async with asyncio.timeout(0.2):
                    return await self._events.get()
            except TimeoutError:
                continue

    async def _import(self) -> None:
        with (self._home / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *EDGED,
                *_IMPORT,
                "--trust",
                str(self._home / "trust"),
                str(self._authorities),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            if await process.wait() != os.EX_OK:
                raise self._silent()

    def _silent(self) -> PartyError:
        return PartyError("demo.party_silent", party="demo.party_chip", log=str(self._home / "log"))

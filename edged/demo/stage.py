"""The demo's stage: every party as a real process on loopback, with the files each of them needs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from edged.central.mosquitto import Access
from edged.demo.broker import HOST, BrokerError, DemoBroker
from edged.demo.chip import DemoChip
from edged.demo.fleet import DemoFleet
from edged.demo.head import Board, DemoHead
from edged.demo.party import EDGED, Party
from edged.demo.readers import DemoReaders
from edged.uplink.names import Role, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date
    from pathlib import Path
    from types import TracebackType

FLEET = "demo-fleet"
DEVICE = "box-1"
COLLECTOR = "central"
PARTNERS = {"bank": "first-bank", "hotel": "grand-hotel"}
"""What the demo calls a partner organisation, and its name as an audience."""

_BROKER_CHECK_S = 0.2
_BROKER_STARTS = 3
"""How often it is tried in a row: a kill may hit a broker that is just starting."""

ISSUED_BEFORE = timedelta(days=30)
"""How long before the demo's day its documents were issued: their revocation lists are fresh then."""

BOX_CONFIG = """\
version = "demo"

[identity]
fleet_ca = "{ca}"
signing_key = "{sign.key}"
signing_certificate = "{sign.certificate}"
tls_key = "{tls.key}"
tls_certificate = "{tls.certificate}"

[broker]
host = "{host}"
port = {port}
receipt_timeout_s = 2.0
reconnect_min_s = 0.1
reconnect_max_s = 1.0

[state]
directory = "state"

[control]
socket = "control.sock"

[timeouts]
remind_s = 30.0

[clock]
require_synchronised = false
{fixed}

[audiences.central]
scenes = ["bank", "hotel", "telecom", "hospital", "transport", "government", "kiosk"]
receives = ["live", "test", "training"]
reference = false
[audiences.central.policy.claims]
issuing_state = "keep"

[audiences.first-bank]
scenes = ["bank", "telecom", "kiosk"]
receives = ["live", "test"]
[audiences.first-bank.policy.claims]
issuing_state = "keep"
nationality = "keep"
surname = "mask"
document_number = "mask"
birth_date = "generalise"
expiry_date = "generalise"
age_over_18 = "keep"
document = "pseudonymise"
holder = "pseudonymise"

[audiences.grand-hotel]
scenes = ["hotel", "hospital", "transport", "government"]
receives = ["live", "test"]
[audiences.grand-hotel.policy.claims]
nationality = "keep"
sex = "keep"
given_names = "mask"
birth_date = "generalise"
document = "pseudonymise"
"""


_COLLECTOR_CONFIG = """\
fleet_ca = "{ca}"
signing_key = "{sign.key}"
signing_certificate = "{sign.certificate}"
archive = "archive.sqlite"
reconnect_min_s = 0.1
reconnect_max_s = 1.0
"""

_PARTNER_CONFIG = """\
fleet_ca = "{ca}"
signing_key = "{sign.key}"
signing_certificate = "{sign.certificate}"
inbox = "verdicts.sqlite"
tests = true
reconnect_min_s = 0.1
reconnect_max_s = 1.0
"""

_ENDPOINT = """
[broker]
host = "{host}"
port = {port}
ca = "{ca}"
certificate = "{tls.certificate}"
key = "{tls.key}"
"""


COUNTER_CONFIG = """
[slip]
site = "Demo 示范柜台"
url = "https://check.example/"

[handover]
socket = "handover.sock"
users = {{ teller = "{user}" }}

[audiences.teller]
scenes = ["bank"]
receives = ["training"]
policy = "bank-teller"
"""
"""What a counter has beside verdicts: slips, and a teller's application that may take fields once."""


class Stage:
    """All parties, up between entering and leaving.

    `on_verdict` is called with the demo's name of a partner and what its process printed of one verdict;
    `on_restart` with the name of a party that died and was started again. With `chips` the box has a chip reader.

    Attributes:
        head: the reader head, with its button.
        readers: what stands beside the window.
        chip: lays chips on the reader; None without one.
        fleet: who issued everybody's certificates.
        certificate: the box's, of the key that signs.
        device: the box's name.
    """

    def __init__(
        self,
        directory: Path,
        *,
        fixed_today: date | None,
        on_verdict: Callable[[str, dict[str, Any]], None],
        on_restart: Callable[[str], None],
        box_command: Sequence[str] = EDGED,
        chips: bool = False,
        board: Board = Board.NONE,
        readers: bool = False,
    ) -> None:
        self._box_command = box_command
        self._directory = directory
        self._on_verdict = on_verdict
        self._on_restart = on_restart
        self._fixed_today = fixed_today
        self._chips = chips
        self.head = DemoHead(directory / "head", board)
        self.readers = DemoReaders(directory / "readers")
        self._with_readers = readers
        self.chip: DemoChip | None = None
        self._broker_task: asyncio.Task[None] | None = None
        self._broker_leaves = asyncio.Event()

    @property
    def control(self) -> Path:
        """The box's control socket."""
        return self._directory / "box" / "control.sock"

    device = DEVICE

    @property
    def handover(self) -> Path:
        """Where applications on the counter connect."""
        return self._directory / "box" / "handover.sock"

    @property
    def slips(self) -> Path:
        """Where the demo keeps a slip as a PDF."""
        return self._directory / "slips"

    @property
    def glass(self) -> Path:
        """The simulated glass's socket."""
        return self._directory / "box" / "glass.sock"

    @property
    def databases(self) -> tuple[Path, Path, dict[str, Path]]:
        """The box's, the collector's and (by audience) the partners' stores, for the ledger."""
        return (
            self._directory / "box" / "state" / "state.sqlite",
            self._directory / "central" / "archive.sqlite",
            {audience: self._directory / name / "verdicts.sqlite" for name, audience in PARTNERS.items()},
        )

    @property
    def places(self) -> dict[str, str]:
        """Where every party listens or keeps its things, and the `ca` that the broker is known by."""
        _, archive, _ = self.databases
        return {
            "broker": f"{HOST}:{self._broker.port}",
            "ca": str(self._ca),
            "collector": str(archive),
            "box": str(self.control),
            **({} if self.head.board is None else {"head": self.head.board.port}),
            **({} if self.chip is None else {"chip": self.chip.place}),
            **{name: str(self._directory / name) for name in PARTNERS},
        }

    async def __aenter__(self) -> Self:
        for home in (self._directory, self._directory / "head", self._directory / "readers"):
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self.head)
            if self._with_readers:
                await stack.enter_async_context(self.readers)
            await asyncio.to_thread(self._prepare)
            self._devices = stack.pop_all()
        try:
            await self._start_broker()
            self._broker_task = asyncio.create_task(self._keep_broker_up(), name="watch broker")
            if self.chip is not None:
                await self.chip.start()
            for party in self.parties.values():
                await party.start()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    def kill(self, name: str) -> None:
        """`kill -9` one party; it comes back by itself."""
        if name == "broker":
            self._broker.kill()
        else:
            self.parties[name].kill()

    def check(self) -> None:
        """Raise what a party was given up for, if one was."""
        for party in (*self.parties.values(), *(() if self.chip is None else (self.chip.party,))):
            if party.failure is not None:
                raise party.failure
        if self._broker_task is not None and self._broker_task.done():
            self._broker_task.result()

    async def _leave(self) -> None:
        """Stop everything; a cancellation (a second Ctrl-C) is put off until nothing runs any more."""
        stopping = asyncio.create_task(self._stop_all(), name="stop all")
        cancelled = None
        while not stopping.done():
            try:
                await asyncio.wait([stopping])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        stopping.result()

    async def _stop_all(self) -> None:
        """The box first, so that it can say goodbye; then whoever hears it."""
        try:
            for name in ("box", *PARTNERS, "collector"):
                await self.parties[name].stop()
            if self.chip is not None:
                await self.chip.party.stop()
        finally:
            await self._devices.aclose()
            self._broker_leaves.set()
            if self._broker_task is not None:
                await asyncio.wait([self._broker_task])  # it may be starting one this very moment
            await asyncio.to_thread(self._broker.stop)

    async def _keep_broker_up(self) -> None:
        while not await self._broker_leaves_within(_BROKER_CHECK_S):
            if not self._broker.is_running():
                self._on_restart("broker")
                await self._restart_broker()

    async def _broker_leaves_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._broker_leaves.wait()
        return self._broker_leaves.is_set()

    async def _restart_broker(self) -> None:
        for _ in range(_BROKER_STARTS - 1):
            with contextlib.suppress(BrokerError):
                await self._start_broker()
                return
        await self._start_broker()

    async def _start_broker(self) -> None:
        self._broker.spawn()  # by this thread, which lives as long as the demo: the leash is tied to it
        await asyncio.to_thread(self._broker.wait_until_up)

    def _prepare(self) -> None:
        fleet = DemoFleet(self._directory / "pki", fleet=FLEET, now=datetime.now(UTC))
        self.fleet = fleet
        self._ca = fleet.ca
        access = Access(fleet=FLEET, collectors=(COLLECTOR,), audiences=tuple(PARTNERS.values()))
        self._broker = DemoBroker(self._directory / "broker", fleet, access, leash=True)
        if self._chips:
            issued = None if self._fixed_today is None else self._fixed_today - ISSUED_BEFORE
            self.chip = DemoChip(self._home("chip"), issued=issued, on_restart=self._on_restart)
        self.parties = {
            "collector": self._collector(fleet),
            "box": self._box(fleet),
            **{name: self._partner(fleet, name, audience) for name, audience in PARTNERS.items()},
        }

    def _home(self, name: str) -> Path:
        home = self._directory / name
        home.mkdir(mode=0o700, exist_ok=True)
        return home

    def _box(self, fleet: DemoFleet) -> Party:
        home = self._home("box")
        fixed = f"fixed_today = {self._fixed_today.isoformat()}" if self._fixed_today else ""
        config = home / "edged.toml"
        sign = fleet.issue(Role.DEVICE, DEVICE, Usage.SIGNING)
        self.certificate = sign.certificate
        config.write_text(
            BOX_CONFIG.format(
                ca=fleet.ca,
                sign=sign,
                tls=fleet.issue(Role.DEVICE, DEVICE, Usage.TLS),
                host=HOST,
                port=self._broker.port,
                fixed=fixed,
            )
            + self.head.config
            + ("" if self.chip is None else self.chip.config)
            + (self.readers.config if self._with_readers else "")
            + (COUNTER_CONFIG.format(user=pwd.getpwuid(os.geteuid()).pw_name) if self._with_readers else "")
        )
        return Party(
            "box",
            ("run", "--config", str(config)),
            home / "log",
            command=self._box_command,
            environment=None if self.chip is None else self.chip.environment,
            on_restart=self._on_restart,
        )

    def _collector(self, fleet: DemoFleet) -> Party:
        home = self._home("central")
        config = home / "collector.toml"
        sign = fleet.issue(Role.COLLECTOR, COLLECTOR, Usage.SIGNING)
        tls = fleet.issue(Role.COLLECTOR, COLLECTOR, Usage.TLS)
        config.write_text(
            _COLLECTOR_CONFIG.format(ca=fleet.ca, sign=sign)
            + _ENDPOINT.format(host=HOST, port=self._broker.port, ca=fleet.ca, tls=tls)
        )
        return Party(
            "collector",
            ("central", "collect", "--config", str(config)),
            home / "log",
            on_restart=self._on_restart,
        )

    def _partner(self, fleet: DemoFleet, name: str, audience: str) -> Party:
        home = self._home(name)
        config = home / "partner.toml"
        tls = fleet.issue(Role.AUDIENCE, audience, Usage.TLS)
        sign = fleet.issue(Role.AUDIENCE, audience, Usage.SIGNING)
        config.write_text(
            _PARTNER_CONFIG.format(ca=fleet.ca, sign=sign)
            + _ENDPOINT.format(host=HOST, port=self._broker.port, ca=fleet.ca, tls=tls)
        )

        def heard(line: dict[str, Any]) -> None:
            if line["event"] == "verdict":
                self._on_verdict(name, line["verdict"])

        return Party(
            name,
            ("partner", "follow", "--config", str(config), "--json"),
            home / "log",
            on_line=heard,
            on_restart=self._on_restart,
        )

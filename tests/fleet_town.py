"""Fixture material: a demo fleet as `edged fleet init` makes it, its broker, and simulated boxes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from edged.central.mosquitto import Access
from edged.cli import main
from edged.demo.broker import HOST, DemoBroker
from edged.demo.fleet import KeyFiles
from edged.fleet import simulated
from edged.fleet.bundles import BundleMaker
from edged.fleet.ceremony import Plan, found
from edged.fleet.repository import Repository
from edged.fleet.simulated import Keys, Script, SimulatedBox
from edged.fleet.state import FLEET_FILE, FleetFile, FleetState, as_toml, write_text
from edged.uplink.keys import generate_key, private_pem, write_private
from tests.fleet_made import BANK, HOTEL, Fleet, moment, sign_audiences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from edged.pushed.verifying import Accepted

LAYER = 'default_scene = "bank"\naudiences = ["first-bank"]\n'


class _Issuer:
    """What `DemoBroker` needs of a fleet."""

    def __init__(self, state: FleetState) -> None:
        self.ca = state.directory / "authorities.pem"
        self._state = state

    def issue_server(self, name: str, hosts: tuple[str, ...]) -> KeyFiles:
        key = generate_key()
        files = KeyFiles(
            self._state.secrets / f"server-{name}.key", self._state.secrets / f"server-{name}.pem"
        )
        write_private(files.key, private_pem(key))
        files.certificate.write_bytes(self._state.issue_server(hosts, key.public_key(), now=moment()))
        return files


class FleetTown:
    """A fleet, its broker, its boxes' keys. Boxes are `box-000`, …, on ten sites and in two groups."""

    def __init__(self, directory: Path, boxes: int) -> None:
        self.directory = directory
        keys = directory / "keys"
        plan = Plan(
            directory=directory / "state",
            file=FleetFile(fleet="acme", admin="alice", demo=True),
            root_keys=(keys / "root1",),
            threshold=1,
            privacy_keys=keys / "privacy",
            release_keys=keys / "release",
        )
        state = found(plan, moment(), "en")
        access = Access("acme", (), (), admins=("alice",), helpdesk=("first-line",))
        self.broker = DemoBroker(directory / "broker", _Issuer(state), access)  # type: ignore[arg-type]
        file = msgspec.structs.replace(plan.file, broker_port=self.broker.port)
        write_text(plan.directory / FLEET_FILE, as_toml(file))
        self.state = FleetState.open(plan.directory)
        self.made = Fleet(self.state, keys)
        sign_audiences(self.made, moment(), BANK, HOTEL)
        self.layer(LAYER)
        self.names = [f"box-{number:03}" for number in range(boxes)]
        self.keys: dict[str, Keys] = simulated.enrol(
            self.state,
            self.names,
            directory / "boxes",
            moment(),
            lambda name: (
                f"site-{int(name[-1])}",
                ("hotel",) if name[-2] == "0" else ("bank",),
            ),
        )
        self.root = Repository(self.state.directory / "metadata").file("root", 1)

    def layer(self, text: str, file: str = "config/fleet.toml") -> None:
        write_text(self.state.directory / file, text)

    def boxes(
        self, script: Callable[[str, Accepted], Script], names: Sequence[str] = ()
    ) -> list[SimulatedBox]:
        return [
            SimulatedBox(name, self.keys[name], root=self.root, script=script) for name in names or self.names
        ]

    def edged(self, *arguments: Any) -> int:
        """`edged fleet …` in this process."""
        return main(["fleet", *map(str, arguments), "--state", str(self.state.directory)])

    def maker(self) -> BundleMaker:
        return BundleMaker(self.state, moment())


async def edged(place: FleetTown, *arguments: Any, call: Callable[..., int] | None = None) -> int:
    """The same beside an event loop; in a thread that ends with the process, should it ever hang."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[int] = loop.create_future()

    def run() -> None:
        try:
            code = (call or place.edged)(*arguments)
        except BaseException as error:  # noqa: BLE001  # told to whoever waits
            loop.call_soon_threadsafe(done.set_exception, RuntimeError(repr(error)))
        else:
            loop.call_soon_threadsafe(done.set_result, code)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wait_for(done, 60)


@contextlib.contextmanager
def fleet_town(directory: Path, boxes: int) -> Iterator[FleetTown]:
    place = FleetTown(directory, boxes)
    place.broker.start()
    try:
        yield place
    finally:
        place.broker.stop()


def applied(name: str, accepted: Accepted) -> Script:
    """A box that is well."""
    return Script()


__all__ = ["HOST", "FleetTown", "applied", "edged", "fleet_town"]

"""What the delivery benchmarks share: a fleet with a broker, tables, and what the kernel says of a process."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from edged.central.mosquitto import Access
from edged.demo.broker import DemoBroker
from edged.demo.party import EDGED
from edged.uplink.names import Role, Usage
from tests.broker import FLEET, Town

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def town_with(directory: Path, *, collectors: Sequence[str]) -> Town:
    """A fleet whose broker lets these collectors in; any number of devices may come."""
    place = Town(directory)
    access = Access(FLEET, collectors=tuple(collectors), audiences=("bank", "hotel"))
    place.broker = DemoBroker(directory / "broker-of-many", place.fleet, access)
    return place


READY_S = 30.0


@contextlib.contextmanager
def collectors(
    place: Town, directory: Path, names: Sequence[str], archive: str
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """`edged central collect` under each of these names, side by side, all subscribed."""
    processes = []
    try:
        for name in names:
            signing = place.fleet.issue(Role.COLLECTOR, name, Usage.SIGNING)
            endpoint = place.endpoint(Role.COLLECTOR, name)
            config = directory / f"{name}.toml"
            config.write_text(
                f'fleet_ca = "{place.fleet.ca}"\nsigning_key = "{signing.key}"\n'
                f'signing_certificate = "{signing.certificate}"\narchive = "{archive}"\n\n[broker]\n'
                f'host = "{endpoint.host}"\nport = {endpoint.port}\nca = "{endpoint.ca}"\n'
                f'certificate = "{endpoint.certificate}"\nkey = "{endpoint.key}"\n'
            )
            command = [*EDGED, "central", "collect", "--config", str(config), "--json"]
            said = directory / f"{name}.events"
            with (directory / f"{name}.log").open("ab") as log, said.open("wb") as events:
                processes.append(subprocess.Popen(command, stdout=events, stderr=log))
            deadline = time.monotonic() + READY_S
            while '"ready"' not in said.read_text():
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no collector: see {directory / name}.log")
                time.sleep(0.05)
        yield processes
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(30)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The `share`-th percentile of what is sorted already; 0 of nothing."""
    return ordered[min(int(len(ordered) * share / 100), len(ordered) - 1)] if ordered else 0.0


class Table:
    """Rows of name, value, unit, and what the value is measured against."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str]] = []

    def row(self, name: str, value: float, unit: str, against: str = "") -> None:
        """Add a row."""
        shown = f"{value:12,.0f}" if float(value).is_integer() or value >= 1000 else f"{value:12,.2f}"
        self._rows.append((name, f"{shown} {unit:6}{against}".rstrip()))

    def print(self) -> None:
        """Print it as a table."""
        width = max(len(name) for name, _ in self._rows) + 2
        for name, shown in self._rows:
            print(f"{name:{width}}{shown}", flush=True)

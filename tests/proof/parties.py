"""The whole delivery as real processes on loopback: boxes, a broker, collectors, a partner; each killed at will.

What differs between archives (SQLite, PostgreSQL) is in `Place.archive` alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import msgspec

from edged.central.mosquitto import Access
from edged.demo.broker import HOST, DemoBroker
from edged.demo.fleet import DemoFleet
from edged.leash import leashed
from edged.uplink.mqtt import Endpoint
from edged.uplink.names import Role, Usage
from edged.uplink.streams import ReceiverLedger
from tests.broker import FLEET

ROOT = Path(__file__).parents[2]
STOP_S = 20.0


class Process:
    """A command that is started, killed, started again; its lines of JSON go to `on_line`.

    Attributes:
        died: exit codes of its own making: nobody killed it.
    """

    def __init__(
        self, name: str, command: list[str], log: Path, on_line: Callable[[dict[str, Any]], None]
    ) -> None:
        self.name = name
        self.died: list[int] = []
        self._command = command
        self._log = log
        self._on_line = on_line
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        assert not self.is_running()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                leashed(self._command),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                if line.startswith(b"{") and line.endswith(b"\n"):  # not one that a kill has cut off
                    self._on_line(json.loads(line))

    def kill(self) -> None:
        """`kill -9`; returns when all it said has been heard."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to stop. Anything but an orderly end is remembered; one that had only begun to start may just die."""
        if (code := self._end(signal.SIGTERM)) not in (0, -signal.SIGTERM):
            self.died.append(code)

    def look(self) -> None:
        """Start it again if it has died by itself, and remember that."""
        if self._process is not None and (code := self._process.poll()) is not None:
            self.died.append(code)
            self.start()

    def _end(self, number: signal.Signals) -> int:
        if self._process is None or self._reader is None:
            return 0
        self._process.send_signal(number)
        try:
            code = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reader.join(STOP_S)
        self._process = None
        return 0 if number == signal.SIGKILL else code


def edged(*arguments: str | Path) -> list[str]:
    """The `edged` command of this checkout."""
    return [sys.executable, "-m", "edged", *map(str, arguments)]


class Place:
    """A fleet, its broker, and every party's files. Nothing runs until it is told to.

    Attributes:
        said: what boxes said after commits: (log_id, audience, seq) to hash.
        twice: numbers that were given twice, which none may be.
        handed: what the partner's process printed of verdicts: hash to how often.
        events: how often each kind of event was told, by party.
    """

    def __init__(
        self,
        directory: Path,
        *,
        workers: int = 2,
        boxes: int = 1,
        archive: str | None = None,
        partner: str = "bank",
        audiences: tuple[str, ...] = ("bank", "hotel"),
    ) -> None:
        self.directory = directory
        self.fleet = DemoFleet(directory / "fleet", fleet=FLEET, now=datetime.now(UTC))
        self.collectors = tuple(f"worker-{number + 1}" for number in range(workers))
        self.boxes = tuple(f"box-{number + 1}" for number in range(boxes))
        self.partner = partner
        self.audiences = audiences
        self.archive = archive or str(self._home("central") / "archive.sqlite")
        access = Access(FLEET, collectors=self.collectors, audiences=audiences, admins=("ops",))
        self.broker = DemoBroker(directory / "broker", self.fleet, access, leash=True)
        self.said: dict[tuple[str, str, int], str] = {}
        self.twice: list[tuple[str, str, int]] = []
        self.handed: dict[str, int] = {}
        self.events: dict[str, dict[str, int]] = {}
        self.host = HOST
        self._lock = threading.Lock()

    def _home(self, name: str) -> Path:
        home = self.directory / name
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return home

    def endpoint(self, role: Role, name: str, **settings: Any) -> Endpoint:
        files = self.fleet.issue(role, name, Usage.TLS)
        chosen = {"host": self.host, "port": self.broker.port, "answer_timeout_s": 5.0} | settings
        return Endpoint(ca=self.fleet.ca, certificate=files.certificate, key=files.key, **chosen)

    # --- parties ---

    def state(self, name: str) -> Path:
        return self._home(name) / "state.sqlite"

    def box(
        self, name: str, *, endpoint: Endpoint | None = None, prefix: Sequence[str] = (), **settings: Any
    ) -> Process:
        """A box, run by `prefix`; `settings` are `tests.proof.box.BoxConfig`'s."""
        home = self._home(name)
        files = self.fleet.issue(Role.DEVICE, name, Usage.SIGNING)
        config = {
            "state": self.state(name),
            "fleet_ca": self.fleet.ca,
            "signing_key": files.key,
            "signing_certificate": files.certificate,
            "broker": endpoint or self.endpoint(Role.DEVICE, name),
            "audiences": self.audiences,
        } | settings
        path = home / "box.json"
        path.write_bytes(msgspec.json.encode(config, enc_hook=str))
        return self._process(name, [*prefix, sys.executable, "-m", "tests.proof.box", str(path)])

    def worker(self, name: str, *, endpoint: Endpoint | None = None, **settings: Any) -> Process:
        """A collector."""
        files = self.fleet.issue(Role.COLLECTOR, name, Usage.SIGNING)
        config = {
            "fleet_ca": self.fleet.ca,
            "signing_key": files.key,
            "signing_certificate": files.certificate,
            "archive": self.archive,
            "reconnect_min_s": 0.05,
            "reconnect_max_s": 0.5,
        } | settings
        path = self._home(name) / "collector.toml"
        write_toml(path, config, broker=endpoint or self.endpoint(Role.COLLECTOR, name))
        return self._process(name, edged("central", "collect", "--config", path, "--json"))

    @property
    def inbox(self) -> Path:
        return self._home(self.partner) / "verdicts.sqlite"

    def follower(self, *, endpoint: Endpoint | None = None, **settings: Any) -> Process:
        """The partner."""
        files = self.fleet.issue(Role.AUDIENCE, self.partner, Usage.SIGNING)
        config = {
            "fleet_ca": self.fleet.ca,
            "signing_key": files.key,
            "signing_certificate": files.certificate,
            "inbox": self.inbox,
            "tests": True,
            "reconnect_min_s": 0.05,
            "reconnect_max_s": 0.5,
        } | settings
        path = self._home(self.partner) / "partner.toml"
        write_toml(path, config, broker=endpoint or self.endpoint(Role.AUDIENCE, self.partner))
        return self._process(
            self.partner, edged("partner", "follow", "--from-start", "--catch-up", "--config", path, "--json")
        )

    def _process(self, name: str, command: list[str]) -> Process:
        return Process(name, command, self._home(name) / "log", lambda line: self._hear(name, line))

    def _hear(self, name: str, line: dict[str, Any]) -> None:
        with self._lock:
            for audience, seq, sha256 in line.get("committed", ()):
                key = (line["log_id"], audience, seq)
                if key in self.said:
                    self.twice.append(key)
                self.said[key] = sha256
            if kind := line.get("event"):
                counted = self.events.setdefault(name, {})
                counted[kind] = counted.get(kind, 0) + 1
                if kind == "verdict":
                    self.handed[line["sha256"]] = self.handed.get(line["sha256"], 0) + 1

    # --- what is where ---

    def committed(self) -> dict[tuple[str, str, str], dict[int, str]]:
        """Every box's own ledger: (device, log_id, audience) to number to hash."""
        from edged.uplink.outbox import ledger

        found: dict[tuple[str, str, str], dict[int, str]] = {}
        for name in self.boxes:
            if self.state(name).exists():
                for key, sent in ledger(self.state(name)).items():
                    found[key] = {one.seq: one.sha256 for one in sent}
        return found

    def pending(self) -> int:
        """Envelopes that no receipt has covered."""
        from edged.uplink.outbox import ledger

        return sum(
            not one.receipted
            for name in self.boxes
            for sent in ledger(self.state(name)).values()
            for one in sent
        )

    def archived(self) -> ReceiverLedger:
        """The archive's ledger."""
        from edged.central.archive import open_reader

        with contextlib.closing(open_reader(self.archive)) as reader:
            return reader.ledger()

    def received(self) -> ReceiverLedger:
        """The partner's."""
        from edged.uplink.streams import ledger

        return ledger(self.inbox)


def write_toml(path: Path, config: dict[str, Any], **tables: Any) -> None:
    """A configuration file as an operator would write it."""
    lines = []
    inner = {name: value for name, value in config.items() if isinstance(value, dict)}
    for key, value in config.items():
        if key not in inner and value is not None:
            lines.append(f"{key} = {json.dumps(value, default=str)}")
    for name, table in {**inner, **tables}.items():
        plain = msgspec.to_builtins(table, enc_hook=str)
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in plain.items())]
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)


def until(condition: Callable[[], object], seconds: float, what: str = "it") -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def resources(pid: int) -> tuple[int, int]:
    """Resident bytes and open descriptors of a process."""
    with Path(f"/proc/{pid}/statm").open() as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGESIZE"), len(list(Path(f"/proc/{pid}/fd").iterdir()))

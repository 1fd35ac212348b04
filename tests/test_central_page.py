"""docs/central.md, walked through: its files are written, its commands are run, in order, as they stand there.

Only places are others (paths, ports, the broker's name), and what needs a machine of one's own has a stand-in:
systemctl starts and stops the very processes that the units would.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization

from edged import messages
from edged.central import columns
from edged.central.archive import open_archive, open_reader
from edged.config import parse_toml
from edged.errors import UplinkError
from edged.fleet.enrolment import issued_certificate
from edged.fleet.state import FleetState
from edged.uplink import topics
from edged.uplink.keys import generate_key, private_pem, write_private
from edged.uplink.mqtt import Endpoint, Session, connect
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.sign import Signer
from tests import postgres
from tests.broker import Sealer, stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edged.uplink.envelope import Envelope
    from edged.uplink.roles import TrustAnchor
    from tests.postgres import Cluster

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "central.md").read_text(encoding="utf-8")
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")

STEP = re.compile(
    r"<!-- file: (?P<file>\S+) -->\n```\w+\n(?P<text>.*?)```"
    r"|```console\n(?P<console>.*?)```|<!-- test: (?P<hook>.*?) -->",
    re.DOTALL,
)

SYSTEMCTL = r"""#!/bin/sh
# systemctl's stand-in: the ExecStart of the unit, in the background.
set -eu
wait_for_port() {
    for _ in $(seq 500); do
        if python3 -c "import socket; socket.create_connection(('127.0.0.1', $PORT), 1)" 2>/dev/null; then return; fi
        sleep 0.02
    done
    exit 1
}
stop() {
    pid=$(cat "$RUN/$1.pid")
    kill -TERM "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
    rm "$RUN/$1.pid"
}
start() {
    name=${1#edged-collector@}
    command=$(sed -n 's/^ExecStart=//p' "$UNIT" | sed "s#%i#$name#; s#/usr/bin/edged#edged#; s#/etc/#$ETC/#")
    $command >>"$RUN/$1.log" 2>&1 </dev/null &
    echo $! >"$RUN/$1.pid"
}
action=$1
shift
[ "${1:-}" = --now ] && shift
for unit in "$@"; do
    case "$action $unit" in
    "restart mosquitto")
        "$MOSQUITTO" -c "$ETC/mosquitto/mosquitto.conf" >>"$RUN/mosquitto.log" 2>&1 </dev/null &
        echo $! >"$RUN/mosquitto.pid"
        wait_for_port
        ;;
    enable\ *) start "$unit" ;;
    disable\ *) stop "$unit" ;;
    reload\ *) kill -HUP "$(cat "$RUN/$unit.pid")" ;;
    restart\ *) stop "$unit"; start "$unit" ;;
    *) exit 64 ;;
    esac
done
"""

SUDO = """#!/bin/sh
# sudo -u USER COMMAND…: the tests' database lets anybody in.
[ "$1" = -u ] && shift 2
exec "$@"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def commands(block: str) -> list[str]:
    """The commands of a console block: lines behind `$ `, with those that go on after a backslash."""
    joined = block.replace("\\\n", " ")
    return [line.removeprefix("$ ") for line in joined.splitlines() if line.startswith("$ ")]


class Machine:
    """A machine of the page's own, in a directory."""

    def __init__(self, directory: Path, cluster: Cluster) -> None:
        self.root = directory
        self.work = directory / "work"
        self.run = directory / "run"
        self.etc = directory / "etc"
        self.port = free_port()
        for path in (
            "work",
            "run",
            "bin",
            "etc/mosquitto",
            "etc/edged-central",
            "var/lib/mosquitto",
            "var/lib/edged-central",
        ):
            (directory / path).mkdir(parents=True)
        for name, text in (("systemctl", SYSTEMCTL), ("sudo", SUDO)):
            (directory / "bin" / name).write_text(text)
            (directory / "bin" / name).chmod(0o755)
        programs = postgres.binaries()
        places = [str(directory / "bin"), str(Path(sys.executable).parent), str(programs)]
        self.environment = os.environ | {
            "PATH": os.pathsep.join([*places, os.environ["PATH"]]),
            "LANG": "en_GB.UTF-8",
            "LC_ALL": "",
            "PGHOST": str(cluster.directory),
            "PGUSER": "edged",
            "PORT": str(self.port),
            "RUN": str(self.run),
            "ETC": str(self.etc),
            "UNIT": str(ROOT / "systemd" / "edged-collector@.service"),
            "MOSQUITTO": str(MOSQUITTO),
        }
        self.places = {
            "/run/postgresql": str(cluster.directory),
            "/etc/": f"{self.etc}/",
            "/var/lib/": f"{directory}/var/lib/",
            "broker.example.org": "127.0.0.1",
            '"0.0.0.0"': '"127.0.0.1"',
            "8883": str(self.port),
            "9464": str(free_port()),
            "9465": str(free_port()),
            'user = "mosquitto"': f'user = "{getpass.getuser()}"',
            "--crl-group mosquitto": "",
            "-o mosquitto ": "",
            "-o edged-central ": "",
        }
        self.location = f"postgresql://edged-central@/edged?host={cluster.directory}"

    def put(self, text: str) -> str:
        """Text of the page with this machine's places in it."""
        for old, new in self.places.items():
            text = text.replace(old, new)
        return text

    def file(self, name: str, text: str) -> None:
        """Write a file of the page."""
        path = self.work / self.put(name)  # an absolute name stays itself
        path.write_text(self.put(text), encoding="utf-8")

    def command(self, line: str) -> str:
        """Run a command of the page; what it printed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.put(line)],
            cwd=self.work,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}\n{self.logs()}"
        return done.stdout

    def logs(self) -> str:
        """What the processes in the background have said."""
        return "\n".join(
            f"{path.name}: {path.read_text()[-2000:]}" for path in sorted(self.run.glob("*.log"))
        )

    def the_bank_sends_its_keys(self) -> None:
        """Public keys, as docs/partners.md has a partner make them."""
        for usage in Usage:
            public = generate_key().public_key()
            pem = public.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            (self.work / f"bank-{usage}.pub").write_bytes(pem)

    def a_box_delivers(self) -> None:
        """box-1, certified as the service would at its enrolment, publishes three envelopes; wait for the archive."""
        state = FleetState.open(self.work / "fleet")
        record, who = state.device("box-1"), Principal("north", Role.DEVICE, "box-1")
        for usage in Usage:
            key = generate_key()
            pem = state.issue(who, usage, key.public_key(), now=datetime.now(UTC))
            (self.work / f"box-1-{usage}.pem").write_bytes(pem)
            write_private(self.work / f"box-1-{usage}.key", private_pem(key))
            issued = (*record.certificates, issued_certificate(usage, pem))
            record = msgspec.structs.replace(record, certificates=issued)
        state.save_device(record)
        signer = Signer.from_files(self.work / "box-1-signing.key", self.work / "box-1-signing.pem")
        envelopes = stream(Sealer(signer, "8c1f0b5a7d2e9463", datetime.now(UTC)), "bank", 3)
        deadline = time.monotonic() + 30
        asyncio.run(self.box_publishes(envelopes))
        while self.stored() < 3 or not self.both_are_ready():
            # What was published before a collector had subscribed comes again, as from any box.
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.1)
            asyncio.run(self.box_publishes(envelopes))

    def both_are_ready(self) -> bool:
        """Whether both collectors have a session: one that never had any can't take its leave."""
        return all('"event":"ready"' in path.read_text() for path in self.run.glob("edged-collector@*.log"))

    async def box_publishes(self, envelopes: Sequence[Envelope]) -> None:
        """box-1 connects with its certificate and publishes. Raises `UplinkError`."""
        endpoint = Endpoint(
            host="127.0.0.1",
            port=self.port,
            ca=self.work / "fleet" / "authorities.pem",
            certificate=self.work / "box-1-tls.pem",
            key=self.work / "box-1-tls.key",
        )
        async with connect(endpoint, Session("box-1")) as connection:
            for one in envelopes:
                await connection.publish(topics.verdict("north", "box-1", "bank"), one.jws.encode())

    def stored(self) -> int:
        """How many envelopes the archive has."""
        with closing(open_archive(self.location, self.anchor())) as archive:
            return sum(one.stored for one in archive.audiences())

    def anchor(self) -> TrustAnchor:
        """The fleet's authority."""
        return FleetState.open(self.work / "fleet").anchor()

    def end(self) -> None:
        """End what still runs."""
        for path in self.run.glob("*.pid"):
            with_pid = int(path.read_text())
            try:
                os.kill(with_pid, signal.SIGTERM)
            except ProcessLookupError:
                continue


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with postgres.cluster(fsync=False) as cluster:
        made = Machine(tmp_path, cluster)
        try:
            yield made
        finally:
            made.end()


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
@pytest.mark.skipif(postgres.missing() is not None, reason=str(postgres.missing()))
@pytest.mark.parametrize("program", ["sqlite3", "curl", "pg_dump"])
def test_what_the_page_needs_is_there(program: str) -> None:
    programs = postgres.binaries()
    assert shutil.which(program) or shutil.which(program, path=str(programs)), f"{program} is not installed"


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
@pytest.mark.skipif(postgres.missing() is not None, reason=str(postgres.missing()))
def test_every_command_of_the_page_works(machine: Machine) -> None:
    pytest.importorskip("pyarrow")
    said: dict[str, str] = {}
    for step in STEP.finditer(PAGE):
        if step["file"]:
            machine.file(step["file"], step["text"])
        elif step["hook"]:
            hooks = {
                "the bank sends its keys": machine.the_bank_sends_its_keys,
                "a box delivers": machine.a_box_delivers,
            }
            hooks[step["hook"]]()
            if (
                step["hook"] == "a box delivers"
            ):  # the page's example of SQLite speaks of an archive of its own
                sqlite = str(machine.root / "var/lib/edged-central/archive.sqlite")
                open_archive(sqlite, machine.anchor()).close()
        else:
            for line in commands(step["console"]):
                said[line] = machine.command(line)

    def of(start: str) -> str:
        (found,) = [out for line, out in said.items() if line.startswith(start)]
        return found

    assert of("edged central streams").splitlines()[1].split()[:6] == [
        "box-1",
        "bank",
        "8c1f0b5a7d2e9463",
        "3",
        "3",
        "0",
    ]
    assert of("edged central holes").strip() == messages.text("delivery.whole", "en")
    assert of("edged central alarms").strip() == messages.text("alarms.none", "en")
    assert "3 envelopes (3 with their content)" in of("edged central verify --config /etc/edged-central/one")
    assert of("edged central verify --config /etc/edged-central/restored").startswith(
        "Everything holds: 1 streams, 3"
    )
    assert "edged_central_connected 1.0" in of("curl")
    assert messages.text("central.left", "en") in of("edged central leave")
    assert of("edged fleet revoke").splitlines()[-1] == "The session of box-1 at the broker is ended."
    with pytest.raises(UplinkError):
        asyncio.run(machine.box_publishes([]))
    assert (
        of("edged central export --config /etc/edged-central/one.toml --output -").strip() == "0"
    )  # none is live
    assert (machine.work / "all.csv").read_bytes().count(b"\r\n") == 4
    assert (machine.work / "bank.parquet").stat().st_size > 0
    with closing(open_reader(str(machine.work / "archive-copy.sqlite"))) as archive:
        assert archive.audiences() == []
    assert machine.stored() == 3


def test_what_is_not_run_is_installing_alone() -> None:
    """Every block of the page is run, written or shown here."""
    fences = re.findall(r"(<!-- file: \S+ -->\n)?^```(\w*)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    rest = [(kind, text) for file, kind, text in fences if not file and kind != "console"]
    assert [kind for kind, _ in rest] == ["", "sh"]
    assert rest[0][1].startswith("boxes ──")
    for line in rest[1][1].splitlines():
        assert shlex.split(line)[0] in ("apt-get", "python3", "/opt/edged/bin/pip", "ln")
    for file, text in re.findall(r"<!-- file: (\S+\.toml) -->\n```toml\n(.*?)```", PAGE, re.DOTALL):
        assert file.startswith("/etc/edged-central/")
        parse_toml(text.encode(), dict, base=ROOT)


def test_the_table_of_columns_is_the_exports() -> None:
    named = re.findall(r"^\| `(\w+)`( †)? \|", PAGE, re.MULTILINE)
    wanted: list[tuple[str, str]] = []
    for column in columns.columns(references=True):
        group = re.match(r"(check|claim)_", column.name)
        entry = (f"{group[1]}_NAME" if group else column.name, " †" if column.name in columns.LEDGER else "")
        if entry not in wanted:
            wanted.append(entry)
    assert named == wanted
    for column in columns.columns(references=True):
        assert column.meaning in PAGE or column.name.startswith(("check_", "claim_"))


def test_every_code_the_page_explains_is_one_of_ours() -> None:
    codes = re.findall(r"`((?:stream|gap|cert|jws|envelope|topic)\.\w+)`", PAGE)
    assert len(codes) >= 15
    assert [code for code in codes if not messages.known(code)] == []

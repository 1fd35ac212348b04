"""docs/fleet.md, walked through: its files are written, its commands are run in order, what they print is compared.

Only places are others (host names, ports, the stick), the fleet is a demo's because its boxes have simulated heads, and
`systemctl` starts, stops and reloads the very processes that the units would.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")

BLOCK = re.compile(
    r"<!-- (?P<how>file|append): (?P<file>\S+) -->\n```\w+\n(?P<text>.*?)```"
    r"|```console\n(?P<console>.*?)```",
    re.DOTALL,
)
PROMPT = re.compile(r"(?P<who>[a-z0-9-]+)\$ (?P<command>.*?)(?:   # exits (?P<code>\d+))?")

SYSTEMCTL = r"""#!/bin/sh
# systemctl's stand-in: what the units run, in the background of where they would.
set -eu
up() { for _ in $(seq 600); do if "$@" 2>/dev/null; then return; fi; sleep 0.05; done; exit 1; }
case "$1 $2" in
"start mosquitto")
    mosquitto -c broker/mosquitto.conf >>"$DESK/mosquitto.log" 2>&1 & echo $! >"$DESK/mosquitto.pid"
    up python3 -c "import socket; socket.create_connection(('127.0.0.1', $PORT), 1)" ;;
"reload mosquitto") kill -HUP "$(cat "$DESK/mosquitto.pid")" ;;
"start edged")
    edged run --config edged.toml >>edged.log 2>&1 & echo $! >edged.pid
    up edged status --socket control.sock >/dev/null
    up grep -q '"event": "connected"' edged.log ;;
"stop edged")
    kill "$(cat edged.pid)"
    up sh -c '! kill -0 "$(cat edged.pid)"'
    rm edged.log ;;
*) exit 64 ;;
esac
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Desk:
    """The machines of the page, as directories."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.broker, self.office = free_port(), free_port()
        (directory / "bin").mkdir(parents=True)
        self._tool("edged", f'#!/bin/sh\nexec {sys.executable} -m edged "$@"\n')
        self._tool("systemctl", SYSTEMCTL)
        self._environment = {
            **os.environ,
            "PATH": f"{directory / 'bin'}:{os.environ['PATH']}:/usr/sbin",
            "PYTHONPATH": str(ROOT),
            "LANG": "C.UTF-8",
            "DESK": str(directory),
            "PORT": str(self.broker),
            "HOME": str(directory),
            **{
                f"GIT_{who}_{what}": "admin@north.example"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
        }
        self._group: list[int] = []

    def _tool(self, name: str, text: str) -> None:
        path = self.directory / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def spoken(self, text: str) -> str:
        """The page's words for places, as they are here."""
        for word, here in (
            ("broker.example:8883", f"localhost:{self.broker}"),
            ("office.example:8884", f"localhost:{self.office}"),
            (
                "port = 8883",
                f'port = {self.broker}\naddress = "127.0.0.1"\nuser = "{getpass.getuser()}"\npersistence = "broker"',
            ),
            ("broker.example", "localhost"),
            ('host = "brokr.example"', 'host = "localhost"\nport = 1'),
            ("/media/", f"{self.directory}/media/"),
            ("probation_s = 60.0", "probation_s = 4.0"),
            ("[audiences.first-bank]", "[clock]\nrequire_synchronised = false\n\n[audiences.first-bank]"),
            ("fleet init --state", "fleet init --demo --state"),
            ("fleet serve --state north &", "fleet serve --state north >serve.log 2>&1 &"),
        ):
            text = text.replace(word, here)
        return text

    def write(self, file: str, text: str, *, append: bool) -> None:
        path = self.directory / file
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if append else "w", encoding="utf-8") as stream:
            stream.write(self.spoken(text))

    def run(self, who: str, command: str) -> tuple[int, str]:
        """One command on one machine; its exit code, and what it said: not the progress it shows beside it."""
        where = self.directory / who if who.startswith("box-") or who == "thief" else self.directory
        where.mkdir(exist_ok=True)
        for stick in re.findall(r"/media/([a-z0-9-]+)", self.spoken(command)):
            (self.directory / "media" / stick).mkdir(parents=True, exist_ok=True)
        if "/media/$box" in command:
            for box in ("box-2", "box-3"):
                (self.directory / "media" / box).mkdir(parents=True, exist_ok=True)
        output, beside = self.directory / "output", self.directory / "beside"
        with output.open("wb") as stream, beside.open("wb") as errors:
            process = subprocess.Popen(
                ["bash", "-c", self.spoken(command)],
                cwd=where,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=errors,
                start_new_session=True,
            )
            self._group.append(process.pid)
            code = process.wait(timeout=90)
        if command.endswith("&"):
            self._wait_for(self.office)
        said = beside.read_text(encoding="utf-8").splitlines()
        told = "".join(f"{line}\n" for line in said if line.startswith("edged: "))
        return code, told + output.read_text(encoding="utf-8")

    def _wait_for(self, port: int) -> None:
        for _ in range(400):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.05)
        raise AssertionError("nobody listens")

    def close(self) -> None:
        for group in self._group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "desk")
    yield made
    made.close()


def console(text: str) -> Iterator[tuple[str, str, int, list[str]]]:
    """(who, command, exit code, what the page says it prints), one after the other."""
    found: list[tuple[str, str, int, list[str]]] = []
    for line in text.splitlines():
        if (prompt := PROMPT.fullmatch(line)) is not None:
            found.append((prompt["who"], prompt["command"], int(prompt["code"] or 0), []))
        else:
            found[-1][3].append(line)
    yield from found


def differs(said: str, expected: list[str]) -> str | None:
    """The first line of the page that wasn't printed in its place; a line that is `…` alone stands for any lines."""
    lines = said.splitlines()
    at = 0
    loose = False
    for line in expected:
        if line.strip() == "…":
            loose = True
            continue
        pattern = re.compile(
            r"\s*".join(r".*".join(map(re.escape, part.split("…"))) for part in line.split()) + r"\s*"
        )
        place = next((n for n in range(at, len(lines)) if pattern.fullmatch(lines[n].strip())), None)
        if place is None or (place > at and not loose):
            return line
        at, loose = place + 1, False
    return None


@pytest.mark.timeout(400)
@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto isn't installed")
def test_the_page_works_as_it_stands(desk: Desk) -> None:
    ran = 0
    for block in BLOCK.finditer(PAGE):
        if block["file"]:
            desk.write(block["file"], block["text"], append=block["how"] == "append")
            continue
        for who, command, code, expected in console(block["console"]):
            came, said = desk.run(who, command)
            assert came == code, (command, came, said)
            assert (line := differs(said, [desk.spoken(line) for line in expected])) is None, (
                command,
                line,
                said,
            )
            ran += 1
    assert ran >= 40


def test_no_block_is_left_out() -> None:
    assert PAGE.count("```") == 2 * len(list(BLOCK.finditer(PAGE)))
    commands = [
        command
        for block in BLOCK.finditer(PAGE)
        if block["console"]
        for _, command, _, _ in console(block["console"])
    ]
    said = " ".join(commands)
    for action in (
        "init",
        "keys",
        "certify",
        "directory",
        "serve",
        "enrol",
        "privacy",
        "config push",
        "config diff",
        "config history",
        "rollout start",
        "artefact push",
        "command",
        "authority",
        "revoke",
        "list",
        "show",
    ):
        assert f"edged fleet {action}" in said, action

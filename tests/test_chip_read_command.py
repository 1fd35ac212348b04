"""`edged chip read`: what opens the chip and where it may come from, what is printed and what never is."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edged import messages
from edged.cli import main
from edged.commands import _chip_read_key
from edged.emulator.faults import FaultyCard, Injected
from edged.emulator.office import Office
from edged.emulator.profiles import profiles
from edged.privacy.leakscan import LeakScanner
from tests import logging_state, pcsc_stack
from tests.emulated_reading import ON, PASSPORT

PATIENCE_S = 60.0
MRZ = "\n".join(PASSPORT) + "\n"
SECRETS = ("ERIKSSON", "ANNA", "L898902C3", "740812", "ZE184226B")


@pytest.fixture(scope="module")
def the_office() -> Office:
    return Office("UT", on=ON, seed="chip read")


def laid(office: Office, profile: str = "pace-gm", fault: str | None = None) -> FaultyCard:
    return office.lay(profiles()[profile], PASSPORT, Injected.parse(fault) if fault else None)


@pytest.fixture(scope="module")
def trust(the_office: Office, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that trusts the emulated state."""
    directory = tmp_path_factory.mktemp("trust")
    laid(the_office)  # its state is made with its first document
    files = []
    for name, octets in the_office.trust().items():
        if not name.endswith(".ml"):
            (directory / name).write_bytes(octets)
            files.append(str(directory / name))
    store = directory / "store"
    assert main(["trust", "import", "--trust", str(store), "--yes", *files]) == 0
    return store


@contextlib.contextmanager
def lying(path: Path, office: Office, fault: str | None = None, profile: str = "pace-gm") -> Iterator[None]:
    """An emulated document that lies on the simulated reader at `path` as soon as there is one."""
    card = laid(office, profile, fault)

    def answer(apdu: bytes) -> bytes | None:
        said, whole = card.say(apdu)
        return said if whole else None

    stop = threading.Event()
    laid_down: list[pcsc_stack.Card] = []

    def lay() -> None:
        while not stop.wait(0.01):
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(path))
            except OSError:
                connection.close()
                continue
            laid_down.append(pcsc_stack.Card(connection, answer))
            return

    thread = threading.Thread(target=lay)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for one in laid_down:
            one.remove()


class Run:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The command sets up logging for its process, which here is everybody's."""
    with logging_state.restored():
        yield


@pytest.fixture
def edged(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(*arguments: str, given: str = MRZ) -> Run:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        capsys.readouterr()
        try:
            code = main(["chip", "read", *arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        seen = capsys.readouterr()
        for secret in SECRETS:
            assert secret not in seen.out + seen.err
        return Run(code, seen.out, seen.err)

    return run


def test_a_genuine_chip(edged: Any, tmp_path: Path, the_office: Office, trust: Path) -> None:
    with lying(tmp_path / "s", the_office):
        run = edged("--socket", str(tmp_path / "s"), "--trust", str(trust))
    assert run.code == 0, run.out + run.err
    for name in ("chip_access", "pa_signature", "pa_certificate", "pa_issuer", "pa_hashes", "chip_mrz"):
        assert (
            f"{messages.text(f'check_name.{name}', 'en')}: {messages.text('result.successful', 'en')}"
            in run.out
        )
    assert messages.text("chipread.simulated", "en") in run.out
    assert messages.word("portrait", "en") in run.out


@pytest.mark.parametrize(
    ("fault", "code", "failed"),
    [
        ("cloned", 1, "chip_authentication"),
        ("tampered-mrz", 1, "pa_hashes"),
        ("foreign-signer", 1, "pa_issuer"),
        ("removed:20", 2, None),
    ],
)
def test_what_is_wrong_is_told(
    edged: Any, tmp_path: Path, the_office: Office, trust: Path, fault: str, code: int, failed: str | None
) -> None:
    with lying(tmp_path / "s", the_office, fault, "pace-cam" if fault == "cloned" else "pace-gm"):
        run = edged("--socket", str(tmp_path / "s"), "--trust", str(trust), "--json")
    assert run.code == code, run.out
    results = {check["name"]: check["result"] for check in run.json["checks"]}
    if failed is not None:
        assert results[failed] == "failed"
    assert all(reason["text"] for check in run.json["checks"] for reason in check["reasons"])


def test_as_json(edged: Any, tmp_path: Path, the_office: Office, trust: Path) -> None:
    with lying(tmp_path / "s", the_office):
        run = edged("--socket", str(tmp_path / "s"), "--trust", str(trust), "--json")
    told = run.json
    assert told["result"] == "successful"
    assert told["reader"] == {"driver": "simulated", "identity": "simulated-chip", "simulated": True}
    assert {"EF.SOD", "DG1", "DG2"} <= told["files"].keys()
    phases = {one["phase"]: one for one in told["phases"]}
    assert {"select", "access", "data", "portrait"} <= phases.keys()
    assert phases["portrait"]["octets"] == told["files"]["DG2"]
    counted = sum(one["octets"] for one in told["phases"])
    assert counted == sum(told["files"].values())
    assert not LeakScanner([("line", PASSPORT[1]), ("name", "ERIKSSON")]).scan(run.out.encode())


def test_without_trust_nothing_is_proved(edged: Any, tmp_path: Path, the_office: Office) -> None:
    with lying(tmp_path / "s", the_office):
        run = edged("--socket", str(tmp_path / "s"), "--trust", str(tmp_path / "none"))
    assert run.code == 2
    assert messages.text("chipread.no_trust", "en") in run.out


def test_without_the_portrait(edged: Any, tmp_path: Path, the_office: Office, trust: Path) -> None:
    with lying(tmp_path / "s", the_office):
        run = edged("--socket", str(tmp_path / "s"), "--trust", str(trust), "--no-portrait", "--json")
    assert "DG2" not in run.json["files"]


def test_bac_only_where_it_is_allowed(edged: Any, tmp_path: Path, the_office: Office, trust: Path) -> None:
    common = ["--socket", str(tmp_path / "s"), "--trust", str(trust), "--json"]
    with lying(tmp_path / "s", the_office, "pace-fails"):
        strict = edged(*common)
    with lying(tmp_path / "s", the_office, "pace-fails"):
        lenient = edged(*common, "--bac-after-failed-pace")
    assert "DG1" not in strict.json["files"]
    assert "DG1" in lenient.json["files"]
    for run in (strict, lenient):
        assert {check["name"]: check["result"] for check in run.json["checks"]}["chip_access"] == "failed"


# --- what opens it --------------------------------------------------------------------------------------------------


def test_the_key_from_a_file(edged: Any, tmp_path: Path, the_office: Office) -> None:
    (tmp_path / "mrz").write_text(MRZ)
    with lying(tmp_path / "s", the_office):
        run = edged("--socket", str(tmp_path / "s"), "--mrz-file", str(tmp_path / "mrz"), "--json", given="")
    assert "DG1" in run.json["files"]


@pytest.mark.parametrize(
    ("arguments", "given", "code"),
    [
        ([], "", os.EX_DATAERR),
        ([], "hello\n", os.EX_DATAERR),
        (["--mrz-file", "-"], "A" * 5000, os.EX_DATAERR),
        (["--can"], "12a456\n", os.EX_DATAERR),
        (["--can"], "", os.EX_DATAERR),
        (["--mrz-file", PASSPORT[1]], "", os.EX_DATAERR),
        (["--mrz-file", "nul\0"], "", os.EX_DATAERR),
        (["--can", "740812"], "", os.EX_USAGE),
        (["--mrz", *PASSPORT], "", os.EX_USAGE),
        (["--can", "--mrz-file", "-"], "", os.EX_USAGE),
        (["--mrz", PASSPORT[0]], "", os.EX_USAGE),
        (["--show-identity"], MRZ, os.EX_USAGE),
        (["--show-identity", "--json"], MRZ, os.EX_USAGE),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_read(
    edged: Any, tmp_path: Path, arguments: list[str], given: str, code: int
) -> None:
    run = edged("--socket", str(tmp_path / "s"), *arguments, given=given)
    assert run.code == code
    assert run.err
    assert not (tmp_path / "s").exists()


def test_a_wrong_check_digit_is_told(edged: Any, tmp_path: Path, the_office: Office) -> None:
    with lying(tmp_path / "s", the_office):
        run = edged("--socket", str(tmp_path / "s"), given=MRZ.replace("C36UTO", "C35UTO"))
    assert messages.text("chipread.check_digits", "en") in run.err


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ([PASSPORT[0], PASSPORT[1]], 2),
        (
            [
                "I<UTOD231458907<<<<<<<<<<<<<<<",
                "7408122F1204159UTO<<<<<<<<<<<6",
                "ERIKSSON<<ANNA<MARIA<<<<<<<<<<",
            ],
            3,
        ),
    ],
)
def test_at_a_terminal_it_is_asked_for_without_echo(
    typed: list[str], asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import argparse
    from datetime import date

    prompts: list[str] = []

    def getpass(prompt: str, stream: object) -> str:
        prompts.append(prompt)
        return typed[len(prompts) - 1]

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", getpass)
    args = argparse.Namespace(can=False, mrz_file=None, lang="en")
    opener = _chip_read_key.take_key(args, date(2026, 6, 1))
    assert len(prompts) == asked
    assert opener.key.opens_bac
    assert repr(opener).count("withheld") == 1


# --- around it ------------------------------------------------------------------------------------------------------


def test_waiting_ends_when_it_was_told_to(edged: Any, tmp_path: Path) -> None:
    run = edged("--socket", str(tmp_path / "s"), "--wait", "0.05")
    assert run.code == os.EX_UNAVAILABLE
    assert messages.text("chipread.lay_it_down", "en") in run.err
    assert messages.text("chipread.no_card", "en") in run.err


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "edged", "chip", "read", *arguments]


def test_identity_is_shown_on_a_terminal(tmp_path: Path, the_office: Office, trust: Path) -> None:
    ours, theirs = pty.openpty()
    with lying(tmp_path / "s", the_office):
        arguments = command("--socket", str(tmp_path / "s"), "--trust", str(trust), "--show-identity")
        process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=theirs, stderr=subprocess.DEVNULL)
        os.close(theirs)
        assert process.stdin is not None
        process.stdin.write(MRZ.encode())
        process.stdin.close()
        shown = b""
        with contextlib.suppress(OSError):  # EIO: they have ended
            while more := os.read(ours, 4096):
                shown += more
        assert process.wait(PATIENCE_S) == 0
    os.close(ours)
    text = shown.decode()
    assert PASSPORT[1] in text
    assert f"{messages.word('surname', 'en')}: ERIKSSON" in text
    assert "JPEG" in text


def test_interrupted_it_ends_at_once(tmp_path: Path) -> None:
    process = subprocess.Popen(
        # Tests that a shell runs in its background have SIGINT ignored, and so would what they start.
        ["env", "--default-signal=INT", *command("--socket", str(tmp_path / "s"))],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(MRZ)
    process.stdin.close()
    assert process.stderr.readline().strip() == messages.text("chipread.lay_it_down", "en")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 130
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert not (tmp_path / "s").exists()


@pytest.fixture
def pcscd() -> Iterator[pcsc_stack.Pcscd]:
    if why := pcsc_stack.missing():
        pytest.skip(why)
    with pcsc_stack.running() as made:
        yield made


def test_through_the_real_service(
    edged: Any, pcscd: pcsc_stack.Pcscd, the_office: Office, trust: Path
) -> None:
    card = laid(the_office)
    lies = pcsc_stack.Card(pcscd.connect(pcsc_stack.PORTS[0]), lambda apdu: card.say(apdu)[0])
    run = edged("--trust", str(trust), "--json")
    lies.remove()
    assert run.code == 0, run.out
    assert run.json["reader"] == {"driver": "pcsc", "identity": "Virtual PCD 00 00", "simulated": True}


def test_the_readers_are_listed(edged: Any, pcscd: pcsc_stack.Pcscd) -> None:
    run = edged("--list", "--json")
    assert [reader["name"] for reader in run.json["readers"]] == ["Virtual PCD 00 00", "Virtual PCD 00 01"]
    shown = edged("--list").out
    assert messages.text("chipread.reader_used", "en") in shown
    assert messages.text("chipread.reader_simulated", "en") in shown


@pytest.mark.parametrize("arguments", [["--list"], []])
def test_without_the_service_it_says_how_to_start_it(
    edged: Any, pcscd: pcsc_stack.Pcscd, arguments: list[str]
) -> None:
    pcscd.kill()
    run = edged(*arguments)
    assert run.code == os.EX_UNAVAILABLE
    assert "systemctl enable --now pcscd.socket" in run.err


def test_another_reader_is_asked_for(edged: Any, pcscd: pcsc_stack.Pcscd) -> None:
    run = edged("--reader", "omnikey")
    assert run.code == os.EX_UNAVAILABLE
    assert messages.text("chip.no_such_reader", "en") in run.err

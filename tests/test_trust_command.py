"""`edged trust`: what an operator sees of imports, coverage and the way back; and that a kill leaves a whole store."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edged.cli import main
from edged.core.emrtd.trust_anchors import TrustAnchors
from edged.trust import loading
from edged.trust.generation import Generation
from edged.trust.loading import LiveTrust, anchors_of, load_anchors
from edged.trust.store import TrustStore
from tests import trust_builders as world

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
ROOT = world.issue("UT", "CSCA Utopia")
SIGNER = world.signer(ROOT, "UT")
FRANCE = world.issue("FR", "CSCA-FRANCE")
ITALY = world.issue("IT", "CSCA Italia\x1b[31m")


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with files to import; its store is $EDGED_TRUST."""
    monkeypatch.setenv("EDGED_TRUST", str(tmp_path / "store"))
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.chdir(tmp_path)
    old = world.master_list(SIGNER, [ROOT.der, FRANCE.der], JUNE)
    new = world.master_list(SIGNER, [ROOT.der, ITALY.der], JUNE.replace(month=7))
    for name, data in (
        ("old.ml", old),
        ("new.ml", new),
        ("root.cer", ROOT.der),
        ("italy.pem", ITALY.pem),
        ("france.crl", world.crl(FRANCE, [1])),
        ("junk.bin", b"nothing"),
    ):
        (tmp_path / name).write_bytes(data)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        code = main(["trust", *words])
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code, out, _ = run(capsys, *words, "--json")
    return code, json.loads(out)


def test_from_nothing_to_a_store_and_back(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "import", "old.ml")
    assert code == 1
    assert "No pinned root vouches" in out
    assert "--root FILE" in out
    assert not (box / "store" / "manifest").exists()

    code, out, _ = run(capsys, "import", "old.ml", "--root", "root.cer")
    assert code == 0
    assert "2 added (0 of them expired)" in out
    assert "France (FR)" in out
    assert f"Pinned as a root of master lists: {ROOT.fingerprint[:4]} " in out

    code, out, _ = run(capsys, "import", "new.ml", "--dry-run")
    assert code == 0
    assert "States no longer covered: France (FR)." in out
    assert TrustStore(box / "store").current().number == 1

    code, out, _ = run(capsys, "import", "new.ml")
    assert code == 0
    assert f"+ {ITALY.fingerprint[:16]}" in out
    assert f"- {FRANCE.fingerprint[:16]}" in out
    assert "generation 2 now" in out
    assert "\x1b" not in out

    assert run(capsys, "import", "new.ml")[1].endswith("Nothing changed.\n")
    assert run(capsys, "rollback")[1].startswith("The trust store is at generation 1 again")
    code, kept = as_json(capsys, "rollback", "--list")
    assert (kept["current"], [one["number"] for one in kept["generations"]]) == (1, [1, 2])
    assert "← in force" in run(capsys, "rollback", "--list")[1].splitlines()[0]
    assert run(capsys, "rollback", "7")[0] != 0
    assert as_json(capsys, "rollback", "2")[1]["generation"] == 2


def test_json_of_an_import(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = as_json(capsys, "import", "old.ml", "france.crl", "italy.pem", "--root", "root.cer")
    assert code == 1
    assert [one["code"] for one in found["refused"]] == ["trustimport.unconfirmed"]
    assert found["generation"] == 1
    assert [one["state"] for one in found["lists"] + found["crls"]] == ["new", "new"]
    assert {one["fingerprint"] for one in found["added"]} == {ROOT.fingerprint, FRANCE.fingerprint}
    assert found["states_gained"] == ["FR", "UT"]


def test_a_single_certificate(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "import", "italy.pem")
    assert code == 1
    assert f"--fingerprint {ITALY.fingerprint}" in out
    assert "\x1b" not in out
    spelled = ":".join(ITALY.fingerprint[at : at + 2] for at in range(0, 64, 2)).upper()
    assert run(capsys, "import", "italy.pem", "--fingerprint", spelled)[0] == 0
    code, out, _ = run(capsys, "show", "ITA")
    assert code == 0
    assert "imported alone" in out
    assert "[italy.pem]" in out
    assert run(capsys, "import", "italy.pem", "--fingerprint", "12")[0] == 64


def test_files_that_can_t_be_used_change_nothing(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, exit_code, code in (
        (("old.ml", "junk.bin", "--root", "root.cer"), 65, "trustfile.unknown"),
        (("old.ml", "absent.ml", "--root", "root.cer"), 66, "trustfile.unreadable"),
        (("old.ml", "--root", "old.ml"), 65, "trustfile.no_certificate"),
        (("old.ml", "--root", "absent.cer"), 66, "trustfile.unreadable"),
    ):
        found = as_json(capsys, "import", *words)
        assert (found[0], found[1]["error"]) == (exit_code, code)
        assert run(capsys, "import", *words)[2].count("\n") == 1
    assert not (box / "store").exists()


def test_a_directory_of_files(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "import", str(box), "--root", "root.cer", "--yes")
    assert code == 1
    assert "junk.bin: no trust data, left out" in out
    assert "france.crl: refused" in out  # the newer list has no France
    assert as_json(capsys, "coverage")[1]["generation"] == 1


def test_list_show_and_coverage(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "list")[0] == 1
    assert run(capsys, "coverage")[0] == 1
    run(capsys, "import", "old.ml", "france.crl", "--root", "root.cer")
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert out.index("France (FR)") < out.index(FRANCE.fingerprint[:16]) < out.index(ROOT.fingerprint[:16])
    for spelling in ("FR", "fra"):
        code, found = as_json(capsys, "list", "--state", spelling)
        assert [one["fingerprint"] for one in found["certificates"]] == [FRANCE.fingerprint]
        assert [one["revoked"] for one in found["crls"]] == [1]
    assert run(capsys, "list", "--state", "DE")[0] == 1
    assert run(capsys, "list", "--state", "QQQ")[0] == 64
    code, found = as_json(capsys, "show", FRANCE.fingerprint[:8])
    (one,) = found["certificates"]
    assert one["issuer"] == "C=FR, CN=CSCA-FRANCE"
    assert [source["publisher"] for source in one["sources"]] == ["UT"]
    assert "from the master list of" in run(capsys, "show", FRANCE.fingerprint[:8])[1]
    assert run(capsys, "show", "ffff0000ffff")[0] == 1
    code, out, _ = run(capsys, "coverage", "--at", "2026-07-01")
    assert code == 0
    assert (
        "France (FR): 1 valid, the last until 2035-01-01; 1 revocation lists, the newest 181 days old" in out
    )
    assert "Not covered, though their documents are to be expected:" in out
    assert "法国 (FR)" in run(capsys, "coverage", "--lang", "zh-CN")[1]


def test_roots_are_shown_and_forgotten(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "roots")[0] == 1
    run(capsys, "import", "old.ml", "--root", "root.cer")
    assert "C=UT, CN=CSCA Utopia" in run(capsys, "roots")[1]
    assert as_json(capsys, "roots")[1]["roots"][0]["fingerprint"] == ROOT.fingerprint
    assert run(capsys, "roots", "--forget", "0000")[0] != 0
    assert run(capsys, "roots", "--forget", ROOT.fingerprint[:8])[0] == 1
    assert len(load_anchors(box / "store")) == 0
    run(capsys, "rollback")
    assert len(load_anchors(box / "store")) == 2


def test_a_damaged_store_is_told(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "import", "old.ml", "--root", "root.cer")
    run(capsys, "import", "new.ml")
    file = box / "store" / "generation-2"
    file.write_bytes(file.read_bytes()[:-1])
    code, _, err = run(capsys, "list")
    assert code != 0
    assert "damaged" in err
    assert run(capsys, "rollback", "1")[0] == 0
    assert run(capsys, "list")[0] == 0


def test_a_running_daemon_sees_an_import(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    live = LiveTrust(box / "store")

    def anchors() -> TrustAnchors:
        return asyncio.run(live.anchors())

    assert len(anchors()) == 0
    run(capsys, "import", "old.ml", "--root", "root.cer")
    assert anchors().countries == {"UT", "FR"}
    assert anchors() is anchors()
    run(capsys, "import", "new.ml")
    assert anchors().countries == {"UT", "IT"}
    (box / "store" / "manifest").write_bytes(b"")
    assert anchors().countries == {"UT", "IT"}


async def test_loading_an_import_does_not_hold_up_the_loop(
    box: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    live = LiveTrust(box / "store")
    run(capsys, "import", "old.ml", "--root", "root.cer")
    turned = threading.Event()

    def slow(generation: Generation) -> TrustAnchors:
        assert turned.wait(10), "the event loop waits for the disk"
        return anchors_of(generation)

    monkeypatch.setattr(loading, "anchors_of", slow)
    loads = [asyncio.create_task(live.anchors()) for _ in range(2)]
    await asyncio.sleep(0)
    turned.set()
    assert [found.countries for found in await asyncio.gather(*loads)] == [{"UT", "FR"}] * 2


KILLED = """
import contextlib, io, os, signal, sys
from edged.cli import main
from edged.commands import _trust_import
from edged.trust.store import TrustStore
from pathlib import Path

store, new = sys.argv[1:]

def deadly(name):
    real = getattr(os, name)
    def call(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(os, name, call)

for step in range(100):
    child = os.fork()
    if not child:
        left = step
        for name in ("open", "fdopen", "fchmod", "fsync", "rename", "unlink", "listdir"):
            deadly(name)
        with contextlib.redirect_stdout(io.StringIO()):
            os._exit(main(["trust", "import", "--trust", store, new]))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    held = TrustStore(Path(store)).current()
    print(status, held.number, len(held.certificates), "FR" in {one.country for one in held.certificates})
    if not status:
        break
    if held.number != 1:
        with TrustStore(Path(store)).changing() as change:
            change.roll_back(1, held.made)
"""
"""Kills an import at its first call to the disk, then at its second, and so on until it gets through."""


def test_a_killed_import_leaves_the_old_store_or_the_new(
    box: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "import", "old.ml", "--root", "root.cer")[0] == 0
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(box / "store"), str(box / "new.ml")],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    seen = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in seen] == ["-9"] * (len(seen) - 1) + ["0"]
    assert {(line[2], line[3]) for line in seen if line[1] == "1"} == {("2", "True")}
    assert {(line[2], line[3]) for line in seen if line[1] != "1"} == {("2", "False")}
    assert sum(line[1] == "1" for line in seen) > 5
    assert sum(line[1] != "1" for line in seen) > 1
    assert not list((box / "store").glob(".*"))

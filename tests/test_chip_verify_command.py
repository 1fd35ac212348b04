"""`edged chip verify`: passive authentication of saved files, with exit codes that scripts can rely on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edged.cli import main
from tests import trust_builders as world

SHARED = Path(__file__).parent.parent.parent / "shared/chip"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no genuine security objects on this machine")

MRZ = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<L898902C36UTO7408122F1204159ZE184226B<<<<<10"
GROUPS = {1: world.dg1(MRZ), 2: b"\x75\x03abc", 14: b"\x6e\x03xyz"}
ROOT = world.issue("UT", "CSCA Utopia")
DS = world.issue("UT", "Document Signer", ROOT, ca=False, serial=77)
FOREIGN = world.issue("FR", "CSCA-FRANCE")
FOREIGN_DS = world.issue("FR", "Document Signer", FOREIGN, ca=False)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGED_TRUST", str(tmp_path / "store"))
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.chdir(tmp_path)
    sod = world.sod(DS, GROUPS)
    changed = GROUPS[1].replace(b"ERIKSSON", b"ERIKSEN<")
    for name, data in (
        ("sod", sod),
        ("sod.cms", sod[4:]),
        ("sod.cut", sod[:-5]),
        ("sod.forged", sod[:-5] + bytes((sod[-5] ^ 1,)) + sod[-4:]),
        ("sod.foreign", world.sod(FOREIGN_DS, GROUPS)),
        ("root.cer", ROOT.der),
        ("foreign.cer", FOREIGN.der),
        (
            "list.ml",
            world.master_list(world.signer(ROOT, "UT"), [ROOT.der], datetime(2026, 1, 1, tzinfo=UTC)),
        ),
        ("revoked.crl", world.crl(ROOT, [77])),
        ("dg1", GROUPS[1]),
        ("dg1.changed", changed),
        ("dg2", GROUPS[2]),
        ("dg3", b"\x63\x00"),
        ("junk", b"nothing at all"),
        ("list-as-sod", world.master_list(DS, [], datetime(2026, 1, 1, tzinfo=UTC))),
    ):
        (tmp_path / name).write_bytes(data)
    assert sod[1] == 0x82
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        code = main(["chip", "verify", *words])
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    shown = capsys.readouterr()
    for text in (shown.out, shown.err):
        assert "ERIKS" not in text
        assert "L898902C" not in text
    return code, shown.out, shown.err


def judged(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, str], Any]:
    code, out, _ = run(capsys, *words, "--json")
    found = json.loads(out)
    return code, {check["name"]: check["result"] for check in found["checks"]}, found


def test_a_genuine_document(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--sod", "sod", "--dg", "1=dg1", "--dg", "2=dg2", "--anchor", "root.cer")
    code, checks, found = judged(capsys, *words)
    assert code == 0
    assert set(checks.values()) == {"successful"}
    assert list(checks) == ["pa_signature", "pa_certificate", "pa_issuer", "pa_hashes"]
    assert (found["matching"], found["not_checked"]) == ([1, 2], [14])
    assert found["signer"]["fingerprint"] == DS.fingerprint
    assert found["anchor"]["fingerprint"] == ROOT.fingerprint
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert "Not checked: DG14." in out
    assert "As signed: DG1, DG2" in out
    assert out.rstrip().endswith("every data group given is as it was signed.")


def test_the_store_is_used(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--sod", "sod")[0] == 2
    assert main(["trust", "import", "list.ml", "--root", "root.cer"]) == 0
    capsys.readouterr()
    assert run(capsys, "--sod", "sod")[0] == 0
    assert run(capsys, "--sod", "sod.cms")[0] == 0
    assert run(capsys, "--sod", "sod", "--trust", "elsewhere")[0] == 2
    assert main(["trust", "import", "revoked.crl"]) == 0
    capsys.readouterr()
    code, checks, _ = judged(capsys, "--sod", "sod")
    assert (code, checks["pa_certificate"]) == (1, "failed")


def test_no_trust_data_is_undetermined(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, checks, found = judged(capsys, "--sod", "sod", "--dg", "1=dg1")
    assert code == 2
    assert (checks["pa_signature"], checks["pa_certificate"]) == ("successful", "undetermined")
    assert (checks["pa_hashes"], found["anchors"]) == ("successful", 0)
    assert "There is no trust data" in run(capsys, "--sod", "sod")[1]


@pytest.mark.parametrize(
    ("words", "failed"),
    [
        (("--sod", "sod", "--dg", "1=dg1.changed"), "pa_hashes"),
        (("--sod", "sod", "--dg", "1=dg1", "--dg", "2=dg1"), "pa_hashes"),
        (("--sod", "sod", "--dg", "1=dg1", "--dg", "3=dg3"), "pa_hashes"),
        (("--sod", "sod.forged", "--dg", "1=dg1"), "pa_signature"),
        (("--sod", "sod.foreign", "--dg", "1=dg1", "--anchor", "foreign.cer"), "pa_issuer"),
        (("--sod", "sod", "--at", "2019-06-01"), "pa_certificate"),
    ],
)
def test_what_fails(
    box: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], failed: str
) -> None:
    code, checks, _ = judged(capsys, *words, "--anchor", "root.cer")
    assert code == 1
    assert checks[failed] == "failed"
    assert "Failed: this is not what a state signed" in run(capsys, *words, "--anchor", "root.cer")[1]


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (("--sod", "junk"), 65),
        (("--sod", "sod.cut"), 65),
        (("--sod", "dg1"), 65),
        (("--sod", "list-as-sod"), 65),
        (("--sod", "absent"), 66),
        (("--sod", "sod", "--dg", "1=absent"), 66),
        (("--sod", "sod", "--anchor", "junk"), 65),
        (("--sod", "sod", "--anchor", "absent"), 66),
        (("--sod", "sod", "--anchor", "list.ml"), 65),
        (("--sod", "sod", "--dg", "0=dg1"), 64),
        (("--sod", "sod", "--dg", "17=dg1"), 64),
        (("--sod", "sod", "--dg", "dg1"), 64),
        (("--sod", "sod", "--dg", "1=dg1", "--dg", "1=dg2"), 64),
        ((), 64),
    ],
)
def test_what_can_t_be_judged(
    box: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], exit_code: int
) -> None:
    assert run(capsys, *words)[0] == exit_code


def test_a_list_as_anchor(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--sod", "sod", "--anchor", "list.ml", "--root", "root.cer")[0] == 0
    assert not (box / "store").exists()


@pytest.fixture(scope="module")
def real_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("real") / "store"
    lists = SHARED / "master-lists"
    words = [str(lists / "DE_ML_2025-10-14-12-26-34.ml"), "--root", str(lists / "DE_ROOT_CA_CSCA07.cer")]
    assert main(["trust", "import", "--trust", str(store), *words]) == 0
    return store


@needs_shared
@pytest.mark.parametrize("name", ["AU-2016-rsa-pkcs1", "DE-2023-ecdsa-sha384", "MY-2022-rsa-pss"])
def test_genuine_security_objects(real_store: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = SHARED / "sod" / f"{name}.sod"
    code, checks, found = judged(capsys, "--sod", str(file), "--trust", str(real_store))
    assert code == 0
    assert (checks["pa_signature"], checks["pa_certificate"]) == ("successful", "successful")
    assert found["anchor"]["country"] == name[:2]


@needs_shared
@pytest.mark.parametrize("name", ["AU-2016-rsa-pkcs1", "DE-2023-ecdsa-sha384", "MY-2022-rsa-pss"])
def test_tampered_security_objects(
    box: Path, real_store: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = bytearray((SHARED / "sod" / f"{name}.sod").read_bytes())
    whole[-8] ^= 0x10  # in the signature
    (box / "tampered").write_bytes(whole)
    assert run(capsys, "--sod", "tampered", "--trust", str(real_store))[0] == 1


@needs_shared
def test_the_bsi_s_specimen_has_no_anchor(real_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chip = SHARED / "bsi-2008"
    groups = [word for number in (1, 2, 3, 14) for word in ("--dg", f"{number}={chip / f'01{number:02X}'}")]
    code, checks, found = judged(capsys, "--sod", str(chip / "011D"), *groups, "--trust", str(real_store))
    assert code == 2
    assert (checks["pa_signature"], checks["pa_certificate"]) == ("successful", "undetermined")
    assert (found["matching"], found["mismatching"], found["not_checked"]) == ([1, 2, 3, 14], [], [])

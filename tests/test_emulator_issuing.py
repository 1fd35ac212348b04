"""What an emulated state signs, judged by others: OpenSSL, and the product's own passive authentication."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from edged import specimens
from edged.core.emrtd import tlv
from edged.core.emrtd.certificates import parse_certificate
from edged.core.emrtd.dg1 import read_dg1
from edged.core.emrtd.dg11 import parse_dg11
from edged.core.emrtd.dg12 import parse_dg12
from edged.core.emrtd.ef_com import com_against_sod, parse_com
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.portrait_file import decode_portrait, find_portrait
from edged.core.emrtd.security_object import security_object_of_sod
from edged.emulator import issuing, portraits
from edged.emulator.data_groups import dg2
from edged.emulator.faults import Fault, Injected
from edged.emulator.mrz_lines import in_chip
from edged.emulator.office import Office, country_of
from edged.emulator.profiles import profiles
from edged.emulator.signers import Scheme
from edged.emulator.state import State, Validity
from edged.errors import DecodeError
from edged.verdict import Result
from tests.emulated_reading import ON, PASSPORT, anchors, office, passive

AT = str(int(datetime(2026, 6, 15, tzinfo=UTC).timestamp()))
openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")

NAMED = (
    Scheme("ECDSA", curve="secp256r1"),
    Scheme("ECDSA", digest="sha384", curve="secp384r1"),
    Scheme("ECDSA", curve="brainpoolP256r1"),
    Scheme("ECDSA", digest="sha384", curve="brainpoolP384r1"),
    Scheme("RSA"),
    Scheme("RSA-PSS", mask="sha1"),
)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True)


@openssl
@pytest.mark.parametrize("scheme", NAMED, ids=lambda one: f"{one.kind}-{one.curve}")
def test_openssl_believes_what_the_state_signed(scheme: Scheme, tmp_path: Path) -> None:
    state = State("UT", on=ON, scheme=scheme, seed="openssl")
    signer = state.document_signer(scheme)
    groups = {ElementaryFile.DG1: b"a", ElementaryFile.DG2: b"b"}
    sod = issuing.security_object(groups, signer, digest="sha256", on=ON, version=1)
    files = {
        "csca.der": state.csca.der,
        "signer.der": signer.der,
        "link.der": state.link(state.successor()),
        "list.crl": state.crl([signer]),
        "sod.cms": bytes(tlv.only(sod, 0x77)),
        "list.ml": state.master_list([state.successor().csca.der]),
    }
    for name, octets in files.items():
        (tmp_path / name).write_bytes(octets)
    for name in ("csca", "signer", "link"):
        assert (
            run(tmp_path, "x509", "-inform", "DER", "-in", f"{name}.der", "-out", f"{name}.pem").returncode
            == 0
        )
    chain = ("-partial_chain", "-CAfile", "csca.pem", "-attime", AT)
    for certificate in ("csca.pem", "signer.pem", "link.pem"):
        assert run(tmp_path, "verify", *chain, certificate).returncode == 0
    assert run(tmp_path, "crl", "-inform", "DER", "-in", "list.crl", "-out", "crl.pem").returncode == 0
    revoked = run(tmp_path, "verify", *chain, "-crl_check", "-CRLfile", "crl.pem", "signer.pem")
    assert "certificate revoked" in revoked.stderr
    for name in ("sod.cms", "list.ml"):
        signed = (
            "cms",
            "-verify",
            "-binary",
            "-inform",
            "DER",
            "-in",
            name,
            "-purpose",
            "any",
            "-out",
            "content",
        )
        verified = run(tmp_path, *signed, "-CAfile", "csca.pem", "-attime", AT)
        assert verified.returncode == 0, verified.stderr
    (tmp_path / "sod.cms").write_bytes(files["sod.cms"][:-1] + bytes((files["sod.cms"][-1] ^ 1,)))
    forged = (
        "cms",
        "-verify",
        "-binary",
        "-inform",
        "DER",
        "-in",
        "sod.cms",
        "-purpose",
        "any",
        "-out",
        "content",
    )
    assert run(tmp_path, *forged, "-CAfile", "csca.pem", "-attime", AT).returncode != 0


@openssl
def test_openssl_reads_explicit_curves(tmp_path: Path) -> None:
    """It refuses to build a chain with them, and checks the signature all the same."""
    scheme = Scheme("ECDSA", digest="sha384", curve="brainpoolP384r1", explicit=True)
    state = State("UT", on=ON, scheme=scheme, seed="openssl")
    (tmp_path / "csca.der").write_bytes(state.csca.der)
    said = run(tmp_path, "x509", "-inform", "DER", "-in", "csca.der", "-noout", "-text").stdout
    assert "Field Type: prime-field" in said
    assert "CN = CSCA UT 01" in said
    (tmp_path / "crl.der").write_bytes(state.crl([]))
    run(tmp_path, "x509", "-inform", "DER", "-in", "csca.der", "-out", "csca.pem")
    assert (
        "verify OK" in run(tmp_path, "crl", "-inform", "DER", "-in", "crl.der", "-CAfile", "csca.pem").stderr
    )


@pytest.mark.parametrize("name", profiles())
def test_passive_authentication_holds_for_every_kind(name: str) -> None:
    of = office()
    files = of.personalise(profiles()[name], PASSPORT).files
    checks = {check.name: check.result for check in passive(of, files).checks}
    assert checks == dict.fromkeys(
        ("pa_signature", "pa_certificate", "pa_issuer", "pa_hashes"), Result.SUCCESSFUL
    )


_LEAVES_OPEN = (Fault.TAMPERED_SIGNATURE, Fault.FORGED_AUTHORITY)


@pytest.mark.parametrize(
    ("fault", "check", "result"),
    [
        (Fault.TAMPERED_MRZ, "pa_hashes", Result.FAILED),
        (Fault.SWAPPED_PORTRAIT, "pa_hashes", Result.FAILED),
        (Fault.TAMPERED_SIGNATURE, "pa_signature", Result.FAILED),
        (Fault.FOREIGN_SIGNER, "pa_issuer", Result.FAILED),
        (Fault.FORGED_AUTHORITY, "pa_certificate", Result.FAILED),
        (Fault.EXPIRED_SIGNER, "pa_certificate", Result.FAILED),
        (Fault.REVOKED_SIGNER, "pa_certificate", Result.FAILED),
        (Fault.CLONED, "", None),
        (Fault.SWAPPED_CHIP, "", None),
    ],
)
@pytest.mark.parametrize("name", ["pace-gm", "bac", "bac-plain", "pace-im"])
def test_a_fault_of_issuing_fails_its_check_and_no_other(
    name: str, fault: Fault, check: str, result: Result | None
) -> None:
    of = office()
    files = of.personalise(profiles()[name], PASSPORT, Injected.parse(fault.value)).files
    found = {one.name: one.result for one in passive(of, files).checks}
    # Without a chain to a trusted CSCA, or a signature, it can't be said whose signer it is: the one thing left open.
    left_open = {"pa_certificate", "pa_issuer"} if fault in _LEAVES_OPEN else set()
    assert {one for one, said in found.items() if said is Result.FAILED} == ({check} if check else set())
    assert {one for one, said in found.items() if said is Result.UNDETERMINED} <= left_open
    assert not check or found[check] is result


def test_a_swapped_chip_has_another_name_and_the_same_key() -> None:
    of, kind = office(), profiles()["pace-gm"]
    good, other = (
        of.personalise(kind, PASSPORT),
        of.personalise(kind, PASSPORT, Injected(Fault.SWAPPED_CHIP, 1)),
    )
    assert good.mrz_information == other.mrz_information == b"L898902C3674081223104150"
    assert good.files[ElementaryFile.DG1] != other.files[ElementaryFile.DG1]
    assert b"OTHER<<PERSON" in other.files[ElementaryFile.DG1]


def test_a_clone_has_every_file_and_none_of_the_keys() -> None:
    of, kind = office(), profiles()["pace-gm"]
    good, clone = of.personalise(kind, PASSPORT), of.personalise(kind, PASSPORT, Injected(Fault.CLONED, 1))
    assert good.files == clone.files
    assert good.chip_key is not None
    assert clone.chip_key is not None
    assert good.chip_key.private != clone.chip_key.private
    assert good.signing_key is not None
    assert clone.signing_key is not None
    assert good.signing_key.key.private_numbers() != clone.signing_key.key.private_numbers()


def mrz_specimens() -> list[tuple[str, tuple[str, ...]]]:
    return [
        (one.name, one.expected.lines) for one in specimens.shipped() if one.expected and one.expected.lines
    ]


@pytest.mark.parametrize(("name", "lines"), mrz_specimens(), ids=[name for name, _ in mrz_specimens()])
def test_every_specimen_has_a_chip(name: str, lines: tuple[str, ...]) -> None:
    of = Office(country_of(lines), on=ON, seed="specimens")
    kind = profiles()["prc" if country_of(lines) == "CN" else "pace-gm"]
    chip = of.personalise(kind, lines)
    text = bytes(tlv.only(tlv.only(chip.files[ElementaryFile.DG1], 0x61), 0x5F1F)).decode()
    assert text == in_chip(lines)
    assert text.startswith("".join(lines))
    assert len(text) in {72, 88, 90}
    if not name.startswith("visa"):
        read_dg1(chip.files[ElementaryFile.DG1], today=date(2026, 6, 15))


def test_lines_that_are_no_mrz_are_refused() -> None:
    for lines in (("HELLO",), ("",), ()):
        with pytest.raises(DecodeError):
            country_of(lines)


def test_a_portrait_is_drawn_as_heavy_as_a_real_one() -> None:
    for jpeg_2000, magic in ((False, b"\xff\xd8\xff"), (True, b"\x00\x00\x00\x0cjP")):
        picture = portraits.draw("somebody", jpeg_2000=jpeg_2000)
        assert picture.startswith(magic)
        assert 10_000 < len(picture) <= portraits.OCTETS
        assert portraits.draw("somebody else", jpeg_2000=jpeg_2000) != picture
        assert picture in dg2(picture, portraits.SIZE)


@pytest.mark.parametrize("name", profiles())
def test_the_files_of_every_kind_can_be_read(name: str) -> None:
    """By the product's own parsers: portrait, lists of data groups, details."""
    files = office().personalise(profiles()[name], PASSPORT).files
    portrait = find_portrait(files[ElementaryFile.DG2])
    assert decode_portrait(portrait).shape[:2] == (portrait.height, portrait.width) == (480, 360)
    signed = security_object_of_sod(files[ElementaryFile.SOD])
    assert com_against_sod(parse_com(files[ElementaryFile.COM]), signed.files) == ()
    if profiles()[name].extras:
        assert parse_dg11(files[ElementaryFile.DG11]).unreadable == ()
        details = parse_dg12(files[ElementaryFile.DG12])
        assert details.unreadable == ()
        assert details.issue_date == ON


def test_certificates_say_what_they_are_for() -> None:
    state = State("UT", on=ON, scheme=Scheme("ECDSA"), seed="x")
    ended = Validity(date(2020, 1, 1), date(2021, 1, 1))
    signer = parse_certificate(state.document_signer(Scheme("ECDSA"), validity=ended).der)
    csca = parse_certificate(state.csca.der)
    assert csca.country == signer.country == "UT"
    assert csca.ski == signer.aki
    assert csca.ski == hashlib.sha1(state.csca.signer.public()["public_key"].contents[1:]).digest()
    assert state.successor().generation == 2
    assert anchors(office()).countries == {"UT", "UX"}

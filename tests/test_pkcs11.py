"""The verdict-signing key in a PKCS#11 token (SoftHSM), and the URIs that name it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.config import BoxSettings, IdentitySettings, parse_toml
from edged.config_checks import check_box
from edged.errors import CertificateError, ConfigError, DecodeError
from edged.pushed.enrolling import enrol, renew
from edged.pushed.est_client import Service
from edged.pushed.identity_files import IdentityFiles
from edged.slip import cose
from edged.uplink import est, pkcs11
from edged.uplink.authority import FleetAuthority
from edged.uplink.keys import KeySource, generate_key
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.pkcs11_uri import Pkcs11Uri, parse
from edged.uplink.roles import TrustAnchor
from edged.uplink.sign import Signer, verify
from tests.directories import member
from tests.enrolling import HOST, Office, serial
from tests.softhsm import MODULE, PIN, SoftHsm, needs_softhsm

NOW = datetime.now(UTC)
BASE = "pkcs11:token=box;object=verdicts?module-path=/lib/x.so"


# --- URIs ---


def test_a_uri_says_which_key_in_which_token() -> None:
    text = (
        "pkcs11:token=My%20box;manufacturer=Snake%20Oil%2c%20Inc.;serial=0001;object=verdicts;id=%00%ff;type=private"
        "?module-path=/usr/lib/p11.so&pin-source=file:///etc/edged/pin"
    )
    assert parse(text) == Pkcs11Uri(
        module=Path("/usr/lib/p11.so"),
        pin=Path("/etc/edged/pin"),
        token="My box",
        manufacturer="Snake Oil, Inc.",
        serial="0001",
        label="verdicts",
        identifier=b"\x00\xff",
    )
    assert parse(BASE + "&pin-source=file:/a").pin == parse(BASE + "&pin-source=/a").pin == Path("/a")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("pkcs11:", "pkcs11.no_module"),
        ("file:/x", "pkcs11.malformed"),
        ("pkcs11:token=a?module-path=/x", "pkcs11.no_key_named"),
        ("pkcs11:object=a", "pkcs11.no_module"),
        ("pkcs11:object=a?module-path=x.so", "pkcs11.no_module"),
        (BASE + "&pin-value=1234", "pkcs11.pin_in_uri"),
        (BASE + "&pin-source=|echo", "pkcs11.malformed"),
        (BASE + "&pin-source=pin", "pkcs11.malformed"),
        (BASE + "&module-path=/y", "pkcs11.malformed"),
        (BASE + "&x-vendor=1", "pkcs11.malformed"),
        ("pkcs11:object=a;object=b?module-path=/x", "pkcs11.malformed"),
        ("pkcs11:object=a;slot-id=1?module-path=/x", "pkcs11.malformed"),
        ("pkcs11:object=a;type=public?module-path=/x", "pkcs11.malformed"),
        ("pkcs11:object=%zz?module-path=/x", "pkcs11.malformed"),
        ("pkcs11:object=%ff?module-path=/x", "pkcs11.malformed"),
        ("pkcs11:object=?module-path=/x", "pkcs11.malformed"),
        (BASE + "x" * 2000, "pkcs11.malformed"),
    ],
)
def test_what_is_wrong_with_a_uri_is_said(text: str, code: str) -> None:
    with pytest.raises(DecodeError) as caught:
        parse(text)
    assert caught.value.code == code
    assert "1234" not in str(caught.value)


@given(
    st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=40)
)
def test_every_label_can_be_written(label: str) -> None:
    escaped = "".join(f"%{byte:02x}" for byte in label.encode())
    assert parse(f"pkcs11:object={escaped}?module-path=/x").label == label


@settings(max_examples=300)
@given(
    st.text(max_size=200).map(lambda text: "pkcs11:" + text)
    | st.text(max_size=50).map(lambda text: BASE + text)
)
def test_a_strangers_uri_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except DecodeError as error:
        assert error.code.startswith("pkcs11.")
    else:
        assert found.module.is_absolute()


def test_the_boot_file_takes_a_path_or_a_uri(tmp_path: Path) -> None:
    from edged.commands.config import EXAMPLE

    path = 'signing_key = "/var/lib/edged/signing.key"'
    assert path in EXAMPLE

    def read(value: str) -> BoxSettings:
        found = parse_toml(
            EXAMPLE.replace(path, f'signing_key = "{value}"').encode(), BoxSettings, base=tmp_path
        )
        check_box(found)
        return found

    identity: IdentitySettings = read("signing.key").identity
    assert identity.signing_key == str(tmp_path / "signing.key")
    assert not identity.signing_key.in_token
    assert read(BASE).identity.signing_key == BASE
    for bad in ("enrol.example.net", ":8443", "enrol:0", "enrol:65536", "enrol:x"):
        section = f'[fleet]\nroot = "root.json"\nenrolment = "{bad}"\n'
        with pytest.raises(ConfigError) as caught:
            check_box(parse_toml((EXAMPLE + section).encode(), BoxSettings, base=tmp_path))
        assert (caught.value.where, caught.value.code) == ("fleet.enrolment", "enrol.bad_address")
    with pytest.raises(ConfigError) as caught:
        read(BASE + "&pin-value=1234")
    assert (caught.value.where, caught.value.code) == ("identity.signing_key", "pkcs11.pin_in_uri")


# --- a token ---


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    return SoftHsm(tmp_path_factory.mktemp("softhsm"))


def chain(key: ec.EllipticCurvePrivateKey, directory: Path) -> tuple[TrustAnchor, Path]:
    """A certificate for a key, on the disk, and whom to verify it against."""
    authority = FleetAuthority.create("north", demo=True, now=NOW)
    principal = Principal("north", Role.DEVICE, "box-1")
    path = directory / "signing.pem"
    path.write_bytes(authority.issue(principal, Usage.SIGNING, key.public_key(), now=NOW))
    return TrustAnchor.from_pem(authority.certificate_pem), path


@needs_softhsm
def test_what_a_token_signs_is_a_signed_message_like_any_other(hsm: SoftHsm, tmp_path: Path) -> None:
    uri = hsm.token("signs")
    anchor, path = chain(pkcs11.create(uri), tmp_path)
    signer = Signer.from_files(uri, path)
    for payload in (b"{}", b"x" * 20_000):
        message = signer.sign("verdict+jws", payload)
        assert verify(message, typ="verdict+jws", anchor=anchor, role=Role.DEVICE, at=NOW).payload == payload
    (listed,) = member(signer).keys
    assert cose.verify(cose.parse(cose.sign(b"claims", signer)), listed)  # and a slip


@needs_softhsm
def test_a_request_is_signed_in_the_token_as_openssl_sees_it(hsm: SoftHsm) -> None:
    key = pkcs11.create(hsm.token("asks"))
    der = est.request(key, "box-1")
    assert est.requested_key(der) == key.public_key()
    command = ("openssl", "req", "-inform", "DER", "-verify", "-noout")
    seen = subprocess.run(command, input=der, capture_output=True, timeout=30)
    assert seen.returncode == 0
    assert b"verify OK" in seen.stdout + seen.stderr


@needs_softhsm
def test_the_key_can_not_be_taken_out(hsm: SoftHsm) -> None:
    import pkcs11 as library

    uri = hsm.token("keeps")
    key = pkcs11.create(uri)
    for way in (
        key.private_numbers,
        lambda: key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        lambda: key.exchange(ec.ECDH(), generate_key().public_key()),
    ):
        with pytest.raises(CertificateError) as caught:
            way()
        assert caught.value.code == "pkcs11.stays_inside"
    assert MODULE is not None
    token = library.lib(MODULE).get_token(token_label="keeps")
    with token.open() as session:
        (private,) = session.get_objects({library.Attribute.CLASS: library.ObjectClass.PRIVATE_KEY})
        assert private[library.Attribute.SENSITIVE]
        assert not private[library.Attribute.EXTRACTABLE]
    assert PIN not in repr(key)


@needs_softhsm
def test_of_several_keys_under_one_label_the_certificate_tells_which(hsm: SoftHsm, tmp_path: Path) -> None:
    uri = hsm.token("several")
    old, new = pkcs11.create(uri), pkcs11.create(uri)
    with pytest.raises(CertificateError) as caught:
        pkcs11.open_key(uri)
    assert caught.value.code == "pkcs11.several_keys"
    for key in (old, new):
        anchor, path = chain(key, tmp_path)
        message = Signer.from_files(uri, path).sign("x+jws", b"{}")
        assert verify(message, typ="x+jws", anchor=anchor, role=Role.DEVICE, at=NOW)
    with pytest.raises(CertificateError) as caught:
        pkcs11.open_key(uri, generate_key().public_key())
    assert caught.value.code == "pkcs11.no_key"
    with pytest.raises(CertificateError):
        pkcs11.destroy_others(
            uri, generate_key().public_key()
        )  # nothing is destroyed for a key that isn't there
    assert pkcs11.destroy_others(uri, new.public_key()) == 1
    assert pkcs11.open_key(uri).public_key() == new.public_key()


@needs_softhsm
def test_many_threads_sign_at_once(hsm: SoftHsm) -> None:
    key, algorithm = pkcs11.create(hsm.token("threads")), ec.ECDSA(hashes.SHA256())
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        signatures = list(pool.map(lambda number: key.sign(b"%d" % number, algorithm), range(64)))
    for number, signature in enumerate(signatures):
        key.public_key().verify(signature, b"%d" % number, algorithm)


@needs_softhsm
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the library's own, of a broken search
def test_a_session_that_ends_is_opened_again(hsm: SoftHsm) -> None:
    """A card that was pulled out and put back, a TPM after a suspend."""
    import pkcs11 as library

    key = pkcs11.create(hsm.token("again"))
    assert MODULE is not None
    library.lib(MODULE).reinitialize()  # every session of the process ends
    signature = key.sign(b"x", ec.ECDSA(hashes.SHA256()))
    key.public_key().verify(signature, b"x", ec.ECDSA(hashes.SHA256()))


@needs_softhsm
def test_what_is_wrong_with_a_token_is_said_without_its_pin(hsm: SoftHsm, tmp_path: Path) -> None:
    uri = hsm.token("wrong")
    pkcs11.create(uri)
    other_pin = tmp_path / "pin"
    other_pin.touch(mode=0o600)
    other_pin.write_text("000000")
    open_to_all = tmp_path / "open"
    open_to_all.write_text(PIN)
    open_to_all.chmod(0o644)
    for changed, code in (
        (uri.replace("object=verdicts", "object=other"), "pkcs11.no_key"),
        (uri.replace("token=wrong", "token=nowhere"), "pkcs11.no_token"),
        (uri.replace("token=wrong;", ""), "pkcs11.several_tokens"),
        (uri.replace(str(hsm.pin), str(open_to_all)), "key.readable_by_others"),
        (uri.replace(str(hsm.pin), str(tmp_path / "none")), "key.missing"),
        (uri.replace(str(MODULE), str(tmp_path / "none.so")), "pkcs11.failed"),
    ):
        with pytest.raises(CertificateError) as caught:
            pkcs11.open_key(changed)
        assert caught.value.code == code, changed
        assert PIN not in str(caught.value)


@needs_softhsm
def test_a_wrong_pin_is_tried_once_alone(hsm: SoftHsm, tmp_path: Path) -> None:
    """Tokens lock after a few. In a process of its own: a login belongs to the whole process."""
    uri = hsm.token("pin")
    pkcs11.create(uri)
    wrong = tmp_path / "pin"
    wrong.touch(mode=0o600)
    wrong.write_text("000000")
    script = (
        "import sys; from edged.uplink import pkcs11; from edged.errors import CertificateError\n"
        "tried = []; real = pkcs11._pin\n"
        "pkcs11._pin = lambda uri: tried.append(1) or real(uri)\n"
        "try: pkcs11.open_key(sys.argv[1])\n"
        "except CertificateError as error: print(error.code, len(tried), '000000' in str(error))\n"
    )
    command = (sys.executable, "-c", script, uri.replace(str(hsm.pin), str(wrong)))
    seen = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert seen.stdout.split() == ["pkcs11.wrong_pin", "1", "False"], seen.stderr


@needs_softhsm
async def test_a_box_enrols_and_renews_with_its_signing_key_in_a_token(hsm: SoftHsm, tmp_path: Path) -> None:
    uri = KeySource(hsm.token("enrols"))
    office, files = Office(tmp_path / "office"), IdentityFiles(tmp_path / "box", uri)
    async with office.open():
        token = office.invite()
        # The power goes before the answer is written: the same key is asked for again.
        files.prepare(enrolling=True)
        files.begin_enrolling()
        made = files.key_in_the_making(Usage.SIGNING).public_key()
        await asyncio.to_thread(enrol, token, files)
        pair = files.current(Usage.SIGNING)
        assert pair is not None
        assert pair.certificates()[0].public_key() == made
        assert not list((files.directory / "signing").rglob("key.pem"))
        before = serial(files, Usage.SIGNING)
        await asyncio.to_thread(renew, Usage.SIGNING, files, Service(HOST, office.port), office.anchor)
    assert serial(files, Usage.SIGNING) != before
    named = files.settings(Usage.SIGNING)
    assert named.key == uri  # what the boot file says stays as it is
    anchor = TrustAnchor.from_file(files.ca)
    message = Signer.from_files(named.key, named.chain).sign("x+jws", b"{}")
    assert verify(message, typ="x+jws", anchor=anchor, role=Role.DEVICE, at=datetime.now(UTC))
    with pytest.raises(CertificateError):
        pkcs11.open_key(uri)  # two of them until the new one has proved itself
    files.forget_before(Usage.SIGNING)
    assert isinstance(pkcs11.open_key(uri).public_key(), ec.EllipticCurvePublicKey)
    leaf: x509.Certificate = named.certificates()[0]
    assert leaf.public_key() == pkcs11.open_key(uri).public_key()


@needs_softhsm
def test_a_key_in_the_making_that_was_cleared_away_with_old_ones_is_made_anew(
    hsm: SoftHsm, tmp_path: Path
) -> None:
    """Otherwise a box would ask its token for ever for a key that isn't there, and never renew again."""
    uri = hsm.token("cleared")
    files = IdentityFiles(tmp_path / "box", KeySource(uri))
    files.prepare()
    used = pkcs11.create(uri)
    making = files.key_in_the_making(Usage.SIGNING)
    assert files.key_in_the_making(Usage.SIGNING).public_key() == making.public_key()
    assert pkcs11.destroy_others(uri, used.public_key()) == 1
    anew = files.key_in_the_making(Usage.SIGNING)
    assert anew.public_key() not in (making.public_key(), used.public_key())
    assert files.key_in_the_making(Usage.SIGNING).public_key() == anew.public_key()

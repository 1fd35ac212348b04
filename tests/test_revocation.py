"""Revoked is refused: at once, at every depth of a chain, whatever was remembered, forgiven or back-dated."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from edged.cli import main
from edged.errors import CertificateError, SignatureRefusedError
from edged.uplink.authority import FleetAuthority
from edged.uplink.directory_reader import DirectoryReader
from edged.uplink.fleet_authority import FleetAuthorities, Revoked
from edged.uplink.keys import generate_key, private_pem
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.revoked import NONE, Revocations, fingerprint
from edged.uplink.roles import TrustAnchor, load_chain
from edged.uplink.sign import Signer, certificates, verify
from tests.broker import FLEET, NOW, Sealer, Town, stream
from tests.directories import Made

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

AT = int(NOW.timestamp())


class Fleet(NamedTuple):
    anchor: TrustAnchor
    issuing: x509.Certificate
    box: Signer
    compact: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


@pytest.fixture
def fleet() -> Fleet:
    """A root, an issuing authority under it, a box under that."""
    root = FleetAuthority.create(FLEET, demo=True, now=NOW)
    key = generate_key()
    pem = root.issue_intermediate("issuing", key.public_key(), now=NOW)
    issuing = FleetAuthority.load(pem, private_pem(key))
    mine = generate_key()
    leaf = issuing.issue(Principal(FLEET, Role.DEVICE, "box-1"), Usage.SIGNING, mine.public_key(), now=NOW)
    box = Signer(mine, load_chain(leaf + pem))
    return Fleet(
        TrustAnchor.from_pem(root.certificate_pem), load_chain(pem)[0], box, box.sign("t+jws", b"{}")
    )


def outcome(
    fleet: Fleet,
    *,
    at: datetime = NOW,
    late: timedelta = timedelta(0),
    arrived: datetime | None = None,
) -> str:
    try:
        return verify(
            fleet.compact,
            typ="t+jws",
            anchor=fleet.anchor,
            role=Role.DEVICE,
            at=at,
            late=late,
            arrived=arrived,
        ).principal.name
    except SignatureRefusedError as error:
        return error.code


def leaf_of(fleet: Fleet) -> str:
    return fingerprint(certificates(fleet.compact)[0])


@pytest.mark.parametrize("what", ["leaf", "issuing", "name"])
def test_a_chain_that_was_remembered_as_good_is_refused_at_once(fleet: Fleet, what: str) -> None:
    assert outcome(fleet) == outcome(fleet) == "box-1"
    sha256 = {"leaf": leaf_of(fleet), "issuing": fingerprint(fleet.issuing)}.get(what)
    found = (
        Revocations(principals={("device", "box-1"): AT})
        if sha256 is None
        else Revocations(certificates={sha256: AT})
    )
    fleet.anchor.revoke("directory", found)
    assert outcome(fleet) == "cert.revoked"
    fleet.anchor.revoke("directory", NONE)
    assert outcome(fleet) == "box-1"


def test_a_certificate_that_has_ended_isnt_forgiven_when_it_was_revoked(fleet: Fleet) -> None:
    after = fleet.box.not_after + timedelta(days=1)
    assert outcome(fleet, at=after, late=timedelta(days=90)) == "box-1"
    fleet.anchor.revoke("directory", Revocations(principals={("device", "box-1"): AT}))
    assert outcome(fleet, at=after, late=timedelta(days=90)) == "cert.revoked"
    assert outcome(fleet, at=after) == "cert.revoked"


def test_what_arrived_before_by_its_keepers_record_holds(fleet: Fleet) -> None:
    fleet.anchor.revoke("directory", Revocations(certificates={leaf_of(fleet): AT}))
    assert outcome(fleet, arrived=NOW - timedelta(seconds=1)) == "box-1"
    assert outcome(fleet, arrived=NOW) == "cert.revoked"
    assert outcome(fleet, arrived=NOW + timedelta(seconds=1)) == "cert.revoked"
    assert outcome(fleet) == "cert.revoked"


def test_another_of_the_same_name_in_another_role_is_somebody_else(fleet: Fleet) -> None:
    fleet.anchor.revoke(
        "directory", Revocations(principals={("collector", "box-1"): AT, ("device", "box"): AT})
    )
    assert outcome(fleet) == "box-1"


def test_each_source_replaces_its_own_word_alone(fleet: Fleet) -> None:
    offline = FleetAuthorities(1, ("x",), (Revoked(fingerprint(fleet.issuing), AT, "key_compromise"),))
    fleet.anchor.revoke("authority", Revocations.of_authority(offline))
    fleet.anchor.revoke("directory", Revocations(principals={("device", "box-1"): AT}))
    fleet.anchor.revoke("directory", NONE)
    assert outcome(fleet) == "cert.revoked"
    assert fleet.anchor.without("authority").revocations == NONE
    fleet.anchor.revoke("authority", NONE)
    assert outcome(fleet) == "box-1"


def test_a_tls_chain_is_refused_as_well(fleet: Fleet) -> None:
    chain = certificates(fleet.compact)
    fleet.anchor.revoke("authority", Revocations(certificates={fingerprint(fleet.issuing): AT}))
    with pytest.raises(CertificateError) as refused:
        fleet.anchor.verify(chain, usage=Usage.SIGNING, at=NOW)
    assert refused.value.code == "cert.revoked"
    assert fleet.anchor.is_revoked(chain)


_maps = st.dictionaries(st.sampled_from(["a" * 64, "b" * 64, "c" * 64]), st.integers(0, 9))
_names = st.dictionaries(
    st.tuples(st.sampled_from(["device", "admin"]), st.sampled_from(["x", "y"])), st.integers(0, 9)
)
_revocations = st.builds(Revocations, _maps, _names)


@given(_revocations, _revocations, st.integers(0, 10))
def test_two_together_revoke_what_either_does(one: Revocations, other: Revocations, arrived: int) -> None:
    principal = Principal(FLEET, Role.DEVICE, "x")

    def refuses(found: Revocations) -> bool:
        since = found.since(["a" * 64, "b" * 64], principal)
        return since is not None and arrived >= since

    assert refuses(one | other) == (refuses(one) or refuses(other))
    assert one | other == other | one


class Told(NamedTuple):
    code: int
    said: dict[str, Any]


def test_verify_and_check_ask_the_directory(
    place: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sealer = Sealer(place.signer(Role.DEVICE, "box-1"), "log-1")
    message = tmp_path / "envelope.jws"
    message.write_text(stream(sealer, "bank", 1)[0].jws)

    def stored(name: str, made: Made) -> str:
        reader = DirectoryReader(TrustAnchor.from_file(place.fleet.ca))
        for page in made.pages:
            reader.take_page(page)
        reader.take_head(made.head, at=NOW)
        (tmp_path / name).write_bytes(reader.stored())
        return str(tmp_path / name)

    def run(*arguments: str) -> Told:
        code = main([*arguments, str(message), "--ca", str(place.fleet.ca), "--json"])
        return Told(code, json.loads(capsys.readouterr().out))

    good = stored("good", Made(place))
    gone = stored("gone", Made(place, revoked=((Role.DEVICE, "box-1", NOW - timedelta(minutes=1)),)))
    told = run("verify", "--directory", good)
    assert (told.code, told.said["directory"]["standing"]) == (os.EX_OK, "listed")
    refused = run("verify", "--directory", gone)
    assert (refused.code, refused.said["reason"]) == (os.EX_DATAERR, "cert.revoked")
    checked = run("partner", "check", "--directory", gone)
    assert (checked.code, checked.said["refused"]["code"]) == (os.EX_DATAERR, "cert.revoked")
    assert run("partner", "check", "--directory", good).code == os.EX_OK
    # Whoever had it before may say so.
    before = f"{NOW - timedelta(minutes=2):%Y-%m-%dT%H:%M}"
    had = run("verify", "--directory", gone, "--at", before)
    assert (had.code, had.said["directory"]["standing"]) == (os.EX_OK, "revoked")
    late = f"{NOW + timedelta(days=60):%Y-%m-%dT%H:%M}"
    old = run("verify", "--directory", good, "--at", late)
    assert (old.code, old.said["directory"]["standing"]) == (os.EX_OK, "undetermined")
    message.with_suffix(".broken").write_text("{}")
    broken = run("verify", "--directory", str(message.with_suffix(".broken")))
    assert (broken.code, broken.said["reason"]) == (os.EX_CONFIG, "directory.unreadable")

"""`edged fleet revoke` and `edged fleet directory`: the admin's whole way, with a real broker and its list."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from edged.central.mosquitto import Access
from edged.cli import main
from edged.demo.broker import HOST, DemoBroker
from edged.demo.fleet import DemoFleet
from edged.errors import ConfigError, SignatureRefusedError, StateError, UplinkError
from edged.fleet import authorities, directory, members, revoking
from edged.fleet.key_files import signer_of
from edged.fleet.repository import Repository
from edged.fleet.state import DeviceRecord, FleetFile, FleetState, IssuedCertificate, as_toml
from edged.fleet.tuf_roles import Holder
from edged.uplink import fleet_authority, topics
from edged.uplink.authority import FleetAuthority
from edged.uplink.directory import MAX_PAGE, open_page
from edged.uplink.directory_reader import DirectoryReader
from edged.uplink.keys import generate_key, private_pem, write_private
from edged.uplink.mqtt import Endpoint, Session, connect
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.roles import load_chain
from edged.uplink.sign import Signer
from tests.broker import FLEET, ended, session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edged.uplink.mqtt import Connection

NOW = datetime.now(UTC).replace(microsecond=0)


class Office:
    """An admin's state, with an issuing authority under an offline root; and a broker that reads its list."""

    def __init__(self, root: Path, *, broker: bool = True) -> None:
        self.root = root
        self.fleet = DemoFleet(root / "fleet", fleet=FLEET, now=NOW)
        self.crl = root / "revoked.pem"
        self.directory = root / "state"
        secrets = self.directory / "secrets"
        secrets.mkdir(parents=True, mode=0o700)
        key = generate_key()
        pem = self.fleet.authority.issue_intermediate("issuing", key.public_key(), now=NOW)
        (secrets / "ca.pem").write_bytes(pem)
        write_private(secrets / "ca.key", private_pem(key))
        (self.directory / "authorities.pem").write_bytes(self.fleet.ca.read_bytes())
        document = fleet_authority.FleetAuthorities(1, (self.fleet.ca.read_text(),))
        (self.directory / "fleet").mkdir()
        (self.directory / fleet_authority.TARGET).write_bytes(fleet_authority.encode(document))
        self.offline = signer_of(generate_key(), "all of them")
        key_of_all = self.offline.public_key
        Repository(self.directory / "metadata").begin(
            offline={key_of_all.keyid: key_of_all},
            threshold=1,
            holders=dict.fromkeys(Holder, key_of_all),
            targets={fleet_authority.TARGET: fleet_authority.encode(document)},
            signers={holder: [self.offline] for holder in Holder},
            now=NOW,
        )
        self.issuing = FleetAuthority.load(pem, private_pem(key))
        self.crl.write_bytes(self.issuing.revocation_list([], now=NOW, valid=timedelta(days=1)))
        self.broker = DemoBroker(
            root / "broker", self.fleet, Access(FLEET, ("centre",), ("bank",), ("ops",)), revoked=self.crl
        )
        file = FleetFile(fleet=FLEET, admin="ops", broker_port=self.broker.port, demo=True)
        (self.directory / "fleet.toml").write_text(as_toml(file))
        self.state = FleetState.open(self.directory)
        for usage in Usage:
            self.issue(Role.ADMIN, "ops", usage, secrets / f"admin-{usage}")

    def issue(self, role: Role, name: str, usage: Usage, path: Path) -> IssuedCertificate:
        """A key and certificate at `path`, recorded as the admin's tools record them."""
        key = generate_key()
        principal = Principal(FLEET, role, name)
        pem = self.state.issue(principal, usage, key.public_key(), now=NOW)
        write_private(path.with_suffix(".key"), private_pem(key))
        path.with_suffix(".pem").write_bytes(pem)
        leaf = x509.load_pem_x509_certificate(pem)
        issued = IssuedCertificate(
            usage=usage,
            serial=f"{leaf.serial_number:x}",
            not_before=int(leaf.not_valid_before_utc.timestamp()),
            not_after=int(leaf.not_valid_after_utc.timestamp()),
            pem=pem.decode(),
        )
        if role is not Role.DEVICE:
            members.record(self.state, principal, usage, pem)
        return issued

    def box(self, name: str) -> Endpoint:
        """A box, and how it reaches the broker."""
        issued = tuple(self.issue(Role.DEVICE, name, usage, self.root / f"{name}-{usage}") for usage in Usage)
        self.state.save_device(DeviceRecord(name=name, added_at=int(NOW.timestamp()), certificates=issued))
        return self.endpoint(self.root / f"{name}-tls")

    def endpoint(self, path: Path) -> Endpoint:
        return Endpoint(
            host=HOST,
            port=self.broker.port,
            ca=self.fleet.ca,
            certificate=path.with_suffix(".pem"),
            key=path.with_suffix(".key"),
            answer_timeout_s=5.0,
        )

    def run(self, *arguments: str) -> int:
        return main(["fleet", *arguments, "--state", str(self.directory)])

    @property
    def reload(self) -> str:
        """What makes the broker read its list, as `systemctl reload` does."""
        return shlex.join([sys.executable, "-c", f"import os; os.kill({self.broker.pid}, 1)"])


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    made.broker.start()
    try:
        yield made
    finally:
        made.broker.stop()


async def let_in(endpoint: Endpoint, name: str) -> bool:
    try:
        async with connect(endpoint, Session(name)):
            return True
    except UplinkError as error:
        assert error.code in ("uplink.closed_early", "uplink.tls_failed")
        return False


async def published(connection: Connection, office: Office) -> DirectoryReader:
    """What somebody reads who comes now."""
    reader = DirectoryReader(office.state.anchor())
    await connection.subscribe(topics.keys(FLEET))
    await connection.subscribe(f"{topics.keys(FLEET)}/+")
    while reader.current is None:
        for message in await connection.receive(8):
            if topics.parse_keys(message.topic, FLEET) is None:
                reader.take_head(message.payload, at=datetime.now(UTC))
            else:
                reader.take_page(message.payload)
            connection.acknowledge(message)
    return reader


async def test_a_stolen_box_is_thrown_out_and_stays_out(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    stolen, good = office.box("box-1"), office.box("box-2")
    assert await asyncio.to_thread(office.run, "directory", "publish") == os.EX_OK
    async with connect(good, session("box-2")) as reading:
        before = (await published(reading, office)).current
    assert before is not None
    assert {one.name for page in before.pages for one in page.devices} == {"box-1", "box-2"}
    capsys.readouterr()

    connection = connect(stolen, session("box-1", expiry_s=3600))
    thief = await connection.__aenter__()
    more = ("--crl", str(office.crl), "--reload", office.reload, "--reason", "stolen", "--json")
    code = await asyncio.to_thread(office.run, "revoke", "box-1", *more)
    told = json.loads(capsys.readouterr().out)
    assert (code, told["enforced"], told["session_ended"]) == (os.EX_OK, True, True)
    assert (await ended(thief)).code in ("mqtt.session_taken_over", "uplink.connection_lost")
    assert not await let_in(stolen, "box-1")
    assert await let_in(good, "box-2")

    async with connect(good, session("box-2")) as reading:
        after = (await published(reading, office)).current
    assert after is not None
    assert {one.name for page in after.pages for one in page.devices} == {"box-2"}
    assert after.head.version == told["version"] > before.head.version
    principal = Principal(FLEET, Role.DEVICE, "box-1")
    assert after.standing(principal, ["0" * 64], NOW) == "revoked"
    record = office.state.device("box-1")
    assert record.revoked_at is not None
    assert all(one.revoked_at for one in record.certificates)
    # Again, a second later: nothing is lost, and another box isn't let in meanwhile.
    assert await asyncio.to_thread(office.run, "revoke", "box-1", *more) == os.EX_OK
    assert not await let_in(stolen, "box-1")


async def test_a_broker_that_doesnt_read_its_list_is_told(
    office: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revoking, "ENFORCED_TRIES", 2)
    office.box("box-1")
    more = ("--crl", str(office.crl), "--reload", "true", "--json")
    assert await asyncio.to_thread(office.run, "revoke", "box-1", *more) == os.EX_TEMPFAIL
    assert json.loads(capsys.readouterr().out)["enforced"] is False
    with pytest.raises(StateError, match=r"fleet\.reload_failed"):
        revoking.reload_broker(["false"])


def test_nothing_is_changed_by_a_dry_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    office = Office(tmp_path)
    office.box("box-1")
    before = sorted(path for path in office.directory.rglob("*"))
    assert office.run("revoke", "box-1", "--dry-run") == os.EX_OK
    assert office.run("directory", "publish", "--dry-run") == os.EX_OK
    assert "box-1" in capsys.readouterr().out
    assert sorted(path for path in office.directory.rglob("*")) == before
    assert office.state.device("box-1").revoked_at is None


def test_it_is_written_down_before_anybody_is_told(tmp_path: Path) -> None:
    """No broker runs: the command fails, and the next one goes on from there."""
    office = Office(tmp_path)
    office.box("box-1")
    assert office.run("revoke", "box-1", "--reason", "lost") != os.EX_OK
    (one,) = members.revocations(office.state).names
    assert (one.role, one.name, one.reason) == (Role.DEVICE, "box-1", "lost")
    assert members.revoked(office.state).principals == {("device", "box-1"): one.at}
    found = directory.kept(office.state)
    assert found is not None
    assert open_page(found.pages[0])[0].revoked[0].name == "box-1"


def test_each_step_is_done_whatever_fails_in_the_others(tmp_path: Path) -> None:
    """The broker's list needs no broker, and is its own way to keep a thief out; nor does it hold up the rest."""
    office = Office(tmp_path)
    office.box("box-1")
    assert office.run("revoke", "box-1", "--crl", str(office.crl)) == os.EX_UNAVAILABLE
    listed = {one.serial_number for one in x509.load_pem_x509_crl(office.crl.read_bytes())}
    assert listed >= {int(one.serial, 16) for one in office.state.device("box-1").certificates}
    office.box("box-2")
    office.broker.start()
    try:
        more = ("--crl", str(office.crl), "--reload", "false")
        assert office.run("revoke", "box-2", *more) not in (os.EX_OK, os.EX_UNAVAILABLE)
        assert directory.last_version(office.state) > 0
        reader = office.box("box-3")

        async def heard() -> DirectoryReader:
            async with connect(reader, session("box-3")) as connection:
                return await published(connection, office)

        current = asyncio.run(heard()).current
        assert current is not None
        assert ("device", "box-2") in current.revocations.principals
    finally:
        office.broker.stop()


def test_the_earliest_moment_counts(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.box("box-1")
    box = Principal(FLEET, Role.DEVICE, "box-1")
    for days in (1, 3, 2):
        at = NOW - timedelta(days=days)
        revoking.revoke_name(office.state, box, at=at, reason="stolen")
    (one,) = members.revocations(office.state).names
    assert one.at == int((NOW - timedelta(days=3)).timestamp()) == office.state.device("box-1").revoked_at


def test_one_certificate_alone(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.box("box-1")
    box = Principal(FLEET, Role.DEVICE, "box-1")
    signing = next(one for one in office.state.device("box-1").certificates if one.usage is Usage.SIGNING)
    sha256 = members.sha256_of(signing)
    revoking.revoke_certificate(office.state, box, sha256, at=NOW, reason="compromised")
    assert revoking.revoked_serials(office.state, NOW) == [int(signing.serial, 16)]
    made = directory.make(office.state, now=NOW)
    pages = [open_page(page)[0] for page in made.pages]
    assert [one.sha256 for page in pages for one in page.certificates] == [sha256]
    assert [(one.name, one.keys) for page in pages for one in page.devices] == [("box-1", ())]
    with pytest.raises(ConfigError, match=r"fleet\.no_such_certificate"):
        revoking.revoke_certificate(office.state, box, "0" * 64, at=NOW, reason="lost")


def test_others_than_boxes(tmp_path: Path) -> None:
    office = Office(tmp_path)
    for role, name in ((Role.COLLECTOR, "centre"), (Role.AUDIENCE, "bank")):
        for usage in Usage:
            office.issue(role, name, usage, tmp_path / f"{name}-{usage}")
    centre = Principal(FLEET, Role.COLLECTOR, "centre")
    revoking.revoke_name(office.state, centre, at=NOW, reason="retired")
    head = directory.make(office.state, now=NOW).head
    assert [one.name for one in head.collectors] == []
    assert [one.name for one in head.audiences] == ["bank"]
    assert [one.name for one in head.admins] == ["ops"]
    assert [(one.role, one.name) for one in head.revoked] == [(Role.COLLECTOR, "centre")]
    assert len(revoking.revoked_serials(office.state, NOW)) == 2
    assert revoking.revoked_serials(office.state, NOW + timedelta(days=500)) == []
    with pytest.raises(ConfigError, match=r"fleet\.revoke_self"):
        revoking.revoke_name(office.state, Principal(FLEET, Role.ADMIN, "ops"), at=NOW, reason="lost")
    assert office.run("revoke", "no-such-box") != os.EX_OK
    assert office.run("revoke", "--collector", "No Name") != os.EX_OK


def test_the_list_keeps_those_of_other_authorities(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.box("box-1")
    other = FleetAuthority.create(FLEET, demo=True, now=NOW).revocation_list(
        [7], now=NOW, valid=timedelta(days=9)
    )
    revoking.revoke_name(office.state, Principal(FLEET, Role.DEVICE, "box-1"), at=NOW, reason="stolen")
    made = revoking.revocation_list(office.state, office.crl.read_bytes() + other, now=NOW)
    assert made.count(b"BEGIN X509 CRL") == 2
    assert made.endswith(other)
    mine = x509.load_pem_x509_crl(made)
    assert {one.serial_number for one in mine} == {
        int(one.serial, 16) for one in office.state.device("box-1").certificates
    }
    with pytest.raises(StateError, match=r"fleet\.crl_broken"):
        revoking.revocation_list(office.state, b"junk-----END X509 CRL-----", now=NOW)


def test_a_retired_authority_has_its_list_as_long_as_it_holds(tmp_path: Path) -> None:
    office = Office(tmp_path)
    retired = office.state.secrets / "retired"
    retired.mkdir()
    for end in ("pem", "key"):
        (office.state.secrets / f"ca.{end}").rename(retired / f"ca-0123.{end}")
    key = generate_key()
    pem = office.fleet.authority.issue_intermediate("issuing", key.public_key(), now=NOW)
    (office.state.secrets / "ca.pem").write_bytes(pem)
    write_private(office.state.secrets / "ca.key", private_pem(key))
    made = revoking.revocation_list(office.state, b"", now=NOW)
    assert made.count(b"BEGIN X509 CRL") == 2
    assert revoking.revocation_list(office.state, made, now=NOW).count(b"BEGIN X509 CRL") == 2
    later = NOW + timedelta(days=1096)
    assert revoking.revocation_list(office.state, b"", now=later).count(b"BEGIN X509 CRL") == 1


def test_a_thousand_boxes_on_few_pages_and_numbers_that_only_grow(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.box("box-1")
    record = office.state.device("box-1")
    text = as_toml(record)
    for number in range(2, 1001):
        name = f"counter-{number:05}-of-a-long-name"
        path = office.directory / "devices" / f"{name}.toml"
        path.write_text(text.replace('"box-1"', f'"{name}"', 1))
    made = directory.make(office.state, now=NOW)
    assert made.head.devices == 1000
    assert len(made.pages) == 5
    assert max(map(len, made.pages)) <= MAX_PAGE
    reader = DirectoryReader(office.state.anchor())
    for page in made.pages:
        reader.take_page(page)
    reader.take_head(made.compact.encode(), at=NOW)
    assert reader.current is not None
    directory.keep(office.state, made)
    assert directory.kept(office.state) == made
    again = directory.make(office.state, now=NOW - timedelta(days=1))  # a clock that went back
    assert again.head.version == made.head.version + 1


def test_show_and_the_file_for_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    office = Office(tmp_path)
    office.box("box-1")
    assert office.run("directory", "show") != os.EX_OK
    directory.keep(office.state, directory.make(office.state, now=datetime.now(UTC)))
    capsys.readouterr()
    out = tmp_path / "directory.json"
    assert office.run("directory", "show", "--json", "--output", str(out)) == os.EX_OK
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (told["devices"], told["revoked"], told["expired"]) == (1, 0, False)
    reader = DirectoryReader(office.state.anchor())
    reader.restore(out.read_bytes(), at=datetime.now(UTC), ours=False)
    assert reader.current is not None


def test_a_certificate_that_was_marked_in_its_own_record_is_told(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.box("box-1")
    record = office.state.device("box-1")
    old = record.certificates[0]
    marked = msgspec.structs.replace(old, revoked_at=5)
    office.state.save_device(msgspec.structs.replace(record, certificates=(marked, *record.certificates[1:])))
    pages = [open_page(page)[0] for page in directory.make(office.state, now=NOW).pages]
    assert [(one.sha256, one.at) for page in pages for one in page.certificates] == [
        (members.sha256_of(old), 5)
    ]
    assert revoking.revoked_serials(office.state, NOW) == [int(old.serial, 16)]


def test_others_are_certified_noted_and_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    office = Office(tmp_path)
    keys = tmp_path / "centre"
    assert office.run("certify", "collector", "centre", "--keys", str(keys), "--dry-run") == os.EX_OK
    assert not keys.exists()
    assert office.run("certify", "collector", "centre", "--keys", str(keys)) == os.EX_OK
    signer = Signer.from_files(keys / "collector.centre-signing.key", keys / "collector.centre-signing.pem")
    assert signer.principal == Principal(FLEET, Role.COLLECTOR, "centre")
    assert office.run("certify", "collector", "centre", "--keys", str(keys)) != os.EX_OK  # no key is replaced

    key = generate_key()
    strange = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "admin.ops")])
    request = x509.CertificateSigningRequestBuilder().subject_name(strange).sign(key, hashes.SHA256())
    (tmp_path / "csr.pem").write_bytes(request.public_bytes(serialization.Encoding.PEM))
    out = tmp_path / "bank.pem"
    asked = ("certify", "audience", "bank", "--request", str(tmp_path / "csr.pem"))
    assert office.run(*asked) != os.EX_OK
    assert office.run(*asked, "--usage", "signing", "--output", str(out)) == os.EX_OK
    assert Signer(key, load_chain(out.read_bytes())).principal == Principal(FLEET, Role.AUDIENCE, "bank")
    head = directory.make(office.state, now=NOW).head
    assert [one.name for one in head.collectors] == ["centre"]
    assert [one.name for one in head.audiences] == ["bank"]

    (tmp_path / "csr.pem").write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    assert office.run(*asked, "--usage", "tls", "--output", str(tmp_path / "tls.pem")) == os.EX_OK
    (tmp_path / "csr.pem").write_text("junk")
    assert office.run(*asked, "--usage", "signing", "--output", str(out)) != os.EX_OK
    revoking.revoke_name(office.state, Principal(FLEET, Role.AUDIENCE, "bank"), at=NOW, reason="retired")
    (tmp_path / "csr.pem").write_bytes(request.public_bytes(serialization.Encoding.PEM))
    assert office.run(*asked, "--usage", "signing", "--output", str(out)) != os.EX_OK
    assert "revoked" in capsys.readouterr().err


def test_what_the_offline_keys_revoked_is_on_the_brokers_list(office: Office) -> None:
    """An admin's stolen certificate, which no directory can name: its holder could sign one."""
    document = authorities.current(office.state)
    (tls,) = (
        one for one in members.member(office.state, Role.ADMIN, "ops").certificates if one.usage is Usage.TLS
    )
    assert int(tls.serial, 16) not in revoking.revoked_serials(office.state, NOW)
    ended = authorities.with_revoked(document, (members.sha256_of(tls),), "key_compromise", NOW)
    authorities.put(office.state, lambda _: ended, [office.offline], NOW)
    assert int(tls.serial, 16) in revoking.revoked_serials(office.state, NOW)


def test_former_keys_give_way_where_there_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(tmp_path)
    for name in ("box-1", "box-2", "box-3"):
        office.box(name)
    for day, name in enumerate(("box-2", "box-1")):
        at = NOW - timedelta(days=day)
        revoking.revoke_name(office.state, Principal(FLEET, Role.DEVICE, name), at=at, reason="retired")
    monkeypatch.setattr(directory, "MAX_ENTRIES", 1)
    whole = [open_page(page)[0] for page in directory.make(office.state, now=NOW).pages]
    assert [len(page.former) for page in whole] == [0, 0, 0, 1, 1]
    monkeypatch.setattr(directory, "MAX_PAGES", 4)
    pages = [open_page(page)[0] for page in directory.make(office.state, now=NOW).pages]
    assert pages == whole[:4]
    assert pages[-1].former[0].name == "box-2"  # what ended last: its slips hold for longest
    monkeypatch.setattr(directory, "MAX_PAGES", 2)
    with pytest.raises(SignatureRefusedError, match="too_large"):
        directory.make(office.state, now=NOW)


def test_a_key_that_ended_stays_listed_for_the_slips_that_it_signed(tmp_path: Path) -> None:
    office = Office(tmp_path)
    for name in ("box-1", "box-2", "box-3", "box-4"):
        office.box(name)
    box = [Principal(FLEET, Role.DEVICE, name) for name in ("box-1", "box-2", "box-3", "box-4")]
    keys = {
        name: next(one for one in office.state.device(name).certificates if one.usage is Usage.SIGNING)
        for name in ("box-1", "box-2", "box-3", "box-4")
    }

    def former(now: datetime) -> dict[str, tuple[str, int, str]]:
        made = directory.make(office.state, now=now)
        pages = [open_page(page)[0] for page in made.pages]
        return {one.name: (one.reason, one.at, one.key.sha256) for page in pages for one in page.former}

    assert former(NOW) == {}
    revoking.revoke_name(office.state, box[0], at=NOW, reason="retired")
    sha256 = members.sha256_of(keys["box-2"])
    revoking.revoke_certificate(office.state, box[1], sha256, at=NOW, reason="compromised")
    at = int(NOW.timestamp())
    assert former(NOW) == {
        "box-1": ("retired", at, members.sha256_of(keys["box-1"])),
        "box-2": ("compromised", at, sha256),
    }
    # What was retired and turns out to have been stolen is in other hands.
    certificate = members.sha256_of(keys["box-1"])
    revoking.revoke_certificate(office.state, box[0], certificate, at=NOW, reason="stolen")
    assert former(NOW)["box-1"][0] == "stolen"
    # So is what is said to be stolen the second time; and it is never less than that again.
    revoking.revoke_name(office.state, box[2], at=NOW, reason="retired")
    revoking.revoke_certificate(
        office.state, box[2], members.sha256_of(keys["box-3"]), at=NOW, reason="replaced"
    )
    assert former(NOW)["box-3"][0] in {"retired", "replaced"}
    later = NOW + timedelta(days=3)
    for reason, expected in (("stolen", "stolen"), ("retired", "stolen"), ("unspecified", "stolen")):
        revoking.revoke_name(office.state, box[2], at=later, reason=reason)
        assert former(later)["box-3"][:2] == (expected, at)
    revoking.revoke_certificate(office.state, box[1], sha256, at=later, reason="replaced")
    assert former(later)["box-2"] == ("compromised", at, sha256)
    end = datetime.fromtimestamp(keys["box-4"].not_after, UTC)
    assert former(end + timedelta(days=1))["box-4"][:2] == ("expired", keys["box-4"].not_after)
    assert former(end + timedelta(days=401)) == {}

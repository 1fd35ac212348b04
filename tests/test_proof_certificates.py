"""Every wrong certificate is refused in words, costs no verdict, and once it is right everything arrives."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from cryptography import x509

from edged import messages
from edged.central.collector import Collector
from edged.demo.fleet import DemoFleet, KeyFiles
from edged.errors import CertificateError, SignatureRefusedError
from edged.uplink import topics
from edged.uplink.gaps import Gap, seal_gap
from edged.uplink.intake import Incoming, check
from edged.uplink.keys import load_private
from edged.uplink.names import Role, Usage
from edged.uplink.receipts import seal_receipt
from edged.uplink.replay import ReplayRequest, open_request, seal_request
from edged.uplink.roles import load_chain
from edged.uplink.sign import Signer
from edged.uplink.status import Disconnected, Published, Refused
from edged.uplink.subscription import Down
from tests.broker import FLEET, NOW, Sealer, Town, stream, town
from tests.delivery import (
    Box,
    Events,
    archive_ledger,
    box,
    collector,
    collector_settings,
    running,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from datetime import datetime
    from pathlib import Path

    from edged.uplink.mqtt import Endpoint

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path / "town") as made:
        yield made


def issued(place: Town, role: Role, name: str, usage: Usage, *, now: datetime, days: int) -> KeyFiles:
    """A certificate of the fleet that is good at another time."""
    from edged.uplink.keys import generate_key, private_pem, write_private
    from edged.uplink.names import Principal

    key = generate_key()
    pem = place.fleet.authority.issue(
        Principal(FLEET, role, name), usage, key.public_key(), now=now, days=days
    )
    files = KeyFiles(place.directory / f"odd-{name}.key", place.directory / f"odd-{name}.pem")
    write_private(files.key, private_pem(key))
    files.certificate.write_bytes(pem)
    return files


def bad_client(place: Town, tmp_path: Path, what: str) -> Endpoint:
    """A box's endpoint with something wrong about its certificate."""
    good = place.endpoint(Role.DEVICE, "box-1", answer_timeout_s=2.0)
    match what:
        case "expired":
            files = issued(place, Role.DEVICE, "box-1", Usage.TLS, now=NOW - timedelta(days=30), days=1)
        case "not yet valid":
            files = issued(place, Role.DEVICE, "box-1", Usage.TLS, now=NOW + timedelta(days=30), days=9)
        case "another authority's":
            other = DemoFleet(tmp_path / "other", fleet=FLEET, now=NOW)
            files = other.issue(Role.DEVICE, "box-1", Usage.TLS)
        case "for signing":
            files = place.fleet.issue(Role.DEVICE, "box-1", Usage.SIGNING)
        case "the broker's":
            files = place.fleet.issue_server("copied", ("127.0.0.1",))
        case _:
            raise AssertionError(what)
    return msgspec.structs.replace(good, certificate=files.certificate, key=files.key)


@pytest.mark.parametrize(
    "what", ["expired", "not yet valid", "another authority's", "for signing", "the broker's"]
)
async def test_a_box_with_a_wrong_certificate_waits_and_says_so(
    place: Town, tmp_path: Path, what: str
) -> None:
    async with box(place, tmp_path / "box", endpoint=bad_client(place, tmp_path, what)) as device:
        await device.commit("bank")
        await told(device)
    await arrives(place, tmp_path)


async def test_a_box_whose_certificate_was_revoked_waits_and_says_so(tmp_path: Path) -> None:
    """Revoked at the broker, with a list that it reads at its start."""
    place = Town(tmp_path / "town")
    endpoint = place.endpoint(Role.DEVICE, "box-1", answer_timeout_s=2.0)
    serial = x509.load_pem_x509_certificate(endpoint.certificate.read_bytes()).serial_number
    revoked = tmp_path / "revoked.pem"
    file = tmp_path / "town/broker/mosquitto.conf"
    file.write_text(file.read_text().replace("tls_version", f"crlfile {revoked}\ntls_version"))
    week = timedelta(days=7)
    revoked.write_bytes(place.fleet.authority.revocation_list([serial], now=NOW, valid=week))
    place.broker.start()
    try:
        async with box(place, tmp_path / "box", endpoint=endpoint) as device:
            await device.commit("bank")
            await told(device)
        files = place.fleet.issue(Role.DEVICE, "box-1", Usage.TLS)  # as an operator would: a new one
        renewed = msgspec.structs.replace(endpoint, certificate=files.certificate, key=files.key)
        await arrives(place, tmp_path, endpoint=renewed)
    finally:
        place.broker.stop()


async def told(device: Box) -> None:
    """The box says why in words, and keeps what it has committed."""
    event = await device.events.first(Disconnected)
    for lang in ("en", "zh-CN"):
        assert messages.known(event.code)
        assert messages.text(event.code, lang) != event.code
    assert (await device.counts()).pending == 1


async def arrives(place: Town, tmp_path: Path, **settings: object) -> None:
    """With the right certificate, what was committed before arrives."""
    async with collector(place, tmp_path / "centre"), box(place, tmp_path / "box", **settings) as device:
        await device.settled()
    (kept,) = archive_ledger(tmp_path / "centre" / "archive.sqlite").streams.values()
    assert kept.hashes.keys() == {1}


@contextlib.asynccontextmanager
async def server(files: KeyFiles, **limits: ssl.TLSVersion) -> AsyncIterator[int]:
    """Something that speaks TLS and is no broker of ours; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    for name, value in limits.items():
        setattr(context, name, value)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            assert await reader.read(1) == b"", "somebody talks MQTT to it"
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as listening:
        yield listening.sockets[0].getsockname()[1]


def other_server(place: Town, tmp_path: Path, what: str) -> KeyFiles:
    match what:
        case "expired":
            old = NOW - timedelta(days=500)
            fleet = DemoFleet(tmp_path / "old", fleet=FLEET, now=old)
            fleet.authority = place.fleet.authority
            return fleet.issue_server("old", ("127.0.0.1",))
        case "not yet valid":
            fleet = DemoFleet(tmp_path / "new", fleet=FLEET, now=NOW + timedelta(days=30))
            fleet.authority = place.fleet.authority
            return fleet.issue_server("new", ("127.0.0.1",))
        case "another authority's":
            return DemoFleet(tmp_path / "other", fleet=FLEET, now=NOW).issue_server("o", ("127.0.0.1",))
        case "another host's":
            return place.fleet.issue_server("elsewhere", ("broker.example",))
        case "a device's":
            return place.fleet.issue(Role.DEVICE, "box-2", Usage.TLS)
        case "TLS 1.2":
            return place.fleet.issue_server("old-tls", ("127.0.0.1",))
    raise AssertionError(what)


@pytest.mark.parametrize(
    "what", ["expired", "not yet valid", "another authority's", "another host's", "a device's", "TLS 1.2"]
)
async def test_a_broker_with_a_wrong_certificate_gets_nothing(place: Town, tmp_path: Path, what: str) -> None:
    limits = {"maximum_version": ssl.TLSVersion.TLSv1_2} if what == "TLS 1.2" else {}
    async with server(other_server(place, tmp_path, what), **limits) as port:
        endpoint = place.endpoint(Role.DEVICE, "box-1", port=port)
        async with box(place, tmp_path / "box", endpoint=endpoint) as device:
            await device.commit("bank")
            await told(device)
            code = "uplink.tls_failed" if what == "TLS 1.2" else "uplink.broker_not_trusted"
            assert {event.code for event in device.events.of(Disconnected)} == {code}
    await arrives(place, tmp_path)


# --- the right authority, the wrong role ---


async def test_a_partners_certificate_makes_no_box(place: Town, tmp_path: Path) -> None:
    """The broker knows who it is and takes no verdict from it."""
    endpoint = place.endpoint(Role.AUDIENCE, "bank")
    async with box(place, tmp_path / "box", endpoint=endpoint, drain_s=0.1) as device:
        await device.commit("bank")
        refused = await device.events.first(Refused)
        assert refused.code == "mqtt.not_authorized"
        assert (await device.counts()).pending == 1
        assert not device.events.of(Published)
    await arrives(place, tmp_path)


async def test_a_boxs_certificate_makes_no_collector(place: Town, tmp_path: Path) -> None:
    """Even with a collector's signing key: nothing reaches it, so nothing is receipted and nothing is lost."""
    endpoint = place.endpoint(Role.DEVICE, "box-2")
    settings = msgspec.structs.replace(collector_settings(place, tmp_path / "false"), broker=endpoint)
    events = Events()
    async with (
        running(Collector(settings, on_event=events.append)),
        box(place, tmp_path / "box", drain_s=0.1) as device,
    ):
        await device.commit("bank")
        await device.events.first(Published)
        await device.commit("bank")
        await device.events.until(lambda found: len(found.of(Published)) == 2)
        assert (await device.counts()).receipted == 0
        assert not events.of(Down)
    assert archive_ledger(tmp_path / "false" / "archive.sqlite").streams == {}
    async with collector(place, tmp_path / "centre"), box(place, tmp_path / "box") as device:
        await device.settled()


def test_a_key_of_a_connection_signs_nothing(place: Town, tmp_path: Path) -> None:
    files = place.fleet.issue(Role.DEVICE, "box-1", Usage.TLS)
    with pytest.raises(CertificateError) as caught:
        Signer.from_files(files.key, files.certificate)
    assert caught.value.code == "cert.wrong_usage"
    # Who makes its own signer has its message refused by everybody.
    forged = object.__new__(Signer)
    good = place.signer(Role.DEVICE, "box-1")
    for name in vars(good):
        setattr(forged, name, getattr(good, name))
    stolen = place.fleet.issue(Role.DEVICE, "box-1", Usage.TLS)
    forged._key = _jwk(stolen, good)
    forged._x5c = _x5c(stolen)
    (envelope,) = stream(Sealer(forged, "log", NOW), "bank", 1)
    assert refusal(place, topics.verdict(FLEET, "box-1", "bank"), envelope.jws) == "cert.wrong_usage"


def _jwk(files: KeyFiles, like: Signer) -> object:
    return type(like._key).import_key(load_private(files.key.read_bytes()))


def _x5c(files: KeyFiles) -> list[str]:
    import base64

    from cryptography.hazmat.primitives.serialization import Encoding

    (certificate,) = load_chain(files.certificate.read_bytes())
    return [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()]


# --- forgeries, as if there were no access list at all ---


def refusal(place: Town, topic: str, message: str, *, audience: str | None = None) -> str | None:
    """What the collector (or a partner, with `audience`) says of a message that did get through."""
    incoming = [Incoming(topic, message.encode())]
    (checked,) = check(incoming, anchor=place.anchor, now=NOW, audience=audience)
    return checked.code


@pytest.fixture(scope="module")
def forgers(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("forgers"))  # certificates; no broker is started


def test_a_device_forges_no_other_devices_verdict(forgers: Town) -> None:
    (envelope,) = stream(Sealer(forgers.signer(Role.DEVICE, "box-2"), "log"), "bank", 1)
    topic = topics.verdict(FLEET, "box-1", "bank")
    assert refusal(forgers, topic, envelope.jws) == "envelope.wrong_issuer"
    assert refusal(forgers, topic, envelope.jws, audience="bank") == "envelope.wrong_issuer"
    own = topics.verdict(FLEET, "box-2", "hotel")
    assert refusal(forgers, own, envelope.jws) == "envelope.wrong_audience"


def test_a_device_forges_no_other_devices_gap(forgers: Town) -> None:
    """A gap record of somebody else's would make the centre stop waiting for what is still to come."""
    gap = Gap(log_id="log", audience="bank", first=1, last=9, sha256=None, reason="unreadable")
    record = seal_gap(gap, jti="j", iat=int(NOW.timestamp()), clock="trusted", signer=_box(forgers, "box-2"))
    assert refusal(forgers, topics.gap(FLEET, "box-1", "bank"), record) == "gap.wrong_issuer"
    assert refusal(forgers, topics.gap(FLEET, "box-2", "hotel"), record) == "gap.wrong_audience"
    assert refusal(forgers, topics.verdict(FLEET, "box-2", "bank"), record) is not None


def _box(place: Town, name: str) -> Signer:
    return place.signer(Role.DEVICE, name)


@pytest.mark.parametrize("role", [Role.DEVICE, Role.AUDIENCE, Role.ADMIN])
def test_nobody_but_a_collector_signs_receipts(forgers: Town, role: Role) -> None:
    from edged.uplink.receipts import ReceiptRange

    signer = forgers.signer(role, "somebody")
    claimed = ReceiptRange("log", "bank", 1, 1, "0" * 64)
    with pytest.raises(SignatureRefusedError) as caught:
        seal_receipt("box-1", [claimed], iat=int(NOW.timestamp()), signer=signer)
    assert caught.value.code == "cert.wrong_role"


def test_a_partner_asks_for_no_others_streams(forgers: Town) -> None:
    hotel = forgers.signer(Role.AUDIENCE, "hotel")
    request = ReplayRequest(
        iss="hotel",
        fleet=FLEET,
        request="r1",
        iat=int(NOW.timestamp()),
        spans=(),
        after=None,
        limit=10,
    )
    honest = seal_request(request, signer=hotel)
    open_request(honest, anchor=forgers.anchor, at=NOW, audience="hotel")
    lying = seal_request(msgspec.structs.replace(request, iss="bank"), signer=hotel)
    for message in (honest, lying):
        with pytest.raises(SignatureRefusedError) as caught:
            open_request(message, anchor=forgers.anchor, at=NOW, audience="bank")
        assert caught.value.code == "replay.wrong_issuer"

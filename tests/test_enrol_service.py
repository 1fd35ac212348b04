"""Enrolment against the real service over HTTPS: who gets a certificate, who doesn't, and who is believed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import ECKey

from edged.errors import CodedError, SignatureRefusedError, UplinkError
from edged.fleet import authorities, est_server, former_keys
from edged.fleet.enrolment import RefusedError
from edged.fleet.state import FleetState
from edged.fleet.throttle import MAX_ADDRESSES, Throttle
from edged.pushed import est_client
from edged.pushed.enrolling import enrol, renew
from edged.pushed.est_client import EstClient, Service
from edged.pushed.founding import believe
from edged.pushed.identity_files import IdentityFiles, Pair
from edged.uplink import est
from edged.uplink.fleet_authority import sha256_of
from edged.uplink.keys import generate_key, load_private, private_pem, read_private, write_private
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.roles import TrustAnchor, load_chain
from edged.uplink.sign import Signer, verify
from edged.uplink.token import Token, make
from tests.enrolling import FLEET, HOST, Office, now, serial


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "office")


@pytest.fixture
def files(tmp_path: Path) -> IdentityFiles:
    return IdentityFiles(tmp_path / "box")


async def refusal(work: object, *args: object) -> str:
    """The code with which something in a thread is refused."""
    with pytest.raises(CodedError) as caught:
        await asyncio.to_thread(work, *args)  # type: ignore[arg-type]
    return caught.value.code


async def test_a_box_becomes_one_of_the_fleet(office: Office, files: IdentityFiles) -> None:
    async with office.open():
        token = office.invite(groups=("branch",), site="Main street 1")
        enrolled = await asyncio.to_thread(enrol, token, files)
    assert enrolled.principal == Principal(FLEET, Role.DEVICE, "box-1")
    assert enrolled.demo
    assert enrolled.boot.enrolment == f"{HOST}:{office.port}"
    assert files.complete()
    for usage in Usage:
        pair = files.current(usage)
        assert pair is not None
        found = office.anchor.verify(pair.certificates(), usage=usage, at=now())
        assert found == enrolled.principal
    # What the boot file names works: a message signed with it verifies under what was written as the fleet's CA.
    signing = files.settings(Usage.SIGNING)
    signed = Signer.from_files(signing.key, signing.chain).sign("x+jws", b"{}")
    anchor = TrustAnchor.from_file(files.ca)
    assert verify(signed, typ="x+jws", anchor=anchor, role=Role.DEVICE, at=now()).principal.name == "box-1"
    record = office.state.device("box-1")
    assert {one.usage for one in record.certificates} == set(Usage)
    assert record.groups == ("branch",)
    assert token.secret not in (office.state.directory / "devices" / "box-1.toml").read_text()
    assert files.root.read_bytes() == (office.state.directory / "metadata" / "1.root.json").read_bytes()


async def test_asking_again_with_the_same_keys_gets_the_same_certificates(office: Office) -> None:
    """A power cut has eaten the answer."""
    key, der = generate_key(), None
    async with office.open():
        token = office.invite()
        der = est.request(key, "box-1")
        client = office.client()
        first = await asyncio.to_thread(client.enrol, Usage.TLS, der, "box-1", token.secret)
        again = est.request(key, "box-1")
        second = await asyncio.to_thread(client.enrol, Usage.TLS, again, "box-1", token.secret)
    assert est.read_certificates(first) == est.read_certificates(second)
    assert [one.what for one in office.happened] == ["issued", "again"]
    assert len(office.state.device("box-1").certificates) == 1


async def test_a_token_gives_nothing_to_other_keys_and_the_admin_is_told(
    office: Office, files: IdentityFiles, tmp_path: Path
) -> None:
    async with office.open():
        token = office.invite()
        await asyncio.to_thread(enrol, token, files)
        thief = IdentityFiles(tmp_path / "thief")
        assert await refusal(enrol, token, thief) == "enrol.token_used"
    assert office.happened[-1].code == "enrol.token_used"
    assert office.state.device("box-1").token_refused_at is not None
    assert not thief.complete()


async def test_an_enrolled_box_is_left_as_it_is(office: Office, files: IdentityFiles) -> None:
    async with office.open():
        token = office.invite()
        await asyncio.to_thread(enrol, token, files)
        before = serial(files, Usage.TLS)
        steps: list[str] = []
        enrolled = await asyncio.to_thread(lambda: enrol(token, files, progress=steps.append))
    assert steps == ["enrol.step_there"]
    assert serial(files, Usage.TLS) == before
    assert enrolled.boot.fleet == FLEET


async def test_a_record_keeps_what_slips_may_still_be_verified_by(
    office: Office, files: IdentityFiles
) -> None:
    async with office.open():
        await asyncio.to_thread(enrol, office.invite(), files)
        signing = next(x for x in office.state.device("box-1").certificates if x.usage is Usage.SIGNING)
        ends = [int((now() - timedelta(days=days)).timestamp()) for days in range(500, 0, -30)]
        old = [msgspec.structs.replace(signing, serial=f"{at:x}", not_after=at) for at in ends]
        record = msgspec.structs.replace(office.state.device("box-1"), certificates=tuple(old))
        office.state.save_device(record)
        other = IdentityFiles(files.directory.with_name("other"))
        await asyncio.to_thread(enrol, office.invite(again=True), other)
    kept = {one.serial for one in office.state.device("box-1").certificates}
    assert {one.serial for one in old if one.not_after >= (now() - former_keys.LISTED).timestamp()} <= kept
    assert old[0].serial not in kept


async def test_a_token_ends(office: Office, files: IdentityFiles) -> None:
    async with office.open():
        token = office.invite(days=1, now=now() - timedelta(days=1, seconds=5))
        assert await refusal(enrol, token, files) == "enrol.token_ended"


async def test_a_wrong_secret_and_another_devices_name_are_refused_alike(
    office: Office, files: IdentityFiles
) -> None:
    async with office.open():
        token = office.invite()
        office.invite("box-2")
        wrong = make("box-1", token.host, token.port, token.voucher)
        assert await refusal(enrol, wrong, files) == "enrol.not_let_in"
        other = msgspec.structs.replace(token, device="box-2")
        assert await refusal(enrol, other, files) == "enrol.not_let_in"
        nobody = msgspec.structs.replace(token, device="box-3")
        assert await refusal(enrol, nobody, files) == "enrol.not_let_in"


async def test_a_revoked_box_gets_nothing(office: Office, files: IdentityFiles) -> None:
    async with office.open():
        token = office.invite()
        await asyncio.to_thread(enrol, token, files)
        record = office.state.device("box-1")
        office.state.save_device(msgspec.structs.replace(record, revoked_at=int(now().timestamp())))
        assert await refusal(renew, Usage.TLS, files, Service(HOST, office.port), office.anchor) == (
            "enrol.device_revoked"
        )
        assert await refusal(lambda: enrol(token, files, again=True)) == "enrol.device_revoked"


async def test_a_revoked_certificate_is_not_given_again(office: Office) -> None:
    key = generate_key()
    async with office.open():
        token, client = office.invite(), office.client()
        der = est.request(key, "box-1")
        await asyncio.to_thread(client.enrol, Usage.TLS, der, "box-1", token.secret)
        record = office.state.device("box-1")
        ended = [msgspec.structs.replace(one, revoked_at=1) for one in record.certificates]
        office.state.save_device(msgspec.structs.replace(record, certificates=tuple(ended)))
        assert await refusal(client.enrol, Usage.TLS, der, "box-1", token.secret) == "enrol.token_ended"


async def test_a_new_token_gives_an_expired_box_new_certificates(
    office: Office, files: IdentityFiles
) -> None:
    """The way back: the box keeps its name; the token before it ends."""
    async with office.open():
        old = office.invite()
        await asyncio.to_thread(enrol, old, files)
        before = {usage: serial(files, usage) for usage in Usage}
        token = office.invite(again=True)
        assert await refusal(lambda: enrol(old, files, again=True)) == "enrol.not_let_in"
        enrolled = await asyncio.to_thread(lambda: enrol(token, files, again=True))
    assert enrolled.principal.name == "box-1"
    assert all(serial(files, usage) != before[usage] for usage in Usage)
    assert len(office.state.device("box-1").certificates) == 4


async def test_a_man_in_the_middle_with_his_own_fleet_is_found_out_before_the_secret_is_sent(
    office: Office, files: IdentityFiles, tmp_path: Path
) -> None:
    """He has everything a fleet has, its name too; but not what the token vouches for."""
    thief = Office(tmp_path / "thief")
    async with office.open(), thief.open():
        token = msgspec.structs.replace(office.invite(), port=thief.port)
        assert await refusal(enrol, token, files) == "enrol.other_fleet"
    assert thief.happened == []  # nobody has shown him a name or secret


async def test_a_man_in_the_middle_who_shows_the_real_root_has_no_certificate_under_it(
    office: Office, files: IdentityFiles, tmp_path: Path
) -> None:
    thief = Office(tmp_path / "thief")
    genuine = office.enrolment().founding()
    async with office.open(), thief.open() as server:
        server._enrolment.founding = lambda: genuine  # type: ignore[method-assign]
        token = msgspec.structs.replace(office.invite(), port=thief.port)
        assert await refusal(enrol, token, files) == "enrol.service_not_trusted"
    assert thief.happened == []


async def test_a_stolen_authority_that_was_replaced_can_not_serve_new_tokens(office: Office) -> None:
    """Who has the old key can still show yesterday's metadata; a token made today doesn't fit it."""
    from edged.fleet.key_files import read_offline
    from edged.fleet.repository import Repository
    from edged.fleet.tuf_roles import TARGETS, Holder

    yesterday = office.enrolment().founding()
    repository = Repository(office.state.directory / "metadata")
    signers = [key.signer for key in read_offline(Holder.ROOT, office.roots)]
    before = office.invite("box-1")
    repository.revise(TARGETS, lambda _: None, signers, now())
    after = office.invite("box-2")
    assert believe(yesterday, before, now()).anchor.fleet == FLEET
    with pytest.raises(SignatureRefusedError) as caught:
        believe(yesterday, after, now())
    assert caught.value.code == "enrol.other_fleet"
    today = office.enrolment().founding()
    for token in (before, after):  # an open token outlives a ceremony
        assert believe(today, token, now()).anchor.fleet == FLEET


def test_what_the_service_shows_is_refused_when_anything_in_it_was_changed(office: Office) -> None:
    from edged.fleet.key_files import read_offline
    from edged.fleet.repository import Repository
    from edged.fleet.tuf_roles import Holder

    repository = Repository(office.state.directory / "metadata")
    signers = [key.signer for key in read_offline(Holder.ROOT, office.roots)]
    repository.revise_root(lambda _: None, signers, now())
    good, token = office.enrolment().founding(), office.invite()
    assert len(good.roots) == 2
    assert believe(good, token, now()).root == good.roots[1].encode()
    one_key = msgspec.json.decode(good.roots[1])
    one_key["signatures"] = one_key["signatures"][:1]
    for changed in (
        msgspec.structs.replace(good, roots=(good.roots[0], msgspec.json.encode(one_key).decode())),
        msgspec.structs.replace(good, roots=(good.roots[0], good.roots[0])),
        msgspec.structs.replace(good, targets=good.targets.replace('"version":1', '"version":9')),
        msgspec.structs.replace(good, targets=good.roots[0]),
        msgspec.structs.replace(good, authority=good.authority.replace("BEGIN", "BEGIM")),
        msgspec.structs.replace(good, roots=("{", good.roots[1])),
    ):
        with pytest.raises(SignatureRefusedError) as caught:
            believe(changed, token, now())
        assert caught.value.code == "enrol.root_refused"
    with pytest.raises(SignatureRefusedError) as caught:
        believe(good, token, now() + timedelta(days=800))
    assert caught.value.code == "enrol.root_expired"


# --- renewal ---


async def test_certificates_are_renewed_and_the_old_pair_stays_until_the_new_one_has_proved_itself(
    office: Office, files: IdentityFiles
) -> None:
    async with office.open():
        await asyncio.to_thread(enrol, office.invite(), files)
        for usage in Usage:
            before, old = serial(files, usage), files.current(usage)
            service = Service(HOST, office.port)
            await asyncio.to_thread(renew, usage, files, service, office.anchor)
            assert serial(files, usage) != before
            assert files.before(usage) == old
            files.forget_before(usage)
            assert files.before(usage) is None
    assert [one.what for one in office.happened] == ["issued", "issued", "renewed", "renewed"]


async def test_a_stolen_tls_key_renews_no_signing_certificate(
    office: Office, files: IdentityFiles, tmp_path: Path
) -> None:
    """Who has the TLS key, every certificate, and another box altogether, asks in every way he can think of."""
    theirs = IdentityFiles(tmp_path / "theirs")
    async with office.open():
        await asyncio.to_thread(enrol, office.invite(), files)
        await asyncio.to_thread(enrol, office.invite("box-2"), theirs)
        tls, signing, other = (
            files.current(Usage.TLS),
            files.current(Usage.SIGNING),
            theirs.current(Usage.SIGNING),
        )
        assert tls is not None
        assert signing is not None
        assert other is not None
        client, der = office.client(files), est.request(generate_key(), "box-1")
        tls_key = load_private(read_private(Path(tls.key)))
        renewals = {
            "by another box": est.signed_renewal(other.signer(), der),
            "by the TLS key and certificate": forged(other, tls_key, tls, der),
            "by the TLS key, with the signing certificate": forged(other, tls_key, signing, der),
            "a message of another type": signing.signer().sign("gap+jws", b"{}"),
        }
        for how, renewal in renewals.items():
            assert await refusal(client.renew_signing, renewal) == "enrol.proof_refused", how
        plain = (Usage.SIGNING, "simplereenroll", est.to_body(der), {"Content-Type": est.PKCS10})
        assert await refusal(client._post, *plain) == "enrol.proof_refused"
        assert len(office.state.device("box-1").certificates) == 2
        genuine = est.signed_renewal(signing.signer(), der)
        await asyncio.to_thread(client.renew_signing, genuine)
        # A signed request that somebody took down is good for nobody but the key it names, and not with another's TLS.
        assert await refusal(office.client(theirs).renew_signing, genuine) == "enrol.proof_refused"


def forged(signer: Pair, key: ec.EllipticCurvePrivateKey, presented: Pair, der: bytes) -> str:
    """A renewal for box-1, signed by `key`, with the certificates of `presented`."""
    made = signer.signer()
    made.principal = Principal(FLEET, Role.DEVICE, "box-1")
    made._key = ECKey.import_key(key)
    made._x5c = [
        base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in presented.certificates()
    ]
    return est.signed_renewal(made, der)


async def test_the_same_key_gets_the_same_renewed_certificate(office: Office, files: IdentityFiles) -> None:
    async with office.open():
        await asyncio.to_thread(enrol, office.invite(), files)
        client, key = office.client(files), generate_key()
        answers = [await asyncio.to_thread(client.renew_tls, est.request(key, "box-1")) for _ in range(2)]
    assert est.read_certificates(answers[0]) == est.read_certificates(answers[1])


async def test_a_box_has_a_bounded_number_of_certificates(office: Office, files: IdentityFiles) -> None:
    async with office.open():
        await asyncio.to_thread(enrol, office.invite(), files)
        client = office.client(files)
        for _ in range(7):
            await asyncio.to_thread(client.renew_tls, est.request(generate_key(), "box-1"))
        der = est.request(generate_key(), "box-1")
        assert await refusal(client.renew_tls, der) == "enrol.too_many"
        assert len(office.state.device("box-1").certificates) == 9
        # Neither way back is closed by it: what is revoked doesn't count, and a token gives one in any case.
        token = office.invite(again=True)
        await asyncio.to_thread(enrol, token, IdentityFiles(files.directory / "anew"))
        record = office.state.device("box-1")
        older = [
            one
            if one.serial == f"{serial(files, Usage.TLS):x}"
            else msgspec.structs.replace(one, revoked_at=1)
            for one in record.certificates
        ]
        office.state.save_device(msgspec.structs.replace(record, certificates=tuple(older)))
        await asyncio.to_thread(client.renew_tls, der)


async def test_a_certificate_that_the_record_does_not_have_renews_nothing(
    office: Office, files: IdentityFiles
) -> None:
    """One more that the authority's key has signed: the record, not the signature alone, says what a box holds."""
    async with office.open():
        await asyncio.to_thread(enrol, office.invite(), files)
        key = generate_key()
        pem = office.state.issue(
            Principal(FLEET, Role.DEVICE, "box-1"), Usage.TLS, key.public_key(), now=now()
        )
        files.key_in_the_making(Usage.TLS)
        write_private(files.directory / "tls" / "next" / "key.pem", private_pem(key))
        files.put_in_use(Usage.TLS, pem)
        client, der = office.client(files), est.request(generate_key(), "box-1")
        assert await refusal(client.renew_tls, der) == "enrol.not_current"


async def test_without_a_certificate_nothing_is_renewed(office: Office) -> None:
    async with office.open():
        der = est.request(generate_key(), "box-1")
        assert await refusal(office.client().renew_tls, der) == "enrol.no_certificate"


# --- other people's tools ---


async def test_curl_and_openssl_are_clients_too(office: Office, tmp_path: Path) -> None:
    """RFC 7030 as others speak it: a request made by OpenSSL, sent by curl, the answer read by OpenSSL."""
    async with office.open():
        token = office.invite()
        url = f"https://{HOST}:{office.port}/.well-known/est"

        async def sh(*command: str, data: bytes | None = None) -> bytes:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            out, errors = await process.communicate(data)
            assert process.returncode == 0, errors.decode()
            return out

        key = tmp_path / "key.pem"
        await sh("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
        csr = await sh(
            "openssl", "req", "-new", "-key", str(key), "-subj", "/CN=somebody else", "-outform", "DER"
        )
        curl = ("curl", "-sS", "--fail", "--tlsv1.3", "--cacert", str(office.ca))
        body = await sh(
            *curl, "-u", f"box-1:{token.secret}", "-H", "Content-Type: application/pkcs10",
            "--data-binary", "@-", f"{url}/tls/simpleenroll", data=est.to_body(csr),
        )  # fmt: skip
        wrapped = b"-----BEGIN PKCS7-----\n" + body + b"-----END PKCS7-----\n"
        text = (await sh("openssl", "pkcs7", "-print_certs", "-noout", data=wrapped)).decode()
        assert "subject=CN = box-1" in text or "subject=CN=box-1" in text
        assert "somebody else" not in text
        authorities = await sh(*curl, f"{url}/cacerts")
        wrapped = b"-----BEGIN PKCS7-----\n" + authorities + b"-----END PKCS7-----\n"
        text = (await sh("openssl", "pkcs7", "-print_certs", "-noout", data=wrapped)).decode()
        assert text.count("subject=") == 2  # the issuing authority and the root
        # and its renewal, by the certificate alone
        certificate = tmp_path / "box.pem"
        pem = office.state.device("box-1").certificates[0].pem
        certificate.write_text(pem)
        new = await sh("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                       "-keyout", str(tmp_path / "new.pem"), "-subj", "/CN=x", "-outform", "DER")  # fmt: skip
        body = await sh(
            *curl, "--cert", str(certificate), "--key", str(key), "-H", "Content-Type: application/pkcs10",
            "--data-binary", "@-", f"{url}/tls/simplereenroll", data=est.to_body(new),
        )  # fmt: skip
        assert len(est.read_certificates(body)) == 1


async def test_an_older_tls_is_refused_on_both_sides(office: Office, tmp_path: Path) -> None:
    async with office.open():
        context = ssl.create_default_context(cafile=str(office.ca))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection(HOST, office.port, ssl=context)
    files = office.issue_server("old", (HOST,))
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.maximum_version = ssl.TLSVersion.TLSv1_2
    server_side.load_cert_chain(files.certificate, files.key)

    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(nothing, HOST, 0, ssl=server_side) as old:
        service = Service(HOST, old.sockets[0].getsockname()[1])
        assert await refusal(est_client.founding, service) == "enrol.tls_refused"
        client = EstClient(service, office.ca.read_text())
        assert await refusal(client.cacerts) == "enrol.tls_refused"


# --- strangers ---


@contextlib.asynccontextmanager
async def stranger(office: Office) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    context = ssl.create_default_context(cafile=str(office.ca))
    reader, writer = await asyncio.open_connection(HOST, office.port, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /.well-known/edged/root HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"PUT / HTTP/1.1\r\n\r\n", b"400"),
        (b"\x00\x01\x02\r\n\r\n", b"400"),
        (b"POST /.well-known/est/tls/simpleenroll HTTP/1.1\r\nContent-Length: 999999\r\n\r\n", b"413"),
        (b"POST /.well-known/est/tls/simpleenroll HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"POST /.well-known/est/tls/simpleenroll HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", b"401"),
        (b"GET /.well-known/edged/boot HTTP/1.1\r\n\r\n", b"401"),
        (b"GET /.well-known/edged/boot HTTP/1.1\r\nAuthorization: Basic !\r\n\r\n", b"401"),
    ],
)
async def test_a_strangers_request_gets_a_clear_answer(office: Office, sent: bytes, status: bytes) -> None:
    async with office.open(), stranger(office) as (reader, writer):
        writer.write(sent)
        assert (await reader.readline()).split(b" ")[1] == status


async def test_an_endless_head_ends_the_connection(office: Office) -> None:
    async with office.open(), stranger(office) as (reader, writer):
        with contextlib.suppress(ConnectionError):
            writer.write(b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 20_000)
            await writer.drain()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            assert await reader.read() == b""


async def test_whoever_only_holds_the_line_is_cut_off(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(est_server, "DEADLINE_S", 0.2)
    async with office.open():
        async with stranger(office) as (reader, _):
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                assert await reader.read() == b""
        reader, writer = await asyncio.open_connection(HOST, office.port)  # not even a handshake
        assert await reader.read() == b""
        writer.close()


async def test_one_address_can_not_take_every_connection(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(est_server, "MAX_EACH", 2)
    async with office.open() as server:
        held = [await asyncio.open_connection(HOST, office.port) for _ in range(2)]
        while server._listener.busy(HOST) < 2:
            await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection(HOST, office.port)
        assert await reader.read() == b""
        for _, one in (*held, (reader, writer)):
            one.close()


async def test_wrong_tokens_are_soon_refused_unread(
    office: Office, files: IdentityFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(est_server, "FAILURES", (2, 1000.0))
    async with office.open():
        token = office.invite()
        wrong = make("box-1", token.host, token.port, token.voucher)
        codes = [await refusal(enrol, wrong, files) for _ in range(3)]
    assert codes == ["enrol.not_let_in", "enrol.not_let_in", "enrol.too_often"]


async def test_a_state_that_another_command_holds_is_waited_for_and_then_said_to_be_busy(
    office: Office, files: IdentityFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.fleet.enrolment.PATIENCE_S", 0.1)
    async with office.open():
        token = office.invite()
        with FleetState.open(office.state.directory).changing():
            assert await refusal(enrol, token, files) == "enrol.busy"
        await asyncio.to_thread(enrol, token, files)
    assert files.complete()


def test_turns_fill_again_and_addresses_are_forgotten() -> None:
    throttle = Throttle(2, 10.0)
    assert [throttle.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert throttle.take("b", 0.0)
    assert throttle.take("a", 10.0)
    assert not throttle.take("a", 10.0)
    for number in range(MAX_ADDRESSES + 10):
        throttle.take(f"c{number}", 11.0)
    assert len(throttle._full_at) == MAX_ADDRESSES


def test_a_foreign_request_never_gets_past_its_parser() -> None:
    with pytest.raises(CodedError):
        est.requested_key(est.request(generate_key(), "box")[:-1])
    other_curve = ec.generate_private_key(ec.SECP384R1())
    with pytest.raises(CodedError) as caught:
        est.requested_key(est.request(other_curve, "box"))
    assert caught.value.code == "enrol.request_wrong_key"


def test_an_address_without_a_service_is_unreachable(files: IdentityFiles) -> None:
    token = Token("box-1", HOST, 1, "0" * 20, "0" * 20)
    with pytest.raises(UplinkError) as caught:
        enrol(token, files)
    assert caught.value.code == "enrol.unreachable"


async def test_a_certificate_of_an_authority_that_was_replaced_is_not_given_again(office: Office) -> None:
    """Nor one that is half over: the box would ask for ever with the key that it has in the making."""
    moment = now()
    enrolment = office.enrolment(clock=lambda: moment)
    token, key = office.invite(), generate_key().public_key()

    def serial_now() -> int:
        pem = enrolment.enrol("box-1", token.secret, Usage.TLS, key)
        return int(load_chain(pem)[0].serial_number)

    first = serial_now()
    assert serial_now() == first
    root = authorities.read_root(office.state, office.roots[0])
    authorities.write_issuing(office.state.secrets, authorities.new_issuing(root, now()))
    second = serial_now()
    assert second != first
    assert serial_now() == second
    tls = next(
        load_chain(one.pem.encode())[0]
        for one in office.state.device("box-1").certificates
        if int(one.serial, 16) == second
    )
    moment = now() + timedelta(days=250)
    assert int(load_chain(enrolment.renew_tls(tls, key))[0].serial_number) not in (first, second)


async def test_a_stranger_does_not_wait_for_the_state_directory(office: Office) -> None:
    """He would keep others from it."""
    office.invite()
    with office.state.changing(), pytest.raises(RefusedError, match=r"enrol\.not_let_in"):
        office.enrolment().enrol("box-1", "0" * 20, Usage.TLS, generate_key().public_key())


def test_an_issuing_authoritys_key_survives_a_replacement_that_was_cut_off(office: Office) -> None:
    """The key is written first: the one that is there then is the new one's, and not to be kept as the old one's."""
    secrets = office.state.secrets
    root = authorities.read_root(office.state, office.roots[0])
    old_pem, old_key = (secrets / "ca.pem").read_bytes(), (secrets / "ca.key").read_bytes()
    authorities.write_issuing(secrets, authorities.new_issuing(root, now()))
    write_private(secrets / "ca.pem", old_pem)  # as if the power had gone before the last of four files
    authorities.write_issuing(secrets, authorities.new_issuing(root, now()))
    kept = secrets / "retired" / f"ca-{sha256_of(load_chain(old_pem)[0])[:16]}.key"
    assert kept.read_bytes() == old_key


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_turns_are_counted_for_whoever_has_an_address(address: str, network: str) -> None:
    assert est_server.network_of(address) == network

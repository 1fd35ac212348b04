"""CMS as security objects have it: either way to name a signer, lies about algorithms, BER, damage."""

from __future__ import annotations

import dataclasses
import random

import pytest
from asn1crypto import core

from edged.core.emrtd import cms
from edged.core.emrtd.certificates import parse_certificate
from edged.core.emrtd.security_object import LDS_SECURITY_OBJECT
from edged.errors import DecodeError
from edged.verdict import Reason, Result
from tests.chip_pki import (
    Scheme,
    attribute,
    csca,
    ec_key,
    key_id,
    name,
    rsa_key,
    security_object,
    sequence,
    sod,
    spki,
    wrap,
)

ROOT = csca("DE", ec_key(1))
KEY = ec_key(2)
SIGNER = ROOT.signer(KEY, ski=key_id(KEY))
CONTENT = security_object({1: b"one", 2: b"two"})


def find(data: bytes, candidates: tuple[bytes, ...] = ()) -> cms.SignatureFinding:
    signed = cms.parse_signed_data(data)
    return cms.verify_signed_data(
        signed, [parse_certificate(der) for der in candidates], content_types=LDS_SECURITY_OBJECT
    )


def outcome(data: bytes, candidates: tuple[bytes, ...] = ()) -> tuple[Result, tuple[str, ...]]:
    finding = find(data, candidates)
    return finding.result, tuple(reason.code for reason in finding.reasons)


def made(**options: object) -> bytes:
    return sod(CONTENT, SIGNER, KEY, tag=False, **options)  # type: ignore[arg-type]


GOOD = (Result.SUCCESSFUL, ())


def test_a_security_object() -> None:
    finding = find(made(signed_at="2024-05-06T07:08:09"))
    assert (finding.result, finding.reasons) == GOOD
    assert finding.certificate is not None
    assert finding.certificate.der == SIGNER
    assert finding.signer is not None
    assert finding.signer.signing_time is not None
    assert finding.signer.signing_time.isoformat() == "2024-05-06T07:08:09+00:00"
    assert finding.algorithm is not None
    assert finding.algorithm.name == "ECDSA with SHA-256"


@pytest.mark.parametrize("kind", sorted(LDS_SECURITY_OBJECT))
def test_every_content_type_in_the_field(kind: str) -> None:
    assert outcome(made(content_type=kind)) == GOOD


def test_content_of_another_kind() -> None:
    assert outcome(made(content_type=cms.MASTER_LIST)) == (Result.FAILED, ("pki.wrong_content",))


def test_signed_without_attributes() -> None:
    assert outcome(made(attributes=False)) == GOOD
    other = sod(CONTENT + b"!", SIGNER, KEY, tag=False, attributes=False)
    assert outcome(other.replace(CONTENT + b"!", CONTENT + b"?")) == (Result.FAILED, ("pki.signature_wrong",))


def test_what_was_signed_as_attributes_is_no_content() -> None:
    """A signature over attributes fits them as content too, once they are left out (RFC 5652 §5.3 demands them)."""
    signed = cms.parse_signed_data(made())
    (signer,) = signed.signers
    assert signer.attributes is not None
    moved = dataclasses.replace(
        signed, content=signer.attributes, signers=(dataclasses.replace(signer, attributes=None),)
    )
    finding = cms.verify_signed_data(moved)
    assert (finding.result, finding.reasons) == (Result.FAILED, (Reason("pki.attributes_differ"),))


def test_signer_named_by_key_identifier() -> None:
    assert outcome(made(identifier=wrap(0x80, key_id(KEY)))) == GOOD


def test_signer_named_otherwise_than_its_certificate() -> None:
    """Order of the name's parts, string types, even another serial: the signature is what proves."""
    reordered = name("DE", "CSCA").dump()
    assert outcome(made(identifier=sequence(reordered, core.Integer(1000).dump()))) == GOOD
    assert outcome(made(identifier=sequence(name("XX", "who").dump(), core.Integer(77).dump()))) == GOOD
    assert outcome(made(identifier=wrap(0x80, b"\x00" * 20))) == GOOD


def test_the_right_one_of_several_certificates() -> None:
    other = ROOT.signer(ec_key(3), serial=2000)
    assert outcome(made(certificates=[other, ROOT.der, SIGNER])) == GOOD
    assert outcome(made(certificates=[b"\x30\x03\x02\x01\x05", SIGNER])) == GOOD, "one that can't be read"
    assert outcome(made(certificates=[other], named=SIGNER)) == (Result.FAILED, ("pki.signature_wrong",))


def test_signer_that_is_not_embedded() -> None:
    bare = made(certificates=[], named=SIGNER)
    assert outcome(bare) == (Result.UNDETERMINED, ("pki.signer_unknown",))
    assert outcome(bare, (SIGNER,)) == GOOD
    assert outcome(bare, (ROOT.signer(ec_key(4)),)) == (Result.FAILED, ("pki.signature_wrong",))


@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha384", "sha512"])
@pytest.mark.parametrize("pss", [False, True])
def test_rsa(digest: str, *, pss: bool) -> None:
    key = rsa_key()
    signer = ROOT.signer(key)
    data = sod(CONTENT, signer, key, scheme=Scheme(digest, pss=pss), tag=False)
    expected = ("pki.sha1",) if digest == "sha1" else ()
    assert outcome(data) == (Result.SUCCESSFUL, expected)


def test_pss_takes_its_parameters_from_the_signer_info() -> None:
    key = rsa_key()
    scheme = Scheme("sha256", pss=True, mgf="sha1", salt=20)
    assert outcome(sod(CONTENT, ROOT.signer(key), key, scheme=scheme, tag=False)) == GOOD


def test_identifiers_without_a_digest() -> None:
    key = rsa_key()
    plain = Scheme("sha384", oid="1.2.840.113549.1.1.1")
    assert outcome(sod(CONTENT, ROOT.signer(key), key, scheme=plain, tag=False)) == GOOD
    assert outcome(made(scheme=Scheme("sha512", oid="1.2.840.10045.2.1"))) == GOOD


def test_lies_about_the_algorithm() -> None:
    lies = {
        "1.2.840.10045.4.3.4": (Result.FAILED, ("pki.signature_wrong",)),  # SHA-512 said, SHA-256 done
        "1.2.840.113549.1.1.11": (Result.FAILED, ("pki.signature_wrong",)),  # RSA said, ECDSA done
        "1.2.840.113549.1.1.4": (Result.UNDETERMINED, ("pki.algorithm_unsupported",)),  # MD5
    }
    for oid, expected in lies.items():
        assert outcome(made(scheme=Scheme("sha256", oid=oid))) == expected


def test_digest_of_the_content_may_differ_from_the_signatures() -> None:
    assert outcome(made(scheme=Scheme("sha384"), digest="sha256")) == GOOD


def test_attributes_that_do_not_belong_to_the_content() -> None:
    other = attribute("1.2.840.113549.1.9.4", core.OctetString(bytes(32)).dump())
    kind = attribute("1.2.840.113549.1.9.3", core.ObjectIdentifier("1.2.840.113549.1.7.1").dump())
    wrong = (Result.FAILED, ("pki.attributes_differ",))
    assert outcome(made(edit=lambda given: [given[0], other])) == wrong
    assert outcome(made(edit=lambda given: [kind, given[1]])) == wrong
    assert outcome(made(edit=lambda given: given[:1])) == wrong, "no digest"
    assert outcome(made(edit=lambda given: given[1:])) == wrong, "no content type"


def test_two_digests_leave_no_choice() -> None:
    other = attribute("1.2.840.113549.1.9.4", core.OctetString(bytes(32)).dump())
    oid = core.ObjectIdentifier("1.2.840.113549.1.9.4").dump()
    both = sequence(oid, wrap(0x31, core.OctetString(bytes(32)).dump(), core.OctetString(bytes(32)).dump()))
    for edit in (
        lambda given: [*given, other],
        lambda given: [other, *given],
        lambda given: [given[0], both],
        lambda given: [given[0], sequence(oid, wrap(0x31))],
    ):
        with pytest.raises(DecodeError, match=r"pki\.malformed"):
            find(made(edit=edit))


def test_attributes_are_verified_as_they_came() -> None:
    """Not sorted as DER wants, and more of them than we know: the signature is over these very octets."""
    more = attribute("1.2.3.4", core.Integer(5).dump())
    assert outcome(made(edit=lambda given: [more, *reversed(given)])) == GOOD


def test_a_forged_curve_in_the_signer_fails() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    from edged.core.emrtd import curves
    from tests.chip_pki import explicit_key_info

    key, curve = ec_key(5, ec.BrainpoolP256R1()), curves.curves()["brainpoolP256r1"]
    good = ROOT.signer(key, key_info=explicit_key_info(key, curve))
    assert outcome(sod(CONTENT, good, key, tag=False)) == GOOD
    bent = (curve.a ^ 1).to_bytes(32, "big")
    bad = ROOT.signer(key, key_info=explicit_key_info(key, curve, a=bent))
    assert outcome(sod(CONTENT, bad, key, tag=False)) == (Result.FAILED, ("pki.forged_curve",))
    unknown = ROOT.signer(key, key_info=spki(ec_key(6, ec.SECP256K1())))
    assert outcome(sod(CONTENT, unknown, key, tag=False)) == (Result.UNDETERMINED, ("pki.unknown_curve",))


def test_indefinite_lengths_and_content_in_pieces() -> None:
    """BER, as smart card personalisation of earlier years wrote it."""
    halves = wrap(0x04, CONTENT[:20]), wrap(0x04, CONTENT[20:])
    data = made()
    kind = core.ObjectIdentifier("2.23.136.1.1.1").dump()
    encapsulated = sequence(kind, wrap(0xA0, core.OctetString(CONTENT).dump()))
    assert encapsulated in data
    pieces = b"\xa0\x80\x24\x80" + b"".join(halves) + b"\x00\x00\x00\x00"
    rebuilt = data.replace(encapsulated, b"\x30\x80" + kind + pieces + b"\x00\x00")
    # the lengths around it change too: open them all
    inner = rebuilt[rebuilt.index(b"\x02\x01\x03") :]
    opened = (
        b"\x30\x80"
        + core.ObjectIdentifier(cms.SIGNED_DATA).dump()
        + b"\xa0\x80\x30\x80"
        + inner
        + b"\x00" * 6
    )
    assert outcome(opened) == GOOD
    assert cms.parse_signed_data(opened).content == CONTENT


def test_no_content_and_no_signer() -> None:
    signed = cms.parse_signed_data(made())
    for hollow in (
        cms.SignedData(signed.content_type, None, signed.certificates, (), signed.signers),
        cms.SignedData(signed.content_type, signed.content, signed.certificates, (), ()),
    ):
        finding = cms.verify_signed_data(hollow)
        assert (finding.result, finding.reasons[0].code) == (Result.FAILED, "pki.nothing_signed")


def test_what_it_is_about_is_withheld() -> None:
    signed = cms.parse_signed_data(made())
    assert "withheld" in repr(signed)
    assert "withheld" in repr(find(made()))
    assert CONTENT.hex() not in repr(find(made()))


@pytest.mark.parametrize("data", [b"", b"\x30", b"\x30\x00", b"\x77\x00", bytes(100), b"\x30\x80" * 400])
def test_what_is_no_signed_data(data: bytes) -> None:
    with pytest.raises(DecodeError, match=r"pki\."):
        cms.parse_signed_data(data)


def test_bounds() -> None:
    with pytest.raises(DecodeError, match=r"pki\.too_long"):
        cms.parse_signed_data(bytes(70_000))
    with pytest.raises(DecodeError, match=r"pki\.too_many"):
        cms.parse_signed_data(made(certificates=[SIGNER] * 17))


def test_damage_raises_one_error() -> None:
    dice, data = random.Random(12), made(signed_at="2024-01-01")
    for _ in range(1500):
        bad = bytearray(data)
        for _ in range(dice.randrange(1, 4)):
            bad[dice.randrange(len(bad))] = dice.choice((0, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        try:
            find(bytes(bad))
        except DecodeError as error:
            assert error.what in {"cms", "certificate"}

"""Certificates, names and revocation lists as states write them."""

from __future__ import annotations

import random

import pytest
from asn1crypto import core

from edged.core.emrtd.certificates import MASTER_LIST_SIGNER, Certificate, parse_certificate
from edged.core.emrtd.crl import parse_crl
from edged.core.emrtd.distinguished_names import read_name
from edged.core.emrtd.times import read_time
from edged.errors import DecodeError
from tests.chip_pki import Scheme, certificate, csca, day, ec_key, key_id, name, sequence, wrap

ROOT = csca("DE", ec_key(1))


def attribute(oid: str, tag: int, text: bytes) -> bytes:
    return wrap(0x31, sequence(core.ObjectIdentifier(oid).dump(), wrap(tag, text)))


def test_every_field() -> None:
    period = wrap(0x30, wrap(0x80, b"20200101000000Z"), wrap(0x81, b"20200701000000Z"))
    types = sequence(core.Integer(0).dump(), wrap(0x31, wrap(0x13, b"P"), wrap(0x13, b"ID")))
    der = ROOT.signer(
        ec_key(2),
        serial=-5,
        ski=b"\x01\x02",
        extended=[MASTER_LIST_SIGNER],
        raw={"2.5.29.16": period, "2.23.136.1.1.6.2": types},
    )
    made = parse_certificate(der)
    assert (made.der, made.serial, made.country) == (der, -5, "DE")
    assert made.subject.text == "C=DE, CN=Document Signer"
    assert made.issuer.normal == parse_certificate(ROOT.der).subject.normal
    assert (made.not_before, made.not_after) == (day("2020-01-01"), day("2030-01-01"))
    assert (made.ski, made.aki) == (b"\x01\x02", key_id(ROOT.key))
    assert (made.ca, made.key_usage) == (False, {"digital_signature"})
    assert made.extended_key_usage == {MASTER_LIST_SIGNER}
    assert made.document_types == ("P", "ID")
    assert made.private_key_period == (day("2020-01-01"), day("2020-07-01"))
    assert made.signed_by(parse_certificate(ROOT.der))
    assert not made.signed_by(made)
    assert (made.self_issued, parse_certificate(ROOT.der).self_issued) == (False, True)
    root = parse_certificate(ROOT.der)
    assert (root.ca, root.key_usage) == (True, {"key_cert_sign", "crl_sign"})


def test_a_signature_has_one_spelling() -> None:
    """Four bits that are zero may not be declared unused: the same signature would be another certificate."""
    signature = parse_certificate(ROOT.der).signature
    bits = b"\x03" + bytes([len(signature) + 1])
    at = ROOT.der.rindex(bits + b"\x00" + signature) + len(bits)
    zero_at_the_end = ROOT.der[:-1] + bytes([ROOT.der[-1] & 0xF0])
    assert parse_certificate(zero_at_the_end).signature[:-1] == signature[:-1]
    with pytest.raises(DecodeError) as caught:
        parse_certificate(zero_at_the_end[:at] + b"\x04" + zero_at_the_end[at + 1 :])
    assert caught.value.code == "pki.malformed"


def test_no_extensions_at_all() -> None:
    own = name("FR", "bare")
    made = parse_certificate(certificate(subject=own, issuer=own, key=ec_key(3), signer=ec_key(3)))
    assert (made.ski, made.aki, made.ca, made.key_usage) == (None, None, False, None)
    assert (made.extended_key_usage, made.document_types) == (frozenset(), ())


def test_extensions_that_break_their_own_syntax_cost_themselves_alone() -> None:
    broken = dict.fromkeys(
        ("2.5.29.14", "2.5.29.37", "2.5.29.16", "2.23.136.1.1.6.2", "2.5.29.35", "2.5.29.19"), b"\xff\xff"
    )
    made = parse_certificate(ROOT.signer(ec_key(4), aki=None, raw=broken))
    assert (made.ski, made.aki, made.ca) == (None, None, False)
    assert made.key_usage == {"digital_signature"}
    assert made.signed_by(parse_certificate(ROOT.der))


def test_names_compare_as_issuers_write_them() -> None:
    plain = read_name(
        sequence(attribute("2.5.4.6", 0x13, b"DE"), attribute("2.5.4.3", 0x0C, b"csca germany"))
    )
    other = read_name(
        sequence(
            attribute("2.5.4.3", 0x1E, " CSCA   Germany ".encode("utf-16-be")),
            attribute("2.5.4.6", 0x0C, b"de"),
        )
    )
    assert plain.normal == other.normal
    assert plain.digest == other.digest
    assert plain.country == other.country == "DE"
    third = read_name(
        sequence(attribute("2.5.4.6", 0x13, b"DE"), attribute("2.5.4.3", 0x0C, b"csca germany2"))
    )
    assert plain.digest != third.digest


def test_what_a_name_shows_is_printable_and_bounded() -> None:
    shown = read_name(sequence(attribute("2.5.4.3", 0x0C, b"a\x1b[31m\n" + b"x" * 400)))
    assert shown.text.startswith("CN=a?[31m?x")
    assert len(shown.text) < 200
    assert shown.country is None
    posing = read_name(sequence(attribute("2.5.4.6", 0x0C, b"XX: all is well, let the holder pass")))
    assert posing.country is None, "it would be shown to a clerk"
    with pytest.raises(DecodeError, match=r"pki\.malformed"):
        read_name(sequence(*[attribute("2.5.4.3", 0x0C, b"a")] * 40))


@pytest.mark.parametrize(
    ("der", "expected"),
    [
        (b"\x17\x0d491231235959Z", "2049-12-31T23:59:59"),
        (b"\x17\x0d500101000000Z", "1950-01-01T00:00:00"),
        (b"\x17\x0b2001011200Z", "2020-01-01T12:00:00"),
        (b"\x18\x0f20500101000000Z", "2050-01-01T00:00:00"),
        (b"\x18\x1320500101000000.123Z", "2050-01-01T00:00:00"),
        (b"\x18\x1320200101120000+0200", "2020-01-01T10:00:00"),
        (b"\x18\x0e20200101120000", "2020-01-01T12:00:00"),
    ],
)
def test_times(der: bytes, expected: str) -> None:
    assert read_time(der[:1] + bytes((len(der) - 2,)) + der[2:]) == day(expected)


@pytest.mark.parametrize(
    "der",
    [
        b"\x17\x0d201301000000Z",
        b"\x17\x0f20200101000000Z",
        b"\x18\x0f00000101000000Z",
        b"\x17\x00",
        b"\x04\x01a",
        b"\x18\x1300010101000000+0900",
        b"\x17\x0d20010100000\xd9\xa9Z",
    ],
)
def test_times_that_are_none(der: bytes) -> None:
    with pytest.raises(DecodeError, match=r"pki\.bad_time|tlv\."):
        read_time(der)


def test_what_follows_or_is_too_long_is_refused() -> None:
    with pytest.raises(DecodeError, match=r"pki\.malformed"):
        parse_certificate(ROOT.der + b"\x00")
    with pytest.raises(DecodeError, match=r"pki\.too_long"):
        parse_certificate(bytes(20_000))


def test_damaged_certificates_and_lists_raise_one_error() -> None:
    dice = random.Random(6)
    for der, parse in ((ROOT.der, parse_certificate), (ROOT.crl(5, 6), parse_crl)):
        for _ in range(1500):
            bad = bytearray(der)
            for _ in range(dice.randrange(1, 4)):
                bad[dice.randrange(len(bad))] = dice.choice((0, 0x7F, 0x80, 0xFF, dice.randrange(256)))
            try:
                made = parse(bytes(bad[: dice.choice((len(bad), dice.randrange(len(bad))))]))
                if isinstance(made, Certificate):
                    _ = made.public_key, made.algorithm, made.subject.text, repr(made)
            except DecodeError as error:
                assert "DE" not in str(error)


def test_revocation_lists() -> None:
    root = parse_certificate(ROOT.der)
    made = parse_crl(ROOT.crl(7, 300, since="2026-11-01", until="2027-02-01"))
    assert made.revoked == {7, 300}
    assert (made.this_update, made.next_update) == (day("2026-11-01"), day("2027-02-01"))
    assert made.issuer.digest == root.subject.digest
    assert made.aki == root.ski
    assert made.signed_by(root)
    assert not parse_crl(ROOT.crl(7, key=ec_key(9))).signed_by(root)
    empty = parse_crl(ROOT.crl(until=None))
    assert (empty.revoked, empty.next_update) == (frozenset(), None)


def test_a_certificate_without_the_right_signs_no_list() -> None:
    key = ec_key(10)
    usage = csca("DE", key, usage={"key_cert_sign"})
    assert not parse_crl(usage.crl(1)).signed_by(parse_certificate(usage.der))


def test_lists_of_changes_and_of_others_are_refused() -> None:
    for oid, value in (("2.5.29.27", b"\x02\x01\x01"), ("2.5.29.28", wrap(0x30, wrap(0x84, b"\xff")))):
        extension = sequence(core.ObjectIdentifier(oid).dump(), core.OctetString(value).dump())
        with pytest.raises(DecodeError, match=r"pki\.crl_unsupported"):
            parse_crl(_crl_with(extension))
    harmless = wrap(0x30, wrap(0xA0, b""))
    extension = sequence(core.ObjectIdentifier("2.5.29.28").dump(), core.OctetString(harmless).dump())
    assert parse_crl(_crl_with(extension)).revoked == frozenset()


def _crl_with(extension: bytes) -> bytes:
    scheme = Scheme()
    tbs = sequence(
        core.Integer(1).dump(),
        scheme.identifier(ROOT.key),
        ROOT.name.dump(),
        core.UTCTime(day("2026-11-01")).dump(),
        wrap(0xA0, sequence(extension)),
    )
    return sequence(tbs, scheme.identifier(ROOT.key), core.OctetBitString(scheme.sign(ROOT.key, tbs)).dump())

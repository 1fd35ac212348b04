"""Passive authentication: genuine, foreign, forged, tampered with; and what can't be said."""

from __future__ import annotations

import pytest
from asn1crypto import cms as asn1_cms

from edged.core.emrtd.certificates import parse_certificate
from edged.core.emrtd.issuing_states import ALPHA2, certificate_countries, state_of
from edged.core.emrtd.passive import unreadable
from edged.core.emrtd.trust_anchors import EMPTY, TrustAnchors, anchor_entry, signer_entry
from edged.errors import DecodeError
from tests.chip_pki import (
    Scheme,
    certificate,
    csca,
    ec_key,
    key_id,
    name,
    rsa_key,
    sequence,
    sod,
    wrap,
)
from tests.passive_cases import (
    BAD,
    CONTENT,
    FRANCE,
    GERMANY,
    GROUPS,
    KEY,
    OK,
    OPEN,
    SIGNER,
    SOD,
    anchors,
    codes,
    judge,
    results,
    signed,
)


def test_a_genuine_document() -> None:
    result = judge()
    assert results(result) == (OK, OK, OK, OK)
    assert codes(result, "pa_certificate") == ("chip.no_revocation_list",)
    assert result.genuine
    assert result.proves(1)
    assert not result.proves(15)
    facts = result.facts
    assert facts is not None
    assert facts.signer is not None
    assert facts.anchor is not None
    assert (facts.signer.subject.text, facts.anchor.der) == ("C=DE, CN=Document Signer", GERMANY.der)
    assert (facts.algorithm, facts.key, facts.digest) == ("ECDSA with SHA-256", "secp256r1", "sha256")
    assert (facts.matching, facts.mismatching, facts.unlisted, facts.not_given) == ((1, 2, 14), (), (), ())
    assert facts.signed_on is None


def test_groups_that_are_not_given_are_told() -> None:
    result = judge(groups={1: GROUPS[1]})
    assert results(result) == (OK, OK, OK, OK)
    reason = result.check("pa_hashes").reasons[0]
    assert (reason.code, reason.params) == ("chip.data_groups_not_checked", {"groups": "DG2, DG14"})
    assert results(judge(groups={}))[3] is OPEN
    assert not judge(groups={1: GROUPS[1]}).proves(2)


def test_a_group_that_was_changed() -> None:
    result = judge(groups={**GROUPS, 2: GROUPS[2] + b"!"})
    assert results(result) == (OK, OK, OK, BAD)
    assert [reason.params for reason in result.check("pa_hashes").reasons] == [{"group": "DG2"}]
    assert codes(result, "pa_hashes") == ("chip.data_group_changed",)
    assert (result.proves(1), result.proves(2)) == (True, False)


def test_groups_that_were_swapped() -> None:
    result = judge(groups={1: GROUPS[2], 2: GROUPS[1]})
    assert codes(result, "pa_hashes")[:2] == ("chip.data_group_changed",) * 2


def test_a_group_that_is_not_signed() -> None:
    """A copy with its own key for active authentication: DG15 added, EF.SOD left alone."""
    result = judge(groups={**GROUPS, 15: b"\x6f\x00"})
    assert results(result) == (OK, OK, OK, BAD)
    assert codes(result, "pa_hashes") == ("chip.data_group_not_signed",)
    assert not result.proves(15)


def test_an_unknown_hash_of_groups() -> None:
    sha256 = bytes.fromhex("608648016503040201")
    result = judge(sod(CONTENT.replace(sha256, sha256[:-1] + b"\x7f"), SIGNER, KEY))
    assert results(result)[3] is OPEN
    assert codes(result, "pa_hashes") == ("pki.algorithm_unsupported",)


# Trust


def test_no_trust_data_is_undetermined() -> None:
    for trust in (EMPTY, anchors(FRANCE.der)):
        result = judge(trust=trust)
        assert results(result) == (OK, OPEN, OPEN, OK)
        reason = result.check("pa_certificate").reasons[0]
        assert (reason.code, reason.params) == ("chip.no_trust_anchor", {"country": "DE"})
        assert codes(result, "pa_issuer") == ("chip.issuer_unproven",)
        assert not result.proves(1)


def test_another_key_of_the_state_is_undetermined() -> None:
    newer = csca("DE", ec_key(23))
    result = judge(signed(newer.signer(KEY)))
    assert results(result) == (OK, OPEN, OPEN, OK)
    assert codes(result, "pa_certificate") == ("chip.no_trust_anchor_for_key",)


def test_a_signer_that_claims_a_key_it_was_not_signed_with() -> None:
    forger = csca("DE", ec_key(24))
    result = judge(signed(forger.signer(KEY, aki=key_id(GERMANY.key))))
    assert results(result) == (OK, BAD, OPEN, OK)
    assert codes(result, "pa_certificate") == ("chip.signer_forged",)


def test_issuers_are_found_by_identifier_by_name_and_by_country() -> None:
    """Whatever the certificate says of its issuer, the key that signed it tells."""
    for options in (
        {"aki": None},
        {"aki": b"\x00" * 20},
        {"issuer": name("DE", "renamed")},
        {"issuer": name("DE", "renamed"), "aki": None},
    ):
        der = certificate(
            **{
                "subject": name("DE", "DS"),
                "issuer": GERMANY.name,
                "key": KEY,
                "signer": GERMANY.key,
                "usage": {"digital_signature"},
                **options,
            }
        )
        assert results(judge(signed(der)))[:3] == (OK, OK, OK)


def test_a_signer_from_the_trust_data() -> None:
    bare = sod(CONTENT, None, KEY, named=SIGNER)
    assert results(judge(bare)) == (OPEN, OPEN, OPEN, OK)
    entry = signer_entry(parse_certificate(SIGNER))
    trust = TrustAnchors([anchor_entry(parse_certificate(GERMANY.der))], (), [entry])
    assert results(judge(bare, trust=trust)) == (OK, OK, OK, OK)
    assert results(judge(bare, trust=TrustAnchors((), (), [entry])))[1] is OPEN, "it is no anchor"
    named = GERMANY.signer(KEY, ski=key_id(KEY))
    bare = sod(CONTENT, None, KEY, named=named, identifier=wrap(0x80, key_id(KEY)))
    entry = signer_entry(parse_certificate(named))
    trust = TrustAnchors([anchor_entry(parse_certificate(GERMANY.der))], (), [entry])
    assert results(judge(bare, trust=trust)) == (OK, OK, OK, OK)


def with_signer(data: bytes, other: bytes) -> bytes:
    """The first security object with the second one's SignerInfo before its own, and its certificate too."""
    infos = [asn1_cms.ContentInfo.load(one[one.index(b"\x30") :]) for one in (data, other)]
    first, second = (info["content"] for info in infos)
    signers = wrap(0x31, second["signer_infos"][0].dump(), first["signer_infos"][0].dump())
    embedded = wrap(0xA0, *(part["certificates"][0].chosen.dump() for part in (first, second)))
    signed = sequence(
        *(first[name].dump() for name in ("version", "digest_algorithms", "encap_content_info")),
        embedded,
        signers,
    )
    return wrap(0x77, sequence(infos[0]["content_type"].dump(), wrap(0xA0, signed)))


def test_one_believed_signer_among_several_is_enough() -> None:
    """A state may sign twice, with an old and a new key say; the box knows the authority of one of them."""
    unknown, key = csca("DE", ec_key(46)), ec_key(47)
    stranger = sod(CONTENT, unknown.signer(key, serial=2000), key)
    for data in (with_signer(SOD, stranger), with_signer(stranger, SOD)):
        result = judge(data)
        assert results(result) == (OK, OK, OK, OK)
        assert result.facts is not None
        assert result.facts.anchor is not None
        assert result.facts.anchor.der == GERMANY.der
        assert results(judge(data, trust=EMPTY)) == (OK, OPEN, OPEN, OK)
    spoiled = bytearray(stranger)
    spoiled[-1] ^= 1
    assert results(judge(with_signer(SOD, bytes(spoiled)))) == (OK, OK, OK, OK)
    assert results(judge(with_signer(bytes(spoiled), bytes(spoiled))))[0] is BAD


# States


def test_signed_by_another_state() -> None:
    foreign = signed(FRANCE.signer(KEY))
    result = judge(foreign)
    assert results(result) == (OK, OK, BAD, OK)
    reason = result.check("pa_issuer").reasons[0]
    assert (reason.code, reason.params) == ("chip.signed_by_another_state", {"state": "D", "signer": "FRA"})
    assert not result.genuine
    assert not result.proves(1)
    assert results(judge(foreign, state="FRA")) == (OK, OK, OK, OK)


def test_a_foreign_key_behind_a_certificate_that_names_the_state() -> None:
    """France's authority signs "C=DE": the name helps nobody, the key is France's."""
    posing = FRANCE.signer(KEY, subject=name("DE", "Document Signer"))
    assert results(judge(signed(posing))) == (OK, OK, BAD, OK)
    posing = certificate(
        subject=name("DE", "DS"),
        issuer=GERMANY.name,
        key=KEY,
        signer=FRANCE.key,
        aki=key_id(FRANCE.key),
        usage={"digital_signature"},
    )
    assert results(judge(signed(posing)))[2] is BAD


def test_an_authority_of_another_state_does_not_vouch_for_a_signer() -> None:
    """Without DG1 there is nothing to compare but the two certificates: France's key, an issuer "C=DE"."""
    posing = certificate(
        subject=name("DE", "DS"),
        issuer=GERMANY.name,
        key=KEY,
        signer=FRANCE.key,
        aki=key_id(FRANCE.key),
        usage={"digital_signature"},
    )
    result = judge(signed(posing), groups={2: GROUPS[2]}, state=None)
    assert results(result) == (OK, BAD, OPEN, OK)
    (reason,) = result.check("pa_certificate").reasons
    assert (reason.code, reason.params) == ("chip.signer_of_another_state", {"country": "DE", "signer": "FR"})


@pytest.mark.parametrize(("issuer", "authority"), [("XK", "KS"), ("DEU", "DE"), ("HK", "CN"), ("MO", "CN")])
def test_two_ways_to_write_one_state(issuer: str, authority: str) -> None:
    root = csca(authority, ec_key(44))
    der = certificate(
        subject=name(issuer, "DS"),
        issuer=name(issuer, "CSCA"),
        key=KEY,
        signer=root.key,
        aki=key_id(root.key),
        usage={"digital_signature"},
    )
    assert results(judge(signed(der), trust=anchors(root.der), state=None))[1] is OK


def test_an_authority_without_a_state_proves_no_state() -> None:
    nobody = csca(None, ec_key(45), subject=name(None, "CSCA"))
    posing = nobody.signer(KEY, subject=name("DE", "Document Signer"))
    result = judge(signed(posing), trust=anchors(nobody.der))
    assert (results(result)[2], codes(result, "pa_issuer")) == (OPEN, ("chip.issuer_unproven",))
    assert not result.proves(1)


def test_a_key_identifier_that_two_states_share_accuses_nobody() -> None:
    france = csca("FR", FRANCE.key, ski=key_id(GERMANY.key))
    result = judge(trust=anchors(france.der))
    assert results(result) == (OK, OPEN, OPEN, OK)
    assert codes(result, "pa_certificate") == ("chip.no_trust_anchor",)


def test_another_state_fails_without_any_trust_data() -> None:
    assert results(judge(trust=EMPTY, state="FRA")) == (OK, OPEN, BAD, OK)


def test_states_that_are_not_known_or_not_read() -> None:
    result = judge(state=None)
    assert (results(result)[2], codes(result, "pa_issuer")) == (OPEN, ("chip.issuing_state_not_read",))
    result = judge(state="QQQ")
    assert (results(result)[2], codes(result, "pa_issuer")) == (OPEN, ("chip.issuing_state_unknown",))
    assert not result.genuine


@pytest.mark.parametrize(
    ("state", "country", "may"),
    [
        ("D", "DE", True),
        ("DEU", "DE", True),
        ("FRA", "FR", True),
        ("GBD", "GB", True),
        ("GBN", "GB", True),
        ("BMU", "GB", True),
        ("CHN", "CN", True),
        ("CHN", "HK", True),
        ("HKG", "CN", True),
        ("MAC", "CN", True),
        ("TWN", "CN", False),
        ("CHN", "TW", False),
        ("EUE", "EU", True),
        ("UNO", "UN", True),
        ("RKS", "KS", True),
        ("RKS", "RS", False),
        ("UTO", "UT", True),
        ("CHE", "CN", False),
        ("AUT", "AU", False),
        ("GBR", "IE", False),
    ],
)
def test_countries_of_states(state: str, country: str, *, may: bool) -> None:
    assert (country in certificate_countries(state)) is may


def test_every_state_has_its_country() -> None:
    from edged.core.country_table import ISO

    assert {code for code, _, _, _ in ISO} == set(ALPHA2)
    assert len(set(ALPHA2.values())) == len(ALPHA2) == 249
    assert all(certificate_countries(code) >= {ALPHA2[code]} for code in ALPHA2)
    assert [state_of(country) for country in ("DE", "FR", "KS", "??")] == ["D", "FRA", "RKS", "??"]


# Tampering


def test_a_bit_anywhere_that_is_signed() -> None:
    """Content, signed attributes, signature, the signer's certificate: no flipped bit leaves a genuine document."""
    data = signed(SIGNER, signed_at="2024-01-01")
    ends = (
        at
        for at in range(len(data) - 80, len(data) - 2)
        if data[at] == 4 and data[at + 1] == len(data) - at - 2
    )
    signature_at = next(ends)  # the last OCTET STRING: it reaches to the end
    attributes_at = data.index(b"\xa0", data.index(SIGNER) + len(SIGNER))
    assert data[attributes_at + 1] & 0x80 or data[attributes_at + 2] == 0x30
    for start, size in (
        (data.index(CONTENT), len(CONTENT)),
        (data.index(SIGNER), len(SIGNER)),
        (attributes_at, signature_at - attributes_at - 12),
        (signature_at + 2, len(data) - signature_at - 2),
    ):
        for at in range(start, start + size):
            bad = bytearray(data)
            bad[at] ^= 1 << (at % 8)
            try:
                result = judge(bytes(bad))
            except DecodeError:
                continue
            assert not (result.genuine and result.check("pa_hashes").result is OK), (at - start, size)


def test_a_bit_anywhere_never_raises_anything_else() -> None:
    data = signed(SIGNER, signed_at="2024-01-01")
    for at in range(len(data)):
        bad = bytearray(data)
        bad[at] ^= 0x80 >> (at % 8)
        try:
            assert len(judge(bytes(bad)).checks) == 4
        except DecodeError as error:
            assert unreadable(error).checks[0].result is BAD


def test_what_is_no_security_object() -> None:
    for data in (b"", b"\x77\x00", SOD[4:], SOD + b"\x00", sod(b"\x30\x00", SIGNER, KEY)):
        with pytest.raises(DecodeError):
            judge(data)
    with pytest.raises(DecodeError, match=r"pki\.wrong_content"):
        judge(signed(SIGNER, content_type="2.23.136.1.1.2"))
    result = unreadable(DecodeError("sod", "pki.malformed"))
    assert results(result) == (BAD, OPEN, OPEN, OPEN)
    assert (result.facts, result.genuine, result.proves(1)) == (None, False, False)


def test_every_algorithm_from_the_authority_down() -> None:
    for index, scheme in enumerate(
        (Scheme("sha1"), Scheme("sha512"), Scheme("sha256", pss=True, mgf="sha1", salt=11))
    ):
        root = csca("DE", rsa_key(), scheme=scheme)
        signer = root.signer(rsa_key(number=1), scheme=scheme)
        result = judge(signed(signer, rsa_key(number=1), scheme=scheme), trust=anchors(root.der))
        assert results(result) == (OK, OK, OK, OK)
        assert ("pki.sha1" in codes(result, "pa_certificate")) is (index == 0)
        assert ("pki.sha1" in codes(result, "pa_signature")) is (index == 0)


def test_an_authority_signed_with_an_unusable_algorithm() -> None:
    weak = GERMANY.signer(KEY, scheme=Scheme("sha256", oid="1.2.840.113549.1.1.4"))
    result = judge(signed(weak))
    assert (results(result)[1], codes(result, "pa_certificate")) == (OPEN, ("pki.algorithm_unsupported",))


def test_trust_data_by_country_and_repr() -> None:
    trust = anchors(GERMANY.der, links=(FRANCE.der,), crls=(GERMANY.crl(),))
    assert trust.countries == {"DE"}
    assert repr(trust) == "<TrustAnchors: 2 certificates, 1 CRLs>"
    assert (len(EMPTY), EMPTY.countries) == (0, frozenset())
    broken = TrustAnchors([anchor_entry(parse_certificate(GERMANY.der))._replace(der=b"\x30\x00")])
    assert results(judge(trust=broken))[1] is OPEN

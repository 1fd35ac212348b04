"""Passive authentication: genuine, foreign, forged, expired, revoked, tampered with; and what can't be said."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from edged.core.emrtd.certificates import parse_certificate
from edged.core.emrtd.crl import parse_crl
from edged.core.emrtd.issuing_states import ALPHA2, certificate_countries, state_of
from edged.core.emrtd.passive import PASSIVE_CHECKS, PassiveResult, unreadable, verify_passive
from edged.core.emrtd.trust_anchors import EMPTY, TrustAnchors, anchor_entry, crl_entry, signer_entry
from edged.errors import DecodeError
from edged.verdict import Result
from tests.chip_pki import (
    Csca,
    Scheme,
    certificate,
    csca,
    day,
    ec_key,
    key_id,
    name,
    rsa_key,
    security_object,
    sod,
    wrap,
)

NOW = day("2026-11-26")
GROUPS = {1: b"\x61\x03one", 2: b"\x75\x03two", 14: b"\x6e\x05three"}
KEY = ec_key(20)
GERMANY = csca("DE", ec_key(21))
FRANCE = csca("FR", ec_key(22))
SIGNER = GERMANY.signer(KEY)
CONTENT = security_object(GROUPS)
SOD = sod(CONTENT, SIGNER, KEY)
OK, BAD, OPEN = Result.SUCCESSFUL, Result.FAILED, Result.UNDETERMINED


def anchors(*trusted: bytes, links: tuple[bytes, ...] = (), crls: tuple[bytes, ...] = ()) -> TrustAnchors:
    return TrustAnchors(
        [
            *(anchor_entry(parse_certificate(der)) for der in trusted),
            *(anchor_entry(parse_certificate(der), trusted=False) for der in links),
        ],
        [crl_entry(parse_crl(der)) for der in crls],
    )


TRUST = anchors(GERMANY.der, FRANCE.der)


def judge(
    data: bytes = SOD,
    groups: dict[int, bytes] = GROUPS,
    trust: TrustAnchors = TRUST,
    *,
    at: datetime | None = NOW,
    state: str | None = "D",
) -> PassiveResult:
    return verify_passive(data, groups, trust, at=at, issuing_state=state)


def results(result: PassiveResult) -> tuple[Result, ...]:
    assert tuple(check.name for check in result.checks) == PASSIVE_CHECKS
    return tuple(check.result for check in result.checks)


def codes(result: PassiveResult, name: str) -> tuple[str, ...]:
    return tuple(reason.code for reason in result.check(name).reasons)


def signed(signer: bytes, key: Any = KEY, **options: Any) -> bytes:
    return sod(CONTENT, signer, key, **options)


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


def link(old: Csca, new: Csca, **options: Any) -> bytes:
    """The new key, certified by the old one."""
    settings = {"usage": {"key_cert_sign", "crl_sign"}, "ca": True, "serial": 50, **options}
    return certificate(
        subject=new.name,
        issuer=old.name,
        key=new.key,
        signer=old.key,
        ski=key_id(new.key),
        aki=key_id(old.key),
        **settings,
    )


def test_links_lead_to_a_trusted_key() -> None:
    second = csca("DE", ec_key(25), "CSCA 2")
    third = csca("DE", ec_key(26), "CSCA 3")
    data = signed(third.signer(KEY))
    links = (link(GERMANY, second), link(second, third))
    result = judge(data, trust=anchors(GERMANY.der, links=links))
    assert results(result) == (OK, OK, OK, OK)
    assert result.facts is not None
    assert [one.der for one in result.facts.links] == [links[1], links[0]]
    assert results(judge(data, trust=anchors(GERMANY.der, links=links[1:])))[1] is OPEN
    assert results(judge(data, trust=anchors(links=links)))[1] is OPEN, "links alone prove nothing"
    assert results(judge(data, trust=anchors(third.der)))[1] is OK
    assert results(judge(data, trust=anchors(links[1])))[1] is OK, "a link that is trusted itself"


def test_links_without_the_right_to_certify() -> None:
    """A document signer must not make document signers."""
    rogue = csca("DE", ec_key(27), "rogue")
    data = signed(rogue.signer(KEY))
    for options in (
        {"usage": {"digital_signature"}},
        {"usage": None, "ca": False},
        {"usage": None, "ca": None},
    ):
        trust = anchors(GERMANY.der, links=(link(GERMANY, rogue, **options),))
        assert results(judge(data, trust=trust))[1] is OPEN


def test_chains_are_bounded() -> None:
    keys = [csca("DE", ec_key(30 + step), f"CSCA {step}") for step in range(6)]
    links = tuple(link(old, new) for old, new in pairwise(keys))
    far = signed(keys[5].signer(KEY))
    near = signed(keys[3].signer(KEY))
    assert results(judge(near, trust=anchors(keys[0].der, links=links)))[1] is OK
    assert results(judge(far, trust=anchors(keys[0].der, links=links)))[1] is OPEN
    circle = (*links, link(keys[5], keys[0]))
    assert results(judge(far, trust=anchors(links=circle)))[1] is OPEN


def test_hundreds_of_candidates_are_bounded() -> None:
    many = [csca("DE", ec_key(100 + step)) for step in range(100)]
    result = judge(signed(GERMANY.signer(KEY, aki=None)), trust=anchors(*(one.der for one in many)))
    assert results(result)[1] is OPEN


# Dates


def test_expired_today_is_normal() -> None:
    old = csca("DE", ec_key(40), valid=("2010-01-01", "2020-01-01"))
    signer = old.signer(KEY, valid=("2012-01-01", "2016-01-01"))
    for data in (signed(signer), signed(signer, signed_at="2013-05-05")):
        assert results(judge(data, trust=anchors(old.der))) == (OK, OK, OK, OK)
        assert results(judge(data, trust=anchors(old.der), at=None)) == (OK, OK, OK, OK)


@pytest.mark.parametrize("moment", ["2019-12-30", "2024-01-03"])
def test_signed_outside_the_signers_validity(moment: str) -> None:
    signer = GERMANY.signer(KEY, valid=("2020-01-01", "2024-01-01"))
    result = judge(signed(signer, signed_at=moment))
    assert results(result) == (OK, BAD, OK, OK)
    assert codes(result, "pa_certificate") == ("chip.signed_outside_validity",)


@pytest.mark.parametrize("moment", ["2019-12-31T12:00:00", "2022-06-01", "2024-01-01T12:00:00"])
def test_signed_within_the_signers_validity(moment: str) -> None:
    signer = GERMANY.signer(KEY, valid=("2020-01-01", "2024-01-01"))
    result = judge(signed(signer, signed_at=moment))
    assert results(result) == (OK, OK, OK, OK)
    assert result.facts is not None
    assert str(result.facts.signed_on) == moment[:10]


def test_authority_expired_when_it_signed() -> None:
    old = csca("DE", ec_key(41), valid=("2010-01-01", "2015-01-01"))
    late = old.signer(KEY, valid=("2016-01-01", "2026-01-01"))
    result = judge(signed(late), trust=anchors(old.der))
    assert codes(result, "pa_certificate") == ("chip.issuer_expired_at_signing",)
    assert results(result)[1] is BAD
    outlives = old.signer(KEY, valid=("2014-01-01", "2026-01-01"))
    assert results(judge(signed(outlives), trust=anchors(old.der)))[1] is OK, "when is not told"
    after = signed(outlives, signed_at="2016-01-01")
    assert results(judge(after, trust=anchors(old.der)))[1] is BAD


def test_authority_younger_than_what_it_signed() -> None:
    young = csca("DE", ec_key(42), valid=("2022-01-01", "2032-01-01"))
    result = judge(signed(young.signer(KEY)), trust=anchors(young.der))
    assert (results(result)[1], codes(result, "pa_certificate")) == (OPEN, ("chip.issuer_younger",))
    assert not result.genuine


def test_the_certificate_of_a_key_whose_dates_fit() -> None:
    """One key, certified twice: the later certificate alone would leave it open."""
    key = ec_key(43)
    first = csca("DE", key, valid=("2018-01-01", "2028-01-01"))
    again = csca("DE", key, valid=("2022-01-01", "2032-01-01"))
    for order in ((first.der, again.der), (again.der, first.der)):
        result = judge(signed(first.signer(KEY)), trust=anchors(*order))
        assert results(result)[1] is OK
        assert result.facts is not None
        assert result.facts.anchor is not None
        assert result.facts.anchor.der == first.der


def test_a_signer_from_the_future() -> None:
    signer = GERMANY.signer(KEY, valid=("2027-06-01", "2029-01-01"))
    result = judge(signed(signer))
    assert (results(result)[1], codes(result, "pa_certificate")) == (BAD, ("chip.signer_not_yet_valid",))
    assert results(judge(signed(signer), at=None))[1] is OK, "without a clock nothing says so"


def test_overstepping_the_private_key_period_is_told() -> None:
    period = wrap(0x30, wrap(0x80, b"20200101000000Z"), wrap(0x81, b"20200701000000Z"))
    signer = GERMANY.signer(KEY, raw={"2.5.29.16": period})
    result = judge(signed(signer, signed_at="2020-09-01"))
    assert results(result)[1] is OK
    assert "chip.signer_past_its_period" in codes(result, "pa_certificate")
    assert "chip.signer_past_its_period" not in codes(
        judge(signed(signer, signed_at="2020-03-01")), "pa_certificate"
    )


# Usage and revocation


@pytest.mark.parametrize(
    "options",
    [
        {"usage": {"key_cert_sign"}},
        {"usage": {"key_encipherment"}},
        {"extended": ["2.23.136.1.1.3"]},
        {"extended": ["2.23.136.1.1.8"]},
    ],
)
def test_certificates_for_another_use_sign_no_documents(options: dict[str, Any]) -> None:
    result = judge(signed(GERMANY.signer(KEY, **options)))
    assert (results(result)[1], codes(result, "pa_certificate")) == (BAD, ("chip.signer_not_for_documents",))


def test_revocation() -> None:
    fresh = GERMANY.crl(5, 1000)
    result = judge(trust=anchors(GERMANY.der, crls=(fresh,)))
    assert (results(result), codes(result, "pa_certificate")) == ((OK, BAD, OK, OK), ("chip.signer_revoked",))
    assert not result.proves(1)
    assert results(judge(trust=anchors(GERMANY.der, crls=(fresh,)), at=None))[1] is BAD
    good = judge(trust=anchors(GERMANY.der, crls=(GERMANY.crl(5),)))
    assert (results(good)[1], codes(good, "pa_certificate")) == (OK, ())


def test_old_lists_and_no_clock() -> None:
    stale = anchors(GERMANY.der, crls=(GERMANY.crl(5, since="2020-01-01", until="2020-04-01"),))
    assert codes(judge(trust=stale), "pa_certificate") == ("chip.revocation_list_old",)
    assert codes(judge(trust=stale, at=None), "pa_certificate") == ("chip.revocation_age_unknown",)
    assert results(judge(trust=stale))[1] is OK
    endless = anchors(GERMANY.der, crls=(GERMANY.crl(5, until=None),))
    assert codes(judge(trust=endless), "pa_certificate") == ("chip.revocation_list_old",)
    both = (GERMANY.crl(5, since="2020-01-01", until="2020-04-01"), GERMANY.crl(6))
    assert codes(judge(trust=anchors(GERMANY.der, crls=both)), "pa_certificate") == ()
    old_revocation = (GERMANY.crl(1000, since="2020-01-01", until="2020-04-01"),)
    assert results(judge(trust=anchors(GERMANY.der, crls=old_revocation)))[1] is BAD


def test_lists_that_nobody_trusted_signed_are_ignored() -> None:
    forged = GERMANY.crl(1000, key=ec_key(50))
    foreign = FRANCE.crl(1000, issuer=GERMANY.name)
    for crl in (forged, foreign, b"\x30\x00"):
        entry = crl_entry(parse_crl(forged))._replace(der=crl)
        trust = TrustAnchors(
            [anchor_entry(parse_certificate(der)) for der in (GERMANY.der, FRANCE.der)], [entry]
        )
        result = judge(trust=trust)
        assert (results(result)[1], codes(result, "pa_certificate")) == (OK, ("chip.no_revocation_list",))


def test_a_revoked_link() -> None:
    second = csca("DE", ec_key(51), "CSCA 2")
    data = signed(second.signer(KEY))
    trust = anchors(GERMANY.der, links=(link(GERMANY, second),), crls=(GERMANY.crl(50),))
    result = judge(data, trust=trust)
    assert (results(result)[1], codes(result, "pa_certificate")) == (BAD, ("chip.issuer_revoked",))


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
    signature_at = data.rindex(b"\x04", 0, len(data) - 64)
    attributes_at = data.index(b"\xa0", data.index(SIGNER) + len(SIGNER))
    assert data[signature_at + 1] == len(data) - signature_at - 2
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
    assert trust.trusts(parse_certificate(GERMANY.der))
    assert not trust.trusts(parse_certificate(FRANCE.der))
    broken = TrustAnchors([anchor_entry(parse_certificate(GERMANY.der))._replace(der=b"\x30\x00")])
    assert results(judge(trust=broken))[1] is OPEN

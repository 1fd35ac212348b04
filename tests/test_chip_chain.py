"""From a document signer to a trusted CSCA: links, dates, usage, revocation."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from edged.core.emrtd.certificates import parse_certificate
from edged.core.emrtd.crl import parse_crl
from edged.core.emrtd.trust_anchors import TrustAnchors, anchor_entry, crl_entry
from tests.chip_pki import (
    attribute,
    certificate,
    csca,
    ec_key,
    key_id,
    name,
    wrap,
)
from tests.passive_cases import (
    BAD,
    FRANCE,
    GERMANY,
    KEY,
    OK,
    OPEN,
    anchors,
    codes,
    judge,
    link,
    results,
    signed,
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


@pytest.mark.parametrize(
    "usage", ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "2.23.136.1.1.3", "2.23.136.1.1.8"]
)
def test_certificates_for_connections_and_lists_sign_no_documents(usage: str) -> None:
    result = judge(signed(GERMANY.signer(KEY, extended=[usage])))
    assert (results(result)[1], codes(result, "pa_certificate")) == (BAD, ("chip.signer_not_for_documents",))


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
    data = signed(GERMANY.signer(KEY, aki=None))
    result = judge(data, trust=anchors(*(one.der for one in many)))
    assert results(result)[1] is OPEN
    assert results(judge(data, trust=anchors(*(one.der for one in many[:40]), GERMANY.der)))[1] is OK
    assert results(judge(data, trust=anchors(*(one.der for one in many), GERMANY.der)))[1] is OPEN, "too many"


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


def test_certificates_without_an_end_are_judged_like_others() -> None:
    """99991231235959Z says "no end" (RFC 5280 §4.1.2.5); a day more than that is no date."""
    eternal = csca("DE", ec_key(42), valid=("2020-01-01", "9999-12-31T23:59:59"))
    signer = eternal.signer(KEY, valid=("2020-01-01", "9999-12-31T23:59:59"))
    for data in (signed(signer), signed(signer, signed_at="2024-01-01")):
        assert results(judge(data, trust=anchors(eternal.der))) == (OK, OK, OK, OK)


def test_dates_at_the_beginning_of_time_raise_nothing() -> None:
    first = wrap(0x18, b"00010101000000Z")
    eternal = csca("DE", ec_key(43), valid=("2020-01-01", "9999-12-31T23:59:59"))
    early = signed(
        eternal.signer(KEY),
        edit=lambda attributes: [*attributes, attribute("1.2.840.113549.1.9.5", first)],
    )
    result = judge(early, trust=anchors(eternal.der))
    assert codes(result, "pa_certificate") == ("chip.signed_outside_validity",)
    assert results(result)[1] is BAD


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


def test_a_revoked_signer_that_names_its_authority_otherwise() -> None:
    """The signature tells who the authority is; its list counts, whatever name the signer has for it."""
    renamed = certificate(
        subject=name("DE", "Document Signer"),
        issuer=name("DE", "CSCA of former days"),
        key=KEY,
        signer=GERMANY.key,
        serial=1000,
        aki=key_id(GERMANY.key),
        usage={"digital_signature"},
    )
    result = judge(signed(renamed), trust=anchors(GERMANY.der, crls=(GERMANY.crl(1000),)))
    assert (results(result)[1], codes(result, "pa_certificate")) == (BAD, ("chip.signer_revoked",))
    good = judge(signed(renamed), trust=anchors(GERMANY.der, crls=(GERMANY.crl(5),)))
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


def test_lists_signed_by_a_link_that_nobody_trusts_are_ignored() -> None:
    rogue = csca("DE", ec_key(52))
    trust = anchors(GERMANY.der, links=(rogue.der,), crls=(rogue.crl(1000),))
    assert codes(judge(trust=trust), "pa_certificate") == ("chip.no_revocation_list",)


def test_a_link_is_not_revoked_by_the_list_of_the_key_it_certifies() -> None:
    """Serial numbers are each authority's own."""
    second = csca("DE", ec_key(51), "CSCA 2")
    trust = anchors(link(GERMANY, second), crls=(second.crl(50),))
    assert results(judge(signed(second.signer(KEY)), trust=trust))[1] is OK


def test_a_revoked_link() -> None:
    second = csca("DE", ec_key(51), "CSCA 2")
    data = signed(second.signer(KEY))
    trust = anchors(GERMANY.der, links=(link(GERMANY, second),), crls=(GERMANY.crl(50),))
    result = judge(data, trust=trust)
    assert (results(result)[1], codes(result, "pa_certificate")) == (BAD, ("chip.issuer_revoked",))

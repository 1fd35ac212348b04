"""Genuine data: master lists of two states, three security objects, BSI's specimen. Skipped where it isn't there."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from asn1crypto import core

from edged.core.emrtd import cms
from edged.core.emrtd.certificates import MASTER_LIST_SIGNER, Certificate, parse_certificate
from edged.core.emrtd.chain import judge_signer
from edged.core.emrtd.passive import verify_passive
from edged.core.emrtd.public_keys import EcKey, RsaKey
from edged.core.emrtd.trust_anchors import EMPTY, TrustAnchors, anchor_entry
from edged.verdict import Result
from tests.chip_pki import day

SHARED = Path(__file__).parents[2] / "shared" / "chip"
LISTS = ("DE_ML_2025-06-25-09-31-57.ml", "DE_ML_2025-10-14-12-26-34.ml", "NL_ML_2025-12-20.ml")
ROOTS = ("DE_ROOT_CA_CSCA07.cer", "NL_ROOT_CA.cer")
NOW = day("2026-11-26")
OK, OPEN, BAD = Result.SUCCESSFUL, Result.UNDETERMINED, Result.FAILED

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no genuine trust data in {SHARED.parent.name}/")


class _Certificates(core.SetOf):  # type: ignore[misc]
    _child_spec = core.Any


class _MasterList(core.Sequence):  # type: ignore[misc]
    _fields = [("version", core.Integer), ("certificates", _Certificates)]  # noqa: RUF012


@cache
def signed_list(name: str) -> cms.SignatureFinding:
    signed = cms.parse_signed_data((SHARED / "master-lists" / name).read_bytes(), limit=1 << 22)
    return cms.verify_signed_data(signed, content_types=frozenset({cms.MASTER_LIST}))


@cache
def certificates() -> tuple[Certificate, ...]:
    """Every certificate of the lists and the two roots, each once."""
    found: dict[bytes, None] = {}
    for name in LISTS:
        signed = cms.parse_signed_data((SHARED / "master-lists" / name).read_bytes(), limit=1 << 22)
        for one in _MasterList.load(signed.content)["certificates"]:
            found.setdefault(one.dump())
    for name in ROOTS:
        found.setdefault((SHARED / "master-lists" / name).read_bytes())
    return tuple(map(parse_certificate, found))


@cache
def trust() -> TrustAnchors:
    return TrustAnchors([anchor_entry(one) for one in certificates()])


@pytest.mark.parametrize(("name", "country"), [(LISTS[0], "DE"), (LISTS[1], "DE"), (LISTS[2], "NL")])
def test_signatures_of_master_lists(name: str, country: str) -> None:
    finding = signed_list(name)
    assert (finding.result, finding.reasons) == (OK, ())
    assert finding.certificate is not None
    assert finding.certificate.country == country
    assert finding.certificate.extended_key_usage == {MASTER_LIST_SIGNER}
    assert any(finding.certificate.signed_by(one) for one in certificates() if one.country == country)


def test_every_certificate_loads_with_its_key() -> None:
    assert len(certificates()) == 604
    kinds = Counter(
        "RSA" if isinstance(one.public_key, RsaKey) else one.public_key.curve.name for one in certificates()
    )
    assert kinds == {
        "RSA": 443,
        "brainpoolP384r1": 49,
        "secp384r1": 29,
        "brainpoolP256r1": 26,
        "secp256r1": 19,
        "secp521r1": 19,
        "brainpoolP512r1": 19,
    }
    explicit = [one for one in certificates() if isinstance(one.public_key, EcKey) and len(one.spki) > 200]
    assert len(explicit) == 157
    assert all(one.ski is not None and one.country is not None for one in certificates())


def test_signatures_of_all_certificates() -> None:
    """590 of 604 verify by issuer name, three more by another name of their state; no signature is broken.

    The other eleven are links: the older key that signed them is on none of the lists, as their authority key
    identifiers say (Latvia's has none, and names an issuer that is on no list).
    """
    named: dict[object, list[Certificate]] = {}
    for one in certificates():
        named.setdefault(one.subject.normal, []).append(one)
    by_name = [
        one
        for one in certificates()
        if any(one.signed_by(issuer) for issuer in named.get(one.issuer.normal, ()))
    ]
    rest = [one for one in certificates() if one not in by_name]
    assert (len(certificates()), len(by_name), len(rest)) == (604, 590, 14)
    by_state = [one for one in rest if any(one.signed_by(other) for other in _of(one.country))]
    assert Counter(one.country for one in by_state) == Counter(("ES", "HU", "PH"))
    unlisted = [one for one in rest if one not in by_state]
    assert sorted(str(one.country) for one in unlisted) == [
        "AE", "AT", "AU", "BG", "CY", "HU", "LB", "LV", "MA", "MD", "TR",
    ]  # fmt: skip
    present = {one.ski for one in certificates()}
    assert all(one.aki not in present for one in unlisted)


def _of(country: str | None) -> list[Certificate]:
    return [one for one in certificates() if one.country == country]


@pytest.mark.parametrize(
    ("name", "state", "algorithm", "signed_on", "groups"),
    [
        ("AU-2016-rsa-pkcs1", "AUS", "RSA with SHA-256", "2016-11-15", (1, 2, 15)),
        ("DE-2023-ecdsa-sha384", "D", "ECDSA with SHA-384", None, (1, 2, 3, 14)),
        ("MY-2022-rsa-pss", "MYS", "RSA-PSS with SHA-256", "2023-01-24", (1, 2, 3, 11, 12, 14)),
    ],
)
def test_genuine_security_objects(
    name: str, state: str, algorithm: str, signed_on: str | None, groups: tuple[int, ...]
) -> None:
    data = (SHARED / "sod" / f"{name}.sod").read_bytes()
    result = verify_passive(data, {}, trust(), at=NOW, issuing_state=state)
    assert [check.result for check in result.checks] == [OK, OK, OK, OPEN]
    assert [reason.code for reason in result.check("pa_certificate").reasons] == ["chip.no_revocation_list"]
    facts = result.facts
    assert facts is not None
    assert facts.anchor is not None
    assert (facts.algorithm, facts.not_given) == (algorithm, groups)
    assert (str(facts.signed_on) if facts.signed_on else None) == signed_on
    foreign = verify_passive(data, {}, trust(), at=NOW, issuing_state="FRA")
    assert foreign.check("pa_issuer").result is BAD
    alone = verify_passive(data, {}, EMPTY, at=NOW, issuing_state=state)
    assert [check.result for check in alone.checks] == [OK, OPEN, OPEN, OPEN]


def test_bit_flips_in_genuine_security_objects() -> None:
    """A slice: every 16th octet of each; what stays genuine was flipped outside of everything that is signed."""
    from edged.errors import DecodeError

    for path in sorted((SHARED / "sod").iterdir()):
        data = path.read_bytes()
        content = cms.parse_signed_data(data[4:]).content
        assert content is not None
        first = data.index(content)
        for at in range(first, first + len(content), 16):
            bad = bytearray(data)
            bad[at] ^= 1
            try:
                result = verify_passive(bytes(bad), {}, trust(), at=NOW, issuing_state=None)
            except DecodeError:
                continue
            assert result.check("pa_signature").result is BAD


def test_specimen_of_2008() -> None:
    """Explicit brainpoolP224r1; DG4 and DG15 lie beside it and are not in its security object."""
    folder = SHARED / "bsi-2008"
    groups = {number: (folder / f"01{number:02X}").read_bytes() for number in (1, 2, 3, 14)}
    sod = (folder / "011D").read_bytes()
    result = verify_passive(sod, groups, trust(), at=NOW, issuing_state="D")
    assert [check.result for check in result.checks] == [OK, OPEN, OPEN, OK]
    assert [reason.code for reason in result.check("pa_signature").reasons] == ["pki.sha1"]
    assert result.facts is not None
    assert (result.facts.key, result.facts.digest) == ("brainpoolP224r1", "sha1")
    assert (result.facts.matching, result.facts.not_given) == ((1, 2, 3, 14), ())
    for number in (4, 15):
        extra = {**groups, number: (folder / f"01{number:02X}").read_bytes()}
        unsigned = verify_passive(sod, extra, trust(), at=NOW, issuing_state="D")
        assert unsigned.check("pa_hashes").result is BAD
    for number in groups:
        bad = {**groups, number: groups[number][:-1] + bytes((groups[number][-1] ^ 1,))}
        assert verify_passive(sod, bad, trust(), at=NOW, issuing_state="D").check("pa_hashes").result is BAD


def test_links_of_real_states_lead_to_the_older_key() -> None:
    """Trusting only self-signed certificates, links chain to them wherever the older key is listed."""
    roots = [one for one in certificates() if one.signed_by(one)]
    links = [one for one in certificates() if not one.signed_by(one)]
    assert (len(roots), len(links)) == (402, 202)
    anchors = TrustAnchors([anchor_entry(one) for one in roots])
    chained = sum(any(one.signed_by(issuer.certificate) for issuer in anchors.issuers(one)) for one in links)
    assert chained == 191, "all but the eleven"
    assert judge_signer(links[0], anchors, signed_at=None, at=NOW).result is BAD, (
        "no certificate for documents"
    )

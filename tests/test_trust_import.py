"""What an import changes: lists replace lists, nothing unverified gets in, nothing goes without being told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edged.core.emrtd.certificates import parse_certificate
from edged.core.emrtd.ldif import Kind
from edged.errors import StateError
from edged.trust.coverage import IMPORTANT, coverage
from edged.trust.forgetting import without_root
from edged.trust.generation import EMPTY, Generation, decode, encode
from edged.trust.importing import Terms, plan
from edged.trust.inputs import Item
from edged.trust.loading import anchors_of
from edged.trust.report import Report
from tests import trust_builders as world

LISTS = Path(__file__).parent.parent.parent / "shared/chip/master-lists"
needs_lists = pytest.mark.skipif(not LISTS.is_dir(), reason="no real master lists on this machine")

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
MAY = datetime(2026, 5, 1, tzinfo=UTC)
JUNE = datetime(2026, 6, 1, tzinfo=UTC)

ROOT = world.issue("UT", "CSCA Utopia")
SIGNER = world.signer(ROOT, "UT")
FRANCE = world.issue("FR", "CSCA-FRANCE")
ITALY = world.issue("IT", "CSCA Italia")
OLD_SPAIN = world.issue("ES", "CSCA", dies=NOW - timedelta(days=1))
SOON_JAPAN = world.issue("JP", "CSCA", dies=NOW + timedelta(days=30))


def listed(*parties: world.Party, made: datetime = JUNE, by: world.Party = SIGNER) -> Item:
    return Item(Kind.MASTER_LIST, world.master_list(by, [one.der for one in parties], made), "list.ml")


def single(party: world.Party) -> Item:
    return Item(Kind.CERTIFICATE, party.der, "single.der")


def crl(by: world.Party, made: datetime = MAY, **more: object) -> Item:
    return Item(Kind.CRL, world.crl(by, [7, 8], made=made, **more), "list.crl")  # type: ignore[arg-type]


def terms(*roots: world.Party, **more: object) -> Terms:
    return Terms(NOW, tuple(parse_certificate(one.der) for one in roots), **more)  # type: ignore[arg-type]


def held(generation: Generation) -> set[str]:
    return {one.fingerprint for one in generation.certificates}


def prints(*parties: world.Party) -> set[str]:
    return {one.fingerprint for one in parties}


def codes(report: Report) -> list[str]:
    return [one.code for one in report.refused]


@pytest.fixture(scope="module")
def filled() -> Generation:
    after, report = plan(EMPTY, [listed(ROOT, FRANCE, OLD_SPAIN)], terms(ROOT))
    assert not report.refused
    return after


def test_the_first_list_pins_its_root(filled: Generation) -> None:
    assert held(filled) == prints(ROOT, FRANCE, OLD_SPAIN)
    assert [root.fingerprint for root in filled.roots] == [ROOT.fingerprint]
    (source,) = filled.sources
    assert (source.publisher, source.made, source.root) == ("UT", JUNE, ROOT.fingerprint)
    assert source.signer == SIGNER.fingerprint
    assert all(one.sources == (source.id,) for one in filled.certificates)


def test_the_report_of_the_first_list() -> None:
    _, report = plan(EMPTY, [listed(ROOT, FRANCE, OLD_SPAIN)], terms(ROOT, ITALY))
    assert {line.fingerprint for line in report.added} == prints(ROOT, FRANCE, OLD_SPAIN)
    assert (report.expired, report.known, report.removed) == (1, 0, ())
    assert (report.states_gained, report.states_lost) == (("FR", "UT"), ())
    assert (report.pinned, report.unused_roots) == ((ROOT.fingerprint,), (ITALY.fingerprint,))
    assert [line.state for line in report.lists] == ["new"]


def test_without_a_pinned_root_nothing_changes() -> None:
    for given in (terms(), terms(ITALY)):
        after, report = plan(EMPTY, [listed(ROOT, FRANCE)], given)
        assert after == EMPTY
        assert codes(report) == ["masterlist.root_unknown"]
        assert "C=UT, CN=CSCA Utopia" in report.refused[0].params["issuer"]
        assert report.pinned == ()


def test_the_same_list_again_changes_nothing(filled: Generation) -> None:
    same = listed(ROOT, FRANCE, OLD_SPAIN)
    once, _ = plan(EMPTY, [same], terms(ROOT))
    again, report = plan(once, [same], terms())
    assert again == once
    assert [line.state for line in report.lists] == ["known"]
    assert (report.known, report.added) == (3, ())


def test_a_newer_list_replaces_the_older_one_of_its_publisher(filled: Generation) -> None:
    newer = listed(ROOT, ITALY, made=JUNE + timedelta(days=30))
    after, report = plan(filled, [newer], terms())
    assert held(after) == prints(ROOT, ITALY)
    assert {line.fingerprint for line in report.removed} == prints(FRANCE, OLD_SPAIN)
    assert {line.fingerprint for line in report.added} == prints(ITALY)
    assert (report.known, report.states_gained, report.states_lost) == (1, ("IT",), ("FR",))
    assert report.lists[0].state == "newer"
    assert report.lists[0].replaces == JUNE
    assert len(after.sources) == 1


def test_an_older_list_only_when_asked_for(filled: Generation) -> None:
    older = listed(ROOT, ITALY, made=MAY)
    after, report = plan(filled, [older], terms())
    assert after == filled
    assert codes(report) == ["trustimport.older"]
    after, report = plan(filled, [older], terms(older=True))
    assert held(after) == prints(ROOT, ITALY)
    assert report.lists[0].state == "older"


def test_of_two_lists_at_once_the_newer_stays_whatever_their_order() -> None:
    new, old = listed(ROOT, ITALY, made=JUNE), listed(ROOT, FRANCE, made=MAY)
    for items in ([new, old], [old, new]):
        after, report = plan(EMPTY, items, terms(ROOT))
        assert held(after) == prints(ROOT, ITALY)
        assert [line.state for line in report.lists] == ["new", "newer"]


def test_publishers_don_t_replace_each_other(filled: Generation) -> None:
    french = listed(FRANCE, ITALY, made=MAY, by=world.signer(FRANCE, "FR"))
    after, report = plan(filled, [french], terms(FRANCE))
    assert held(after) == prints(ROOT, FRANCE, OLD_SPAIN, ITALY)
    assert report.known == 1
    by_print = {one.fingerprint: one.sources for one in after.certificates}
    assert by_print[FRANCE.fingerprint] == (1, 2)
    dropped, _ = plan(after, [listed(ROOT, made=JUNE + timedelta(days=1))], terms())
    assert held(dropped) == prints(ROOT, FRANCE, ITALY)


def test_a_root_does_not_speak_for_another_publisher(filled: Generation) -> None:
    posing = world.signer(FRANCE, "UT")
    after, report = plan(filled, [listed(ITALY, made=NOW, by=posing)], terms(FRANCE))
    assert after == filled
    assert codes(report) == ["masterlist.root_unknown"]


def test_a_list_from_the_future_is_refused(filled: Generation) -> None:
    after, report = plan(filled, [listed(ITALY, made=NOW + timedelta(days=2))], terms())
    assert after == filled
    assert codes(report) == ["trustimport.from_the_future"]


def test_a_certificate_on_a_list_that_can_t_be_read_costs_itself_alone() -> None:
    bad = bytes.fromhex("3003020100")
    body = world.content([ROOT.der])
    at = body.index(ROOT.der)
    octets = b"".join((b"\x30\x82", (len(body) - 4 + len(bad)).to_bytes(2, "big"), body[4:7]))
    octets += b"\x31\x82" + (len(ROOT.der) + len(bad)).to_bytes(2, "big") + body[at:] + bad
    item = Item(Kind.MASTER_LIST, world.master_list(SIGNER, [], JUNE, octets=octets), "list.ml")
    after, report = plan(EMPTY, [item], terms(ROOT))
    assert held(after) == prints(ROOT)
    assert (report.lists[0].certificates, report.lists[0].unusable) == (2, 1)


# --- single certificates ----------------------------------------------------------------------------------


def test_a_single_certificate_needs_an_operator_s_word(filled: Generation) -> None:
    after, report = plan(filled, [single(ITALY)], terms())
    assert after == filled
    assert codes(report) == ["trustimport.unconfirmed"]
    assert report.refused[0].params["fingerprint"] == ITALY.fingerprint
    for given, word in (
        (terms(fingerprints=frozenset((ITALY.fingerprint,))), "fingerprint"),
        (terms(confirmed=True), "yes"),
    ):
        after, report = plan(filled, [single(ITALY)], given)
        assert held(after) == held(filled) | prints(ITALY)
        assert after.sources[-1].confirmed == word
        assert report.states_gained == ("IT",)
    _, report = plan(filled, [single(ITALY)], terms(fingerprints=frozenset((FRANCE.fingerprint,))))
    assert codes(report) == ["trustimport.unconfirmed"]


def test_a_single_certificate_outlives_the_lists(filled: Generation) -> None:
    both, _ = plan(filled, [single(ITALY)], terms(confirmed=True))
    after, _ = plan(both, [listed(ROOT, made=NOW)], terms())
    assert held(after) == prints(ROOT, ITALY)


def test_link_certificates_are_believed_for_their_signature(filled: Generation) -> None:
    second = world.issue("FR", "CSCA-FRANCE 2")
    third = world.issue("FR", "CSCA-FRANCE 3")
    links = [
        world.issue("FR", "CSCA-FRANCE 3", second, key=third.key),
        world.issue("FR", "CSCA-FRANCE 2", FRANCE, key=second.key),
    ]
    after, report = plan(filled, [single(one) for one in links], terms())
    assert held(after) == held(filled) | prints(*links)
    assert not report.refused
    assert all(line.link for line in report.added)
    forged = world.issue("FR", "CSCA-FRANCE 4", world.issue("FR", "CSCA-FRANCE"))
    foreign = world.issue("IT", "CSCA Italia", FRANCE)
    after, report = plan(filled, [single(forged), single(foreign)], terms())
    assert after == filled
    assert codes(report) == ["trustimport.unconfirmed", "trustimport.unconfirmed"]


def test_document_signers_are_left_out(filled: Generation) -> None:
    signer = world.issue("UT", "Document Signer", ROOT, ca=False)
    branch = Item(Kind.DOCUMENT_SIGNER, b"anything", "pkd.ldif")
    after, report = plan(filled, [single(signer), branch], terms(confirmed=True))
    assert after == filled
    assert report.signers == 2


def test_junk_is_refused_one_by_one(filled: Generation) -> None:
    items = [
        Item(kind, b"0\x03\x02\x01\x00", "junk") for kind in (Kind.MASTER_LIST, Kind.CERTIFICATE, Kind.CRL)
    ]
    after, report = plan(filled, [*items, single(ITALY)], terms(confirmed=True))
    assert held(after) == held(filled) | prints(ITALY)
    assert len(report.refused) == 3


# --- revocation lists -------------------------------------------------------------------------------------


def test_a_revocation_list_needs_its_csca(filled: Generation) -> None:
    after, report = plan(filled, [crl(FRANCE), crl(ITALY)], terms())
    (kept,) = after.crls
    assert (kept.country, kept.revoked, kept.signer) == ("FR", 2, FRANCE.fingerprint)
    assert codes(report) == ["trustimport.crl_unverified"]
    assert [(line.state, line.revoked) for line in report.crls] == [("new", 2)]
    posing = world.issue("FR", "CSCA-FRANCE")
    after, report = plan(filled, [crl(posing)], terms())
    assert after == filled


def test_a_revocation_list_and_its_certificate_in_one_import() -> None:
    after, report = plan(EMPTY, [crl(FRANCE), listed(ROOT, FRANCE)], terms(ROOT))
    assert len(after.crls) == 1
    assert not report.refused


def test_revocation_lists_follow_each_other(filled: Generation) -> None:
    first, _ = plan(filled, [crl(FRANCE)], terms())
    again, report = plan(first, [Item(Kind.CRL, first.crls[0].der, "again.crl")], terms())
    assert again == first
    assert report.crls[0].state == "known"
    later, report = plan(first, [crl(FRANCE, JUNE)], terms())
    assert [one.made for one in later.crls] == [JUNE]
    assert report.crls[0].state == "newer"
    assert len(later.sources) == 2
    back, report = plan(later, [crl(FRANCE, MAY)], terms())
    assert back == later
    assert codes(report) == ["trustimport.older"]
    _, report = plan(later, [crl(FRANCE, NOW + timedelta(days=1), until=NOW + timedelta(days=2))], terms())
    assert codes(report) == ["trustimport.from_the_future"]


def test_a_revoked_signer_signs_no_list(filled: Generation) -> None:
    serial = parse_certificate(SIGNER.der).serial
    revoking = Item(Kind.CRL, world.crl(ROOT, [serial], made=MAY), "root.crl")
    first, _ = plan(filled, [revoking], terms())
    after, report = plan(first, [listed(ROOT, ITALY, made=NOW)], terms())
    assert after == first
    assert codes(report) == ["trustimport.signer_revoked"]
    another = world.signer(ROOT, "UT")
    _, report = plan(first, [listed(ROOT, ITALY, made=NOW, by=another)], terms())
    assert not report.refused


def test_a_revocation_list_goes_with_its_certificate(filled: Generation) -> None:
    first, _ = plan(filled, [crl(FRANCE)], terms())
    after, report = plan(first, [listed(ROOT, made=NOW)], terms())
    assert after.crls == ()
    assert report.crls_dropped == 1
    assert {source.kind for source in after.sources} == {"master_list"}


# --- what comes of it -------------------------------------------------------------------------------------


def test_a_forgotten_root_takes_along_what_only_its_lists_brought(filled: Generation) -> None:
    french = listed(FRANCE, ITALY, made=MAY, by=world.signer(FRANCE, "FR"))
    both, _ = plan(filled, [french, crl(ROOT)], terms(FRANCE))
    left = without_root(both, ROOT.fingerprint[:12])
    assert held(left) == prints(FRANCE, ITALY)
    assert [root.fingerprint for root in left.roots] == [FRANCE.fingerprint]
    assert left.crls == ()
    assert {source.publisher for source in left.sources} == {"FR"}
    for wrong in ("", "zz", ITALY.fingerprint):
        with pytest.raises(StateError):
            without_root(both, wrong)


def test_a_generation_survives_the_disk(filled: Generation) -> None:
    with_crl, _ = plan(filled, [crl(FRANCE)], terms())
    assert decode(encode(with_crl)) == with_crl


def test_anchors_know_every_certificate_and_list(filled: Generation) -> None:
    with_crl, _ = plan(filled, [crl(FRANCE)], terms())
    anchors = anchors_of(with_crl)
    assert len(anchors) == 3
    assert anchors.countries == {"UT", "FR", "ES"}
    revoked = world.issue("FR", "Signer", FRANCE, ca=False, serial=7)
    issuers = [one.certificate.der for one in anchors.issuers(parse_certificate(revoked.der))]
    assert issuers[0] == FRANCE.der
    assert [7 in one.revoked for one in anchors.crls(parse_certificate(revoked.der))] == [True]


def test_coverage() -> None:
    after, _ = plan(EMPTY, [listed(ROOT, FRANCE, OLD_SPAIN, SOON_JAPAN), crl(FRANCE)], terms(ROOT))
    found = coverage(after, NOW)
    states = {state.country: state for state in found.states}
    assert {state.country for state in found.covered} == {"UT", "FR", "JP"}
    assert (states["ES"].valid, states["ES"].expired) == (0, 1)
    assert [one.fingerprint for one in states["JP"].expiring] == [SOON_JAPAN.fingerprint]
    assert states["FR"].expiring == ()
    assert (states["FR"].crls, states["FR"].newest_crl, states["FR"].crls_stale) == (1, MAY, 0)
    assert set(found.missing) == set(IMPORTANT) - {"FR", "JP"}
    later = {state.country: state for state in coverage(after, datetime(2027, 6, 1, tzinfo=UTC)).states}
    assert (later["JP"].valid, later["FR"].crls_stale) == (0, 1)
    before = {state.country: state for state in coverage(after, datetime(2019, 1, 1, tzinfo=UTC)).states}
    assert (before["FR"].valid, before["FR"].later) == (0, 1)


@needs_lists
def test_real_lists_one_after_the_other() -> None:
    def item(name: str) -> Item:
        return Item(Kind.MASTER_LIST, (LISTS / name).read_bytes(), name)

    def root(name: str) -> Terms:
        return Terms(NOW, (parse_certificate((LISTS / name).read_bytes()),))

    first, report = plan(EMPTY, [item("DE_ML_2025-06-25-09-31-57.ml")], root("DE_ROOT_CA_CSCA07.cer"))
    assert (len(report.added), len(report.states_gained)) == (559, 108)
    second, report = plan(first, [item("DE_ML_2025-10-14-12-26-34.ml")], terms())
    assert (len(report.added), len(report.removed), report.known) == (13, 2, 557)
    assert (report.states_gained, report.states_lost) == (("IN", "SM"), ())
    third, report = plan(second, [item("NL_ML_2025-12-20.ml")], root("NL_ROOT_CA.cer"))
    assert (len(third.certificates), len(report.added), report.known) == (602, 32, 363)
    _, report = plan(third, [item("DE_ML_2025-06-25-09-31-57.ml")], terms())
    assert codes(report) == ["trustimport.older"]
    assert len(coverage(third, NOW).covered) == 120
    assert coverage(third, NOW).missing == ("ZA",)

"""Master lists are believed when a pinned root vouches for their signer, and only then."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edged.core.emrtd import master_list
from edged.core.emrtd.certificates import Certificate, parse_certificate
from edged.core.emrtd.master_list import ListSigner, parse_master_list, verify_master_list
from edged.errors import DecodeError, SignatureRefusedError
from tests import trust_builders as world

LISTS = Path(__file__).parent.parent.parent / "shared/chip/master-lists"
needs_lists = pytest.mark.skipif(not LISTS.is_dir(), reason="no real master lists on this machine")

MADE = datetime(2026, 3, 1, tzinfo=UTC)
ROOT = world.issue("UT", "CSCA Utopia")
SIGNER = world.signer(ROOT, "UT")
OTHER = world.issue("XA", "CSCA Elsewhere")
MEMBERS = [ROOT.der, OTHER.der]


def cert(party: world.Party) -> Certificate:
    return parse_certificate(party.der)


def judged(data: bytes, *roots: world.Party, others: tuple[world.Party, ...] = ()) -> ListSigner:
    return verify_master_list(
        parse_master_list(data), [cert(one) for one in roots], [cert(o) for o in others]
    )


def refused(data: bytes, *roots: world.Party) -> str:
    with pytest.raises(SignatureRefusedError) as caught:
        judged(data, *roots)
    return caught.value.code


def unread(data: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        parse_master_list(data)
    return caught.value.code


def test_a_list_and_its_signer() -> None:
    data = world.master_list(SIGNER, MEMBERS, MADE)
    read = parse_master_list(data)
    assert set(read.certificates) == set(MEMBERS)
    assert read.made == MADE
    by = judged(data, OTHER, ROOT)
    assert (by.certificate.der, by.root.der, by.links, by.publisher) == (SIGNER.der, ROOT.der, (), "UT")


def test_no_root_no_belief() -> None:
    data = world.master_list(SIGNER, MEMBERS, MADE, extra=[ROOT.der])
    assert refused(data) == "masterlist.root_unknown"
    assert refused(data, OTHER) == "masterlist.root_unknown"


def test_a_root_of_the_same_name_and_another_key_is_no_root() -> None:
    assert refused(world.master_list(SIGNER, MEMBERS, MADE), world.issue("UT", "CSCA Utopia")) == (
        "masterlist.root_unknown"
    )


def test_a_new_key_of_the_state_is_reached_over_its_link() -> None:
    new = world.issue("UT", "CSCA Utopia 2")
    link = world.issue("UT", "CSCA Utopia 2", ROOT, key=new.key)
    data = world.master_list(world.signer(new, "UT"), MEMBERS, MADE, extra=[link.der])
    by = judged(data, ROOT)
    assert (by.root.der, [one.der for one in by.links]) == (ROOT.der, [link.der])
    without = world.master_list(world.signer(new, "UT"), MEMBERS, MADE, extra=[new.der])
    assert refused(without, ROOT) == "masterlist.root_unknown"
    assert judged(without, ROOT, others=(link,)).root.der == ROOT.der


def test_links_lead_only_so_far() -> None:
    parties = [ROOT]
    for number in range(master_list.MAX_LINKS + 2):
        parties.append(world.issue("UT", f"CSCA {number}", parties[-1]))
    links = [one.der for one in parties[1:]]
    far = world.master_list(world.signer(parties[-1], "UT"), MEMBERS, MADE, extra=links)
    assert refused(far, ROOT) == "masterlist.root_unknown"
    near = world.master_list(world.signer(parties[master_list.MAX_LINKS], "UT"), MEMBERS, MADE, extra=links)
    assert len(judged(near, ROOT).links) == master_list.MAX_LINKS


def test_a_signer_is_for_lists_alone() -> None:
    document_signer = world.signer(ROOT, "UT", usage=None)
    assert refused(world.master_list(document_signer, MEMBERS, MADE), ROOT) == "masterlist.wrong_signer"
    csca_itself = world.master_list(ROOT, MEMBERS, MADE)
    assert refused(csca_itself, ROOT) == "masterlist.wrong_signer"


def test_a_signer_of_another_state_is_nobody() -> None:
    foreign = world.signer(ROOT, "XA")
    assert refused(world.master_list(foreign, MEMBERS, MADE), ROOT) == "masterlist.root_unknown"


def test_a_document_signer_issues_no_list_signers() -> None:
    document_signer = world.issue("UT", "Document Signer", ROOT, ca=False)
    signer = world.signer(document_signer, "UT")
    data = world.master_list(signer, MEMBERS, MADE, extra=[document_signer.der])
    assert refused(data, ROOT) == "masterlist.root_unknown"


@pytest.mark.parametrize("late", [True, False])
def test_certificates_are_valid_when_the_list_is_signed(late: bool) -> None:
    made = world.DIES + timedelta(days=1) if late else world.BORN - timedelta(days=1)
    assert refused(world.master_list(SIGNER, MEMBERS, made), ROOT) == "masterlist.signer_not_valid"
    short = world.issue("UT", "CSCA Utopia", key=ROOT.key, dies=MADE - timedelta(days=1))
    assert refused(world.master_list(SIGNER, MEMBERS, MADE), short) == "masterlist.root_unknown"


def test_content_that_was_changed() -> None:
    data = world.master_list(SIGNER, MEMBERS, MADE)
    at = data.index(OTHER.der) + len(OTHER.der) - 4
    changed = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
    assert refused(changed, ROOT) == "pki.attributes_differ"


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"", "tlv.cut"),
        (b"\x30\x03\x02\x01\x00", "tlv.cut"),
        (b"\x30\x05\x02\x01\x01\x31\x00", "masterlist.malformed"),
        (b"\x30\x05\x02\x01\x00\x30\x00", "tlv.unexpected"),
        (b"\x30\x07\x02\x01\x00\x31\x00\x05\x00", "tlv.unexpected"),
    ],
)
def test_content_that_is_no_list(octets: bytes, code: str) -> None:
    found = unread(world.master_list(SIGNER, [], MADE, octets=octets))
    assert found in (code, "masterlist.not_one")


def test_what_is_no_master_list_or_has_no_date() -> None:
    assert unread(world.master_list(SIGNER, MEMBERS, None)) == "masterlist.undated"
    security_object = world.master_list(SIGNER, MEMBERS, MADE, content_type="2.23.136.1.1.1")
    assert unread(security_object) == "masterlist.not_one"
    assert unread(ROOT.der).startswith("pki.")
    assert unread(b"").startswith("pki.")


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    data = world.master_list(SIGNER, MEMBERS, MADE)
    monkeypatch.setattr(master_list, "MAX_CERTIFICATES", 1)
    assert unread(data) == "masterlist.too_many"
    monkeypatch.setattr(master_list, "MAX_OCTETS", 100)
    assert unread(data) == "pki.too_long"


@pytest.mark.parametrize("seed", range(4))
def test_mutations_are_refused_or_leave_the_list_as_it_was(seed: int) -> None:
    dice = random.Random(seed)
    whole = world.master_list(SIGNER, MEMBERS, MADE)
    root = cert(ROOT)
    for _ in range(120):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 3)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            read = parse_master_list(bytes(data))
            verify_master_list(read, [root])
        except (DecodeError, SignatureRefusedError):
            continue
        assert set(read.certificates) == set(MEMBERS)


@needs_lists
@pytest.mark.parametrize(
    ("name", "root", "count", "made"),
    [
        ("DE_ML_2025-06-25-09-31-57.ml", "DE_ROOT_CA_CSCA07.cer", 559, "2025-06-25T07:31:57+00:00"),
        ("DE_ML_2025-10-14-12-26-34.ml", "DE_ROOT_CA_CSCA07.cer", 570, "2025-10-14T10:26:34+00:00"),
        ("NL_ML_2025-12-20.ml", "NL_ROOT_CA.cer", 395, "2025-12-15T13:35:21+00:00"),
    ],
)
def test_real_lists(name: str, root: str, count: int, made: str) -> None:
    data = (LISTS / name).read_bytes()
    read = parse_master_list(data)
    by = verify_master_list(read, [parse_certificate((LISTS / root).read_bytes())])
    assert len(read.certificates) == len(set(read.certificates)) == count
    assert read.made.isoformat() == made
    assert by.publisher == name[:2]
    other = next(file for file in LISTS.glob("*.cer") if file.name != root)
    with pytest.raises(SignatureRefusedError):
        verify_master_list(read, [parse_certificate(other.read_bytes())])
    for der in read.certificates:
        parse_certificate(der)

"""The signed directory: what its readers refuse, what counts before it is whole, what a restart remembers."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged.errors import DecodeError, SignatureRefusedError
from edged.uplink import topics
from edged.uplink.directory import (
    MAX_ENTRIES,
    MAX_PAGES,
    DirectoryHead,
    DirectoryPage,
    PrincipalRevoked,
    open_head,
    open_page,
    seal_head,
    seal_page,
)
from edged.uplink.directory_keeper import DirectoryKeeper
from edged.uplink.directory_reader import DirectoryReader
from edged.uplink.intake import Incoming
from edged.uplink.names import Principal, Role
from edged.uplink.revoked import Revocations
from edged.uplink.roles import TrustAnchor
from tests.broker import FLEET, NOW, Town
from tests.directories import Made, chain, fingerprint_of

if TYPE_CHECKING:
    from pathlib import Path

AT = int(NOW.timestamp())
GONE = ((Role.DEVICE, "box-2", NOW),)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


@pytest.fixture
def anchor(place: Town) -> TrustAnchor:
    return TrustAnchor.from_file(place.fleet.ca)


def reader_with(anchor: TrustAnchor, made: Made, **options: Any) -> DirectoryReader:
    reader = DirectoryReader(anchor, **options)
    for page in made.pages:
        reader.take_page(page)
    reader.take_head(made.head, at=NOW)
    return reader


def refused(reader: DirectoryReader, head: bytes, at: timedelta = timedelta(0)) -> str:
    with pytest.raises(SignatureRefusedError) as error:
        reader.take_head(head, at=NOW + at)
    return error.value.code


def test_a_whole_directory_says_who_belongs(place: Town, anchor: TrustAnchor) -> None:
    found = reader_with(anchor, Made(place, devices=("box-1",), revoked=GONE)).current
    assert found is not None
    box, gone = place.signer(Role.DEVICE, "box-1"), place.signer(Role.DEVICE, "box-2")
    assert found.standing(box.principal, chain(box), NOW) == "listed"
    assert found.standing(gone.principal, chain(gone), NOW) == "revoked"
    other = Principal(FLEET, Role.DEVICE, "box-3")
    assert found.standing(other, ["0" * 64], NOW) == "not_listed"
    # The name is right, the certificate another one.
    assert found.standing(box.principal, ["0" * 64], NOW) == "not_listed"
    assert found.age(NOW + timedelta(days=2)) == timedelta(days=2)


def test_past_its_end_nobody_knows_who_belongs_and_the_revoked_stay_so(
    place: Town, anchor: TrustAnchor
) -> None:
    found = reader_with(anchor, Made(place, devices=("box-1",), revoked=GONE)).current
    assert found is not None
    box, gone = place.signer(Role.DEVICE, "box-1"), place.signer(Role.DEVICE, "box-2")
    later = NOW + timedelta(days=31)
    assert found.expired(later)
    assert found.standing(box.principal, chain(box), later) == "undetermined"
    assert found.standing(gone.principal, chain(gone), later) == "revoked"


def test_older_ones_and_second_stories_are_refused(place: Town, anchor: TrustAnchor) -> None:
    reader = reader_with(anchor, Made(place, version=5))
    assert refused(reader, Made(place, version=4).head) == "directory.rollback"
    assert refused(reader, Made(place, version=5, revoked=GONE).head) == "directory.equivocation"
    assert reader.current is not None
    assert reader.current.head.version == 5


def test_the_same_again_is_no_news(place: Town, anchor: TrustAnchor) -> None:
    made = Made(place)
    reader = reader_with(anchor, made)
    assert not reader.take_head(made.head, at=NOW)
    assert not any(reader.take_page(page) for page in made.pages)


def test_forged_foreign_and_timeless_ones_are_refused(
    place: Town, anchor: TrustAnchor, tmp_path: Path
) -> None:
    reader = DirectoryReader(anchor)
    assert refused(reader, Made(Town(tmp_path / "other")).head) == "cert.unknown_issuer"
    head = Made(place).payload
    collector = place.signer(Role.COLLECTOR, "centre")
    forged = collector.sign("directory+jws", msgspec.json.encode(head, order="deterministic"))
    assert refused(reader, forged.encode()) == "cert.wrong_role"
    ops = place.signer(Role.ADMIN, "ops")

    def signed(**changes: Any) -> bytes:
        payload = msgspec.structs.replace(head, **changes)
        return ops.sign("directory+jws", msgspec.json.encode(payload, order="deterministic")).encode()

    assert refused(reader, signed(iss="somebody")) == "directory.wrong_issuer"
    assert refused(reader, signed(fleet="south")) == "directory.wrong_fleet"
    assert refused(reader, signed(iat=AT + 3600, exp=AT + 7200)) == "directory.wrong_time"
    assert refused(reader, signed(exp=AT)) == "directory.malformed"
    assert refused(reader, signed(version=0)) == "directory.malformed"
    assert refused(reader, signed(pages=("0" * 64,) * (MAX_PAGES + 1))) == "directory.malformed"
    middle = len(Made(place).head) // 2
    changed = bytearray(Made(place).head)
    changed[middle] ^= 1
    assert refused(reader, bytes(changed)).startswith(("jws.", "cert.", "directory."))
    assert reader.current is None
    with pytest.raises(SignatureRefusedError, match=r"directory\.wrong_issuer"):
        seal_head(msgspec.structs.replace(head, iss="somebody"), ops)


def test_without_a_page_it_isnt_whole_but_what_revokes_counts(place: Town, anchor: TrustAnchor) -> None:
    reader = reader_with(anchor, Made(place, version=1))
    newer = Made(
        place,
        version=2,
        devices=("box-1",),
        revoked=(*GONE, (Role.COLLECTOR, "centre", NOW)),
    )
    reader.take_head(newer.head, at=NOW)
    assert reader.missing == 2
    assert reader.current is not None
    assert reader.current.head.version == 1
    # The head itself revokes the collector; the page revokes the box as soon as it is here.
    assert reader.revocations == Revocations(principals={("collector", "centre"): AT})
    reader.take_page(newer.pages[0])
    assert reader.revocations.principals == {("collector", "centre"): AT, ("device", "box-2"): AT}
    assert reader.current.head.version == 1
    reader.take_page(newer.pages[1])
    assert reader.current.head.version == 2
    assert reader.missing == 0


def test_a_page_of_somebody_elses_is_never_part_of_it(place: Town, anchor: TrustAnchor) -> None:
    made = Made(place, devices=("box-1",))
    forged = Made(place, devices=("box-1", "box-2"))
    reader = DirectoryReader(anchor)
    reader.take_head(made.head, at=NOW)
    reader.take_page(forged.pages[1])
    reader.take_page(made.pages[0])
    assert reader.current is None
    assert reader.missing == 1
    for number in range(3 * MAX_PAGES):  # whoever may write there can't fill memory
        reader.take_page(_page(number))
    reader.take_page(made.pages[1])
    assert reader.current is not None


def _page(number: int) -> bytes:
    gone = (PrincipalRevoked(Role.DEVICE, f"box-{number}", 0, "lost"),)
    return seal_page(DirectoryPage(devices=(), certificates=(), revoked=gone))


def test_a_page_revokes_devices_alone() -> None:
    page = msgspec.json.encode(
        {
            "devices": [],
            "certificates": [],
            "revoked": [{"role": "admin", "name": "ops", "at": 0, "reason": "lost"}],
        }
    )
    with pytest.raises(SignatureRefusedError, match=r"directory\.malformed"):
        open_page(page)


def test_a_reader_of_heads_alone_needs_no_page(place: Town, anchor: TrustAnchor) -> None:
    made = Made(place, revoked=((Role.ADMIN, "second", NOW),))
    reader = DirectoryReader(anchor, pages=False)
    reader.take_head(made.head, at=NOW)
    assert reader.current is not None
    assert reader.revocations == Revocations(principals={("admin", "second"): AT})


def test_a_revoked_admins_directory_is_refused(place: Town, anchor: TrustAnchor) -> None:
    reader = reader_with(anchor, Made(place, version=1, revoked=((Role.ADMIN, "second", NOW),)))
    anchor.revoke("directory", reader.revocations)
    assert refused(reader, Made(place, version=2, admin="second").head) == "cert.revoked"


def test_what_a_thief_published_keeps_the_next_admin_out_no_longer_than_the_offline_keys_let_it(
    place: Town, anchor: TrustAnchor
) -> None:
    """A stolen admin's key revokes everybody else, under the highest number there is: the offline keys end it."""
    stolen = Made(place, version=2**53 - 1, admin="second", revoked=((Role.ADMIN, "ops", NOW),))
    reader = reader_with(anchor, stolen)
    anchor.revoke("directory", reader.revocations)
    good = Made(place, version=7)
    assert refused(reader, good.head) == "cert.revoked"
    thief = fingerprint_of(place, Role.ADMIN, "second")
    anchor.revoke("authority", Revocations(certificates={thief: AT}))
    for page in good.pages:
        reader.take_page(page)
    assert reader.take_head(good.head, at=NOW)
    assert reader.current is not None
    assert reader.current.head.version == 7
    assert reader.revocations == Revocations()


def test_a_restart_forgets_nothing(place: Town, anchor: TrustAnchor) -> None:
    whole = Made(place, version=1, revoked=GONE)
    reader = reader_with(anchor, whole)
    newer = Made(place, version=2, revoked=(*GONE, (Role.COLLECTOR, "second", NOW)), devices=("box-1",))
    reader.take_head(newer.head, at=NOW)
    again = DirectoryReader(anchor)
    # Its signer's certificate has ended since: what was taken in time stays.
    again.restore(reader.stored(), at=NOW + timedelta(days=500))
    assert again.revocations == reader.revocations
    assert again.current == reader.current
    assert again.missing == reader.missing == 1
    assert refused(again, Made(place, version=1).head) == "directory.rollback"


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format":2,"heads":[],"pages":[]}', b"\xff", b"[" * 9000])
def test_a_broken_file_is_an_error_and_nothing_else(anchor: TrustAnchor, data: bytes) -> None:
    with pytest.raises(DecodeError, match=r"directory\.unreadable"):
        DirectoryReader(anchor).restore(data, at=NOW)


def test_a_file_from_elsewhere_isnt_believed_when_its_signer_is_revoked(
    place: Town, anchor: TrustAnchor
) -> None:
    stored = reader_with(anchor, Made(place, admin="second")).stored()
    thief = fingerprint_of(place, Role.ADMIN, "second")
    anchor.revoke("authority", Revocations(certificates={thief: AT + 1}))
    with pytest.raises(SignatureRefusedError, match=r"cert\.revoked"):
        DirectoryReader(anchor).restore(stored, at=NOW, ours=False)
    mine = DirectoryReader(anchor)
    mine.restore(stored, at=NOW)  # our own record says that we had it before
    assert mine.current is not None


def incoming(made: Made) -> list[Incoming]:
    head = topics.keys(FLEET)
    return [
        *(Incoming(f"{head}/{number}", page) for number, page in enumerate(made.pages)),
        Incoming(head, made.head),
    ]


def test_the_keeper_applies_keeps_and_tells(place: Town, anchor: TrustAnchor, tmp_path: Path) -> None:
    path = tmp_path / "directory"
    keeper = DirectoryKeeper(anchor, path)
    assert keeper.load(NOW) == []
    assert keeper.take(incoming(Made(place, version=3, revoked=GONE)), NOW) == []
    assert ("device", "box-2") in anchor.revocations.principals
    (alarm,) = keeper.take(incoming(Made(place, version=2))[-1:], NOW)
    assert (alarm.code, alarm.topic) == ("directory.rollback", topics.keys(FLEET))
    assert keeper.take([Incoming(topics.keys(FLEET), b""), Incoming(topics.keys(FLEET, 0), b"")], NOW) == []

    fresh = TrustAnchor.from_file(place.fleet.ca)
    restarted = DirectoryKeeper(fresh, path)
    assert restarted.load(NOW) == []
    assert fresh.revocations == anchor.revocations
    assert restarted.due(NOW) == []
    assert [one.code for one in restarted.due(NOW + timedelta(days=31))] == ["directory.expired"]
    path.write_bytes(b"torn")
    assert [one.code for one in DirectoryKeeper(fresh, path).load(NOW)] == ["directory.unreadable"]


def test_the_keeper_tells_of_pages_that_dont_come(place: Town, anchor: TrustAnchor) -> None:
    keeper = DirectoryKeeper(anchor, None)
    keeper.take(incoming(Made(place))[1:], NOW)
    assert keeper.due(NOW) == []
    assert [one.code for one in keeper.due(NOW + timedelta(seconds=60))] == ["directory.incomplete"]
    keeper.take(incoming(Made(place))[:1], NOW)
    assert keeper.due(NOW + timedelta(seconds=90)) == []


def test_a_disk_that_is_full_is_told_and_the_revocation_counts(
    place: Town, anchor: TrustAnchor, tmp_path: Path
) -> None:
    keeper = DirectoryKeeper(anchor, tmp_path / "nowhere" / "directory")
    (alarm,) = keeper.take(incoming(Made(place, revoked=GONE)), NOW)
    assert alarm.code == "directory.not_kept"
    assert ("device", "box-2") in anchor.revocations.principals


def test_full_pages_and_heads_are_within_their_bounds(place: Town) -> None:
    head: DirectoryHead = Made(place).payload
    many = Made(
        place,
        pages=("0" * 64,) * MAX_PAGES,
        revoked=tuple((Role.AUDIENCE, f"organisation-{number}", NOW) for number in range(MAX_ENTRIES)),
    )
    assert open_head(many.head, anchor=place.anchor, at=NOW)[0].revoked
    assert head.pages != many.payload.pages


def test_whatever_comes_is_refused_with_a_code(place: Town, anchor: TrustAnchor) -> None:
    """Bits, pieces and lengths of good heads and pages, and of what reads like them."""
    chance = random.Random(7)
    made = Made(place, revoked=GONE)
    seeds = [made.head, *made.pages, b"{}", b"a.b.c"]
    reader = reader_with(anchor, made)
    before = reader.current
    for _ in range(1500):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data) + 1)
            match chance.randrange(3):
                case 0:
                    data[at : at + chance.randint(0, 9)] = b""
                case 1:
                    data[at:at] = chance.randbytes(chance.randint(1, 5))
                case _ if at < len(data):
                    data[at] ^= 1 << chance.randrange(8)
        for take in (lambda one: reader.take_head(one, at=NOW), reader.take_page):
            try:
                take(bytes(data))
            except SignatureRefusedError as error:
                assert error.code.startswith(("jws.", "cert.", "directory."))
    assert reader.current == before


def test_pages_nobody_names_never_push_out_those_that_are_named(place: Town, anchor: TrustAnchor) -> None:
    made = Made(place)
    reader = reader_with(anchor, made)
    for number in range(2 * MAX_PAGES):
        reader.take_page(_page(number))
    assert reader.stored() == reader_with(anchor, made).stored()
    again = DirectoryReader(anchor)
    again.restore(reader.stored(), at=NOW)
    assert again.current == reader.current

"""The trust store's directory: whole or refused, old or new after a kill, nobody else's to write."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from edged.errors import StateError
from edged.trust.generation import EMPTY, Generation, Source, StoredCertificate
from edged.trust.store import KEPT, TrustStore

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def content(mark: str, size: int = 3) -> Generation:
    source = Source(
        id=1, kind="master_list", file=f"{mark}.ml", sha256="0" * 64, imported=NOW, publisher="DE"
    )
    certificates = tuple(
        StoredCertificate(
            fingerprint=f"{mark}{number}",
            sources=(1,),
            country="DE",
            subject="0" * 64,
            ski=b"k",
            name="C=DE",
            not_before=NOW,
            not_after=NOW,
            link=False,
            der=f"{mark}{number}".encode() * 100,
        )
        for number in range(size)
    )
    return msgspec.structs.replace(EMPTY, next_source=2, sources=(source,), certificates=certificates)


def commit(store: TrustStore, mark: str) -> int:
    with store.changing() as change:
        return change.commit(content(mark), NOW)


def refused(store: TrustStore) -> str:
    with pytest.raises(StateError) as caught:
        store.current()
    return caught.value.code


@pytest.fixture
def store(tmp_path: Path) -> TrustStore:
    return TrustStore(tmp_path / "trust")


def test_nothing_there_is_an_empty_store(store: TrustStore) -> None:
    assert store.current() is EMPTY
    assert store.manifest() is None
    assert not store.directory.exists()


def test_what_was_committed_is_there(store: TrustStore) -> None:
    assert commit(store, "a") == 1
    assert commit(store, "b") == 2
    found = store.current()
    assert (found.number, found.previous, found.made) == (2, 1, NOW)
    assert found.certificates == content("b").certificates
    assert found.sources == content("b").sources


def test_way_back_and_forth(store: TrustStore) -> None:
    for mark in "abc":
        commit(store, mark)
    with store.changing() as change:
        assert change.roll_back(None, NOW) == 2
        assert change.roll_back(None, NOW) == 1
        with pytest.raises(StateError, match=r"truststore.no_generation"):
            change.roll_back(None, NOW)
        assert change.roll_back(3, NOW) == 3
        with pytest.raises(StateError, match=r"truststore.no_generation"):
            change.roll_back(4, NOW)
        change.roll_back(1, NOW)
    assert store.current().certificates[0].fingerprint == "a0"
    assert commit(store, "d") == 4
    assert store.current().previous == 1


def test_old_generations_go_but_never_the_way_back(store: TrustStore) -> None:
    for number in range(KEPT):
        commit(store, f"g{number}-")
    with store.changing() as change:
        change.roll_back(1, NOW)
    for _ in range(3):
        commit(store, "later")
    manifest = store.manifest()
    assert manifest is not None
    numbers = [record.number for record in manifest.generations]
    assert len(numbers) == KEPT
    assert numbers[-3:] == [KEPT + 1, KEPT + 2, KEPT + 3]
    assert {int(file.name.split("-")[1]) for file in store.directory.glob("generation-*")} == set(numbers)
    with store.changing() as change:
        for number in numbers:
            assert change.roll_back(number, NOW) == number


def test_the_generation_an_import_was_made_from_is_kept(store: TrustStore) -> None:
    for number in range(KEPT):
        commit(store, f"g{number}-")
    with store.changing() as change:
        change.roll_back(1, NOW)
    commit(store, "later")
    with store.changing() as change:
        assert change.roll_back(None, NOW) == 1


@pytest.mark.parametrize("name", ["manifest", "generation-2"])
def test_every_flipped_byte_and_every_cut_is_seen(store: TrustStore, name: str) -> None:
    commit(store, "a")
    commit(store, "b")
    file = store.directory / name
    whole = file.read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 150)):
        file.write_bytes(whole[:at] + bytes((whole[at] ^ 0x01,)) + whole[at + 1 :])
        assert refused(store) == "truststore.damaged"
        file.write_bytes(whole[:at])
        assert refused(store) == "truststore.damaged"
    file.write_bytes(whole)
    assert store.current().number == 2


def test_another_generation_under_the_same_name_is_seen(store: TrustStore) -> None:
    commit(store, "a")
    commit(store, "b")
    (store.directory / "generation-2").write_bytes((store.directory / "generation-1").read_bytes())
    assert refused(store) == "truststore.damaged"
    (store.directory / "generation-2").unlink()
    assert refused(store) == "truststore.damaged"


def test_no_way_back_to_a_damaged_generation(store: TrustStore) -> None:
    commit(store, "a")
    commit(store, "b")
    (store.directory / "generation-1").write_bytes(b"")
    with store.changing() as change, pytest.raises(StateError, match=r"truststore.damaged"):
        change.roll_back(1, NOW)
    assert store.current().number == 2


@pytest.mark.parametrize("name", [".", "manifest", "generation-1"])
@pytest.mark.parametrize("more", [0o020, 0o002])
def test_a_store_that_others_may_write_is_refused(store: TrustStore, name: str, more: int) -> None:
    commit(store, "a")
    file = store.directory / name
    file.chmod(file.stat().st_mode | more)
    assert refused(store) == "truststore.writable_by_others"
    with pytest.raises(StateError), store.changing() as change:
        change.current()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", [".", "manifest", "generation-1"])
def test_a_store_of_another_user_is_refused(store: TrustStore, name: str) -> None:
    commit(store, "a")
    os.chown(store.directory / name, 12345, 12345)
    assert refused(store) == "truststore.foreign_owner"


def test_everybody_may_read_and_only_the_owner_write(store: TrustStore) -> None:
    before = os.umask(0o077)
    try:
        commit(store, "a")
    finally:
        os.umask(before)
    modes = {file.name: file.stat().st_mode & 0o777 for file in store.directory.iterdir()}
    assert modes == {"manifest": 0o644, "generation-1": 0o644}
    assert store.directory.stat().st_mode & 0o777 == 0o755


def test_a_link_in_a_file_s_place_is_refused(store: TrustStore, tmp_path: Path) -> None:
    commit(store, "a")
    moved = (store.directory / "manifest").rename(tmp_path / "elsewhere")
    (store.directory / "manifest").symlink_to(moved)
    assert refused(store) == "truststore.unusable"


def test_one_import_at_a_time(store: TrustStore) -> None:
    commit(store, "a")
    with store.changing(), pytest.raises(StateError, match=r"truststore.in_use"), store.changing():
        pass
    assert commit(store, "b") == 2


def test_a_generation_of_a_newer_edged_is_not_guessed_at(store: TrustStore) -> None:
    with store.changing() as change:
        change.commit(msgspec.structs.replace(content("a"), format=2), NOW)
    assert refused(store) == "truststore.newer"

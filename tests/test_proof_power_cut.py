"""A power cut at every write: state database, its repair and migration, archive, inbox. (`tests/proof/power_cut.py`)"""

from __future__ import annotations

import random

import pytest

from tests.proof import journal
from tests.proof.journal import Disk, Record
from tests.proof.power_cut import try_out
from tests.proof.subjects import SUBJECTS

needs_compiler = pytest.mark.skipif(journal.compiler() is None, reason="no C compiler for the shim")


@needs_compiler
@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_power_cut_at_every_write_breaks_no_promise(subject: str) -> None:
    """Everything that only what was synced leaves; of the other disks that are possible, a sample."""
    report = try_out(subject, 1, drawn=1, every=4)
    assert not report.failures
    assert report.cuts > 40
    assert report.promises > 5


@needs_compiler
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("seed", range(2, 12))
def test_a_power_cut_at_every_write_at_length(subject: str, seed: int) -> None:
    assert not try_out(subject, seed, drawn=4).failures


# --- the model itself ---


def written(inode: int, offset: int, data: bytes) -> Record:
    return Record("W", inode, offset, "", "", data)


def created(inode: int, name: str) -> Record:
    return Record("C", inode, 0, name, "", b"")


def synced(inode: int) -> Record:
    return Record("S", inode, 0, "", "", b"")


DIRECTORY_SYNCED = Record("D", 1, 0, "", "", b"")


def disk_after(*records: Record) -> Disk:
    disk = Disk()
    disk._folders[1] = ""
    for record in records:
        disk.follow(record)
    return disk


def test_only_what_was_synced_survives() -> None:
    disk = disk_after(created(7, "a"), written(7, 0, b"one"), synced(7), written(7, 0, b"two"))
    assert disk.now() == {"a": b"two"}
    assert disk.synced() == {}, "its name isn't durable before its directory is"
    assert disk.synced(names=1) == {"a": b"one"}
    disk.follow(DIRECTORY_SYNCED)
    assert disk.synced() == {"a": b"one"}


def test_an_unlinked_file_comes_back_until_its_directory_is_synced() -> None:
    """The trap of the simpler shim: SQLite's deleted journal, hot again after the cut."""
    disk = disk_after(created(7, "a-journal"), DIRECTORY_SYNCED, Record("U", 0, 0, "a-journal", "", b""))
    assert disk.synced() == {"a-journal": b""}
    disk.follow(DIRECTORY_SYNCED)
    assert disk.synced() == {}


def test_a_rename_is_before_or_after_and_never_half() -> None:
    disk = disk_after(created(7, "new"), written(7, 0, b"n"), synced(7), created(8, "old"), DIRECTORY_SYNCED)
    disk.follow(Record("R", 0, 0, "new", "old", b""))
    assert [disk.synced(names) for names in (0, 1)] == [{"new": b"n", "old": b""}, {"old": b"n"}]


def test_a_number_of_a_deleted_file_is_a_new_file() -> None:
    disk = disk_after(
        created(7, "a"), written(7, 0, b"old"), Record("U", 0, 0, "a", "", b""), created(7, "b")
    )
    assert disk.now() == {"b": b""}


def test_drawn_disks_lie_between_what_was_synced_and_what_was_written() -> None:
    disk = disk_after(created(7, "a"), written(7, 0, b"x" * 2048), synced(7), DIRECTORY_SYNCED)
    disk.follow(written(7, 100, b"y" * 1600))
    chance = random.Random(3)
    seen = {disk.any(chance)["a"] for _ in range(300)}
    assert b"x" * 2048 in seen
    assert b"x" * 100 + b"y" * 1600 + b"x" * 348 in seen
    assert len(seen) > 4, "sectors tear"
    for content in seen:
        sectors = [content[start : start + journal.SECTOR].strip(b"x") for start in range(0, 2048, 512)]
        assert all(set(sector) <= {ord("y")} for sector in sectors), "within a sector nothing tears"


def test_what_the_model_cannot_follow_is_refused() -> None:
    record = journal._HEADER.pack(ord("!"), 6, 0, 0, 0, 0) + b"O_SYNC"
    with pytest.raises(journal.UntoldError, match="O_SYNC"):
        list(journal.records(record))

"""What a box keeps of its fleet: opened whatever has become of it, and never believing less than before."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import StateError
from edged.pushed.floor import FLOOR_FILE, Floor, read_floor, write_floor
from edged.pushed.steps import Report, Slot, Stored
from edged.pushed.store import STORE_FILE, FleetStore
from edged.pushed.store_opening import open_store
from edged.pushed.verifying import Accepted, first_trust, verify_bundle
from tests.proof import journal
from tests.proof.fleet_subject import Fleet
from tests.proof.power_cut import try_out
from tests.proof.subjects import SUBJECTS
from tests.tuf_repository import DEVICE, NOW, TufRepository

OWNER = f"demo-fleet/{DEVICE}"
APPLIED = Report(push=2, outcome="applied")


@pytest.fixture(scope="module")
def pushes() -> list[Accepted]:
    repository = TufRepository()
    trusted, made = first_trust(repository.first_root), []
    for version in ("second", "third"):
        bundle = repository.push(version=version)
        made.append(verify_bundle(bundle, trusted=trusted, device=DEVICE, now=NOW))
        trusted = made[-1].trusted
    return made


def filled(directory: Path, pushes: list[Accepted]) -> FleetStore:
    """The second push is good, the third on its first trial."""
    store = open_store(directory, OWNER)
    store.stage(pushes[0], "bundle-2")
    store.keep(APPLIED)
    store.stage(pushes[1], "bundle-3")
    store.count(1)
    return store


def test_everything_is_there_after_a_restart(tmp_path: Path, pushes: list[Accepted]) -> None:
    filled(tmp_path, pushes).close()
    with closing(open_store(tmp_path, OWNER)) as store:
        stored = store.stored()
        assert (stored.good, stored.candidate, stored.attempts, stored.newest) == (2, 3, 1, 3)
        assert (stored.newest_bundle, stored.report) == ("bundle-3", APPLIED)
        assert store.trusted() == pushes[1].trusted
        good, candidate = store.version(Slot.GOOD), store.version(Slot.CANDIDATE)
        assert good is not None
        assert candidate is not None
        assert (good.config, candidate.config) == (pushes[0].config, pushes[1].config)
        assert good.content != candidate.content
        assert store.version(Slot.BOOT) is None
        assert store.floor == Floor(root=1, push=3)


def test_what_a_push_revokes_stays_revoked_when_it_is_rolled_back(
    tmp_path: Path, pushes: list[Accepted]
) -> None:
    with closing(open_store(tmp_path, OWNER)) as store:
        assert store.revoked() is None
        store.stage(msgspec.structs.replace(pushes[0], authority=b"revokes"), "bundle-2")
        store.fail(Report(push=2, outcome="rolled_back", code="push.went_down", probe="start"))
        assert (store.revoked(), store.stored().candidate) == (b"revokes", None)
        store.stage(msgspec.structs.replace(pushes[1], authority=None), "bundle-3")
        assert store.revoked() == b"revokes"


def test_a_transition_that_fails_leaves_nothing_behind(
    tmp_path: Path, pushes: list[Accepted], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StateError("state.disk_full")

    with closing(open_store(tmp_path, OWNER)) as store:
        monkeypatch.setattr(store, "_put", full)
        with pytest.raises(StateError, match="disk_full"):
            store.stage(pushes[0], "bundle-2")
        assert store.stored() == Stored()
        assert store.trusted() is None
        assert store.floor.push == 2, "ahead, which lets this push in again"


def broken_header(path: Path) -> None:
    path.write_bytes(b"not a database" * 300)


def no_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE version")
        connection.commit()


def no_row(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM switch")
        connection.commit()


def strange_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE version SET documents = '{}'")
        connection.commit()


def strange_root(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE metadata SET data = x'00ff' WHERE name = 'root.json'")
        connection.commit()


def torn_page(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    data[4096:12288] = bytes(8192)
    path.write_bytes(data)


def log_alone(path: Path) -> None:
    path.unlink()
    path.with_name(path.name + "-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(100))


@pytest.mark.parametrize(
    "harm", [broken_header, no_table, no_row, strange_version, strange_root, torn_page, log_alone]
)
def test_a_broken_store_is_set_aside_and_begun_anew(
    tmp_path: Path, pushes: list[Accepted], harm: object
) -> None:
    filled(tmp_path, pushes).close()
    assert callable(harm)
    harm(tmp_path / STORE_FILE)
    with closing(open_store(tmp_path, OWNER)) as store:
        assert store.replaced == f"{STORE_FILE}.corrupt-1"
        assert (tmp_path / store.replaced).exists()
        assert store.stored() == Stored()
        assert store.floor == Floor(root=1, push=3), "the second memory holds"
    with closing(open_store(tmp_path, OWNER)) as store:
        assert store.replaced is None


def test_a_failure_is_remembered_beside_the_store(tmp_path: Path, pushes: list[Accepted]) -> None:
    with closing(filled(tmp_path, pushes)) as store:
        report = Report(push=3, outcome="rolled_back", code="push.went_down", probe="start")
        store.fail(report)
        store.note_failed(3)
    broken_header(tmp_path / STORE_FILE)
    with closing(open_store(tmp_path, OWNER)) as store:
        expected = Report(push=3, outcome="rolled_back", code="push.failed_before")
        assert (store.stored().newest, store.stored().report) == (3, expected)


@pytest.mark.parametrize("content", [b"", b"{", b'{"push": -1}', b"\xff" * 5000])
def test_a_broken_floor_is_made_anew_from_the_store(
    tmp_path: Path, pushes: list[Accepted], content: bytes
) -> None:
    filled(tmp_path, pushes).close()
    (tmp_path / FLOOR_FILE).write_bytes(content)
    with closing(open_store(tmp_path, OWNER)) as store:
        assert store.floor == read_floor(tmp_path / FLOOR_FILE) == Floor(root=1, push=3)


def test_a_store_that_is_older_than_the_floor_raises_nobody_elses_number(
    tmp_path: Path, pushes: list[Accepted]
) -> None:
    """A log that was lost takes the last transactions with it; SQLite doesn't notice."""
    filled(tmp_path, pushes).close()
    write_floor(tmp_path / FLOOR_FILE, Floor(root=1, push=9))
    with closing(open_store(tmp_path, OWNER)) as store:
        assert store.floor == Floor(root=1, push=9)
        assert not store.floor.admits(1, 8)


def test_another_devices_store_is_refused_and_left_alone(tmp_path: Path, pushes: list[Accepted]) -> None:
    filled(tmp_path, pushes).close()
    with pytest.raises(StateError, match="other_device"):
        open_store(tmp_path, "demo-fleet/box-2")
    with closing(sqlite3.connect(tmp_path / STORE_FILE)) as connection:
        connection.execute("PRAGMA user_version=7")
    with pytest.raises(StateError, match="newer"):
        open_store(tmp_path, OWNER)
    assert not list(tmp_path.glob("*.corrupt-*"))


NUMBERS = st.integers(0, 5)


@settings(derandomize=True)
@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_a_floor_never_falls_but_under_a_later_root(root: int, push: int, to_root: int, to_push: int) -> None:
    floor = Floor(root=root, push=push)
    raised = floor.raised(to_root, to_push)
    assert (raised.root, raised.push) >= (root, push)
    if floor.admits(to_root, to_push):
        assert raised.admits(to_root, to_push), "what is taken once may be taken again"
    assert not raised.admits(raised.root, raised.push - 1)
    assert not raised.admits(raised.root - 1, raised.push + 1)


@pytest.mark.skipif(journal.compiler() is None, reason="no C compiler for the shim")
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_box_goes_on_from_every_power_cut(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`test_proof_power_cut` starts a box on some of the disks; this on all of them."""
    monkeypatch.setitem(SUBJECTS, "fleet", lambda keys: Fleet(keys, walk=1))
    report = try_out("fleet", seed, drawn=1)
    assert not report.failures
    assert report.cuts > 200

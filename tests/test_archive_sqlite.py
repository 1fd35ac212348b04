"""The archive in a file: an upgrade loses nothing, a full disk and a kill leave nothing half done."""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edged.central.archive import open_archive, open_reader
from edged.central.sqlite_schema import MARK, VERSION
from edged.errors import StateError
from edged.uplink import database
from edged.uplink.replay import Span
from edged.uplink.streams import Hole
from tests.archives import dump, forged, forged_chain, forged_gap, opened, summary
from tests.broker import NOW, Town
from tests.first_version import RECEIVER_TABLES

if TYPE_CHECKING:
    from edged.uplink.intake import Checked


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


def version_0(
    path: Path, envelopes: list[Checked], body: Any = lambda one: one.incoming.payload.decode()
) -> None:
    connection = database.connect(path, RECEIVER_TABLES)
    with database.transaction(connection):
        for one in envelopes:
            payload = one.found.payload
            key = (payload.iss, payload.log_id, payload.audience)
            connection.execute(
                "INSERT INTO stream VALUES (?, ?, ?, 1, ?, 2) ON CONFLICT DO UPDATE"
                " SET stored = stored + 1, highest = max(highest, excluded.highest)",
                (*key, payload.seq),
            )
            values = (
                *key,
                payload.seq,
                one.sha256,
                payload.prev,
                payload.jti,
                1_700_000_000_123,
                1,
                body(one),
            )
            connection.execute(f"INSERT INTO envelope VALUES (NULL{', ?' * 10})", values)
        connection.execute(
            "INSERT INTO alarm VALUES ('stream.equivocation', 't', 'box-1', 'log-1', 'bank', 2, ?, 'proof', 7, 1, 2)",
            ("ab" * 32,),
        )
    connection.close()


def test_an_archive_of_the_first_days_is_brought_up_to_date(place: Town, tmp_path: Path) -> None:
    chain, other = forged_chain(9), forged_chain(3, iss="box-2", audience="hotel")
    old = [*(chain[n] for n in (2, 0, 1, 4, 7)), *other]
    where = tmp_path / "archive.sqlite"
    version_0(where, old)
    with pytest.raises(StateError) as caught:
        open_reader(str(where))
    assert caught.value.code == "archive.other_version", "a reader changes nothing"
    with opened(str(where), place.anchor) as archive:
        rows = list(archive._query("SELECT seq, body, received_at FROM envelope ORDER BY rowid"))
        assert rows == [
            (one.found.payload.seq, one.incoming.payload.decode(), 1_700_000_000_123) for one in old
        ]
        ledger = archive.ledger()
        assert {key: len(kept.hashes) for key, kept in ledger.streams.items()} == {
            ("box-1", "log-1", "bank"): 5,
            ("box-2", "log-1", "hotel"): 3,
        }
        assert {kept.duplicates for kept in ledger.streams.values()} == {2}
        assert archive.holes() == [
            Hole("box-1", "log-1", "bank", 4, 4),
            Hole("box-1", "log-1", "bank", 6, 7),
        ]
        assert [(alarm.seq, alarm.count) for alarm in archive.alarms()] == [(2, 7)]
        assert list(archive._query("SELECT sha256, evidence FROM alarm")) == [(b"\xab" * 32, "proof")]
        # Every rule goes on where it was.
        archived = archive.store([*chain, forged(2, chain[0].sha256, "lie"), forged_gap(1, 1)], NOW)
        assert summary(archived) == (4, 5, ["stream.equivocation"])
        assert archive.alarms()[0].seq == 2
        assert archive.holes() == []
        assert list(archive._query("PRAGMA foreign_key_check")) == []
        assert list(archive._query("PRAGMA integrity_check")) == [("ok",)]
        assert list(archive._query("PRAGMA synchronous")) == [(2,)]
        assert list(archive._query("PRAGMA foreign_keys")) == [(1,)]
        before = dump(archive)
    with opened(str(where), place.anchor) as archive:
        assert dump(archive) == before


def test_a_killed_upgrade_is_done_again(place: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edged.central import sqlite_schema

    where = tmp_path / "archive.sqlite"
    version_0(where, forged_chain(5))
    good = sqlite_schema._FROM_0
    monkeypatch.setattr(sqlite_schema, "_FROM_0", good.replace("DROP TABLE old_stream", "DROP TABLE nothing"))
    with pytest.raises(sqlite3.OperationalError):
        open_archive(str(where), place.anchor)
    monkeypatch.setattr(sqlite_schema, "_FROM_0", good)
    with opened(str(where), place.anchor) as archive:
        assert archive.audiences()[0].stored == 5


def test_what_is_no_archive_stays_as_it_is(place: Town, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox.sqlite"
    version_0(inbox, forged_chain(2), body=lambda _: '{"verdict":{}}')
    strange = tmp_path / "strange.sqlite"
    sqlite3.connect(strange).execute("CREATE TABLE t (x)").connection.close()
    newer = tmp_path / "newer.sqlite"
    with opened(str(newer), place.anchor) as archive:
        archive._connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    for path, code in (
        (inbox, "archive.not_an_archive"),
        (strange, "archive.not_an_archive"),
        (newer, "archive.other_version"),
    ):
        before = path.read_bytes()[100:]  # the header's first page counts WAL's arrival
        with pytest.raises(StateError) as caught:
            open_archive(str(path), place.anchor)
        assert caught.value.code == code
        assert path.read_bytes()[100:] == before
    text = tmp_path / "text.sqlite"
    text.write_text("this is not a database" * 100)
    with pytest.raises(StateError) as caught:
        open_archive(str(text), place.anchor)
    assert caught.value.code == "state.corrupt"
    with pytest.raises(StateError) as caught:
        open_archive(str(tmp_path / "nowhere" / "a.sqlite"), place.anchor)
    assert caught.value.code == "state.unusable"
    with opened(f"sqlite:{tmp_path}/new.sqlite", place.anchor) as archive:
        assert list(archive._query("PRAGMA application_id")) == [(MARK,)]


def test_no_question_but_the_ledgers_looks_at_every_envelope(
    place: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a batch, a page, a list, an export and retention cost doesn't grow with the archive."""
    asked: set[str] = set()
    with opened(str(tmp_path / "a.sqlite"), place.anchor) as archive:
        chain = forged_chain(9)
        query = archive._query

        def noting(sql: str, parameters: Any = ()) -> Any:
            asked.update(
                f"{plan[-1]} in {sql}" for plan in list(query(f"EXPLAIN QUERY PLAN {sql}", parameters))
            )
            return query(sql, parameters)

        monkeypatch.setattr(archive, "_query", noting)
        gaps = [forged_gap(4, 5, "00" * 32), forged_gap(3, 3), forged_gap(12, None)]
        archive.store([*chain[:2], *chain[4:], *gaps, forged(2, None, "lie")], NOW)
        archive.store([chain[3]], NOW)
        archive.holes()
        archive.page("bank", [Span("box-1", "log-1", 1, None)], 3)
        archive.streams("bank", None, 5)
        archive.audiences()
        assert list(archive.rows(audience="bank", since=NOW, until=None))
        assert list(archive.rows(audience=None, since=None, until=NOW)) == []
        assert list(archive.gap_rows(audience="bank"))
        archive.forget("bank", NOW + timedelta(days=365), 3, NOW)
        assert {plan.split(" in ")[0] for plan in asked if "envelope" in plan or " e " in plan}
        scans = [plan for plan in asked if re.match(r"SCAN (e|n|envelope|g|gap)\b(?! USING)", plan)]
        assert scans == []


@pytest.mark.parametrize("done", ["deleted", "moved", "replaced"])
def test_nothing_is_signed_for_in_a_file_that_has_lost_its_name(
    place: Town, tmp_path: Path, done: str
) -> None:
    """A restore under a running collector: SQLite goes on writing into what nobody will ever open again."""
    path = tmp_path / "archive.sqlite"
    with opened(str(path), place.anchor) as archive:
        assert archive.store(forged_chain(1), NOW).stored == 1
        if done == "deleted":
            path.unlink()
        else:
            path.rename(tmp_path / "elsewhere.sqlite")
        if done == "replaced":
            with opened(str(path), place.anchor):
                pass
        with pytest.raises(StateError) as caught:
            archive.store(forged_chain(2), NOW)
        assert caught.value.code == "archive.moved"
    with opened(str(path), place.anchor) as again:
        assert again.store(forged_chain(2), NOW).stored == 2


def test_a_batch_is_all_or_nothing(place: Town, tmp_path: Path) -> None:
    chain = forged_chain(60, "x" * 1500)
    with opened(str(tmp_path / "full.sqlite"), place.anchor) as archive:
        archive._connection.execute("PRAGMA max_page_count = 48")
        done = 0
        with pytest.raises(StateError) as caught:
            for start in range(0, 60, 10):
                done += archive.store(chain[start : start + 10], NOW).stored
        assert caught.value.code == "state.disk_full"
        assert 0 < done < 60
        assert sum(len(kept.hashes) for kept in archive.ledger().streams.values()) == done
        archive._connection.execute("PRAGMA max_page_count = 4000")
        assert summary(archive.store(chain, NOW)) == (60 - done, done, [])


CHILD = """
import random, sys
from tests.archives import *
location, seed = sys.argv[1], int(sys.argv[2])
chain = forged_chain(4000)
messages = [*chain, *(forged_gap(4000 + n, 4000 + n) for n in range(1, 100))]
chance = random.Random(seed)
class Anchor:
    fleet = "north"
with opened(location, Anchor()) as archive:
    print("ready", flush=True)
    for number in range(0, 4000, 10):
        some = messages[number : number + 10] + chance.choices(messages[: number + 1], k=3)
        archive.store(some, NOW)
        print(number + 10, flush=True)
"""


def storing(where: str, seed: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, where, str(seed)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )


def said_before_it_was_killed(child: subprocess.Popen[str], lines: int) -> int:
    """Kill `child` after so many batches; the last number that it said was stored."""
    assert child.stdout is not None
    said = 0
    for line in child.stdout:
        said = int(line) if line.strip().isdigit() else said
        if said >= 10 * lines:
            os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    return said


def whole(archive: Any, said: int) -> None:
    """Everything that was said is there, and every count agrees with the rows."""
    ((stored, highest, gaps, whole),) = archive._query("SELECT stored, highest, gaps, whole FROM stream")
    (kept,) = archive.ledger().streams.values()
    assert len(kept.hashes) == stored >= said
    assert stored % 10 == 0, "batches, not parts of them"
    assert (highest, whole, gaps) == (max(kept.hashes), stored, 0)
    assert set(kept.hashes) == set(range(1, stored + 1))
    assert archive.alarms() == []


@pytest.mark.parametrize("rounds", [2, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.timeout(300)
def test_kill_9_at_any_moment(place: Town, tmp_path: Path, rounds: int) -> None:
    chance = random.Random(5)
    for number in range(rounds):
        where = str(tmp_path / f"{number}.sqlite")
        said = said_before_it_was_killed(storing(where, number), chance.randint(1, 60))
        with opened(where, place.anchor) as archive:
            whole(archive, said)
            assert list(archive._query("PRAGMA integrity_check")) == [("ok",)]

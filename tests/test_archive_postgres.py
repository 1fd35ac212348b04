"""The archive in PostgreSQL: many workers at once, a server that comes and goes, and one that just doesn't answer."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from edged.central import postgres_link, postgres_schema
from edged.central.archive import open_archive, open_reader
from edged.errors import StateError
from edged.uplink.streams import Hole
from tests import postgres
from tests.archives import (
    BACKENDS,
    digest,
    dump,
    forged,
    forged_chain,
    forged_gap,
    hurry,
    location,
    opened,
    summary,
)
from tests.broker import NOW, Town
from tests.test_archive_sqlite import said_before_it_was_killed, storing, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.uplink.intake import Checked


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


@pytest.fixture
def url() -> str:
    return postgres.shared().database()


@pytest.fixture(scope="module")
def own() -> Iterator[postgres.Cluster]:
    """A server that a test may stop."""
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.cluster() as server:
        yield server


def test_a_restarted_server_costs_one_error(own: postgres.Cluster, place: Town) -> None:
    chain = forged_chain(6)
    where = own.database()
    with opened(where, place.anchor) as archive:
        reader = open_reader(where)
        for number, mode in enumerate(("fast", "immediate")):
            assert archive.store(chain[2 * number : 2 * number + 2], NOW).stored == 2
            own.stop(mode)
            with pytest.raises(StateError) as caught:
                archive.store(chain[4:], NOW)
            assert caught.value.code == "archive.connection_lost"
            with pytest.raises(StateError) as caught:
                archive.store(chain[4:], NOW)
            assert caught.value.code == "archive.unreachable"
            own.start()
            assert archive.ledger() is not None
            assert sum(one.stored for one in archive.audiences()) == 2 * number + 2, (
                "what was stored is there"
            )
            with pytest.raises(StateError):
                reader.alarms()
            assert reader.alarms() == []
        assert archive.store(chain, NOW).stored == 2
        reader.close()


def test_a_server_that_does_not_answer_is_given_up(
    own: postgres.Cluster, place: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_link, "STATEMENT_S", 1)
    monkeypatch.setattr(postgres_link, "GRACE_S", 0)
    with opened(own.database(), place.anchor) as archive:
        archive.store(forged_chain(1), NOW)
        own.freeze()
        try:
            with pytest.raises(StateError) as caught:
                archive.store(forged_chain(2), NOW)
            assert caught.value.code == "archive.stalled"
            monkeypatch.setitem(postgres_link._DEFAULTS, "connect_timeout", 2)
            with pytest.raises(StateError) as caught:
                open_archive(own.url(), place.anchor)
            assert caught.value.code == "archive.unreachable"
        finally:
            own.thaw()
        assert archive.store(forged_chain(2), NOW).stored == 1


def test_a_lock_that_nobody_lets_go_of_costs_a_batch(
    url: str, place: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    monkeypatch.setattr(postgres_link, "LOCK_S", 1)
    with opened(url, place.anchor) as archive:
        archive.store(forged_chain(1), NOW)
        with psycopg.connect(url) as other:
            other.execute("SELECT 1 FROM stream FOR UPDATE")
            with pytest.raises(StateError) as caught:
                archive.store(forged_chain(3), NOW)
            assert caught.value.code == "archive.too_slow"
        assert summary(archive.store(forged_chain(3), NOW)) == (2, 1, [])


def test_a_deadlock_is_tried_again(url: str, place: Town) -> None:
    """Somebody who locks in another order (an operator's query) may win once; the batch is stored all the same."""
    import psycopg

    with opened(url, place.anchor) as archive, psycopg.connect(url) as other:
        archive.store([*forged_chain(1), *forged_chain(1, iss="box-2")], NOW)
        other.execute("SET deadlock_timeout = '30s'")  # so that it is the archive that notices, and loses
        other.execute("SELECT 1 FROM stream WHERE device = 'box-2' FOR UPDATE")
        with ThreadPoolExecutor(1) as pool:
            stored = pool.submit(archive.store, [*forged_chain(2), *forged_chain(2, iss="box-2")], NOW)
            while not other.execute(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            ).fetchall():
                other.execute("SELECT pg_stat_clear_snapshot()")
            other.execute("SELECT 1 FROM stream WHERE device = 'box-1' FOR UPDATE")
            other.rollback()
            assert stored.result().stored == 2


@pytest.mark.parametrize("times", ["once", "for ever"])
def test_a_question_that_a_standby_cancels_is_asked_again(url: str, place: Town, times: str) -> None:
    """It says 40001 ("conflict with recovery") when its primary has vacuumed what is being read."""
    with opened(url, place.anchor) as archive:
        archive.store(forged_chain(3), NOW)
    # A session's lock outlives the statement that fails: that is how the function knows that it was here before.
    seen = (
        "EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND pid = pg_backend_pid())"
    )
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION vacuumed() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN"
            f" IF {seen} AND {times == 'once'} THEN RETURN 1; END IF; PERFORM pg_advisory_lock(7);"
            " RAISE EXCEPTION 'canceling statement' USING ERRCODE = '40001'; END $$"
        )
    reader: Any = open_reader(url)
    try:
        if times == "once":
            assert list(reader._query("SELECT vacuumed(), CAST(? AS text)", ("x",))) == [(1, "x")]
        else:
            with pytest.raises(StateError) as caught:
                reader._query("SELECT vacuumed()")
            assert caught.value.code == "archive.busy"
        assert len(list(reader.rows(audience=None, since=None, until=None))) == 3
    finally:
        reader.close()


def test_what_is_committed_is_on_the_disk(url: str, place: Town) -> None:
    with opened(f"{url}%20-c%20synchronous_commit%3Doff", place.anchor) as archive:
        assert list(archive._query("SHOW synchronous_commit")) == [("on",)]
    with opened(f"{url}%20-c%20synchronous_commit%3Dremote_apply", place.anchor) as archive:
        assert list(archive._query("SHOW synchronous_commit")) == [("remote_apply",)]


HOST = "postgresql://edged@/postgres?host="


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("edged@/postgres", "edged:s3cret@/nowhere"), "archive.unreachable"),
        (("edged@/", "stranger:s3cret@/"), "archive.unreachable"),
        ((HOST, "postgresql://u:s3cret@127.0.0.1:1/x?y="), "archive.bad_location"),
        ((HOST, "postgresql://u:s3cret@127.0.0.1:1/x?application_name="), "archive.unreachable"),
        ((HOST, "password=s3cret nonsense=1 x="), "archive.bad_location"),
    ],
)
def test_no_error_says_where_the_archive_is_or_its_password(
    url: str, place: Town, change: tuple[str, str], code: str
) -> None:
    with pytest.raises(StateError) as caught:
        open_archive(url.replace(*change), place.anchor)
    assert caught.value.code == code
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cret" not in str(error) + repr(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_rights_and_read_only_servers_have_their_words(url: str, place: Town) -> None:
    import psycopg

    with pytest.raises(StateError) as caught:
        open_archive(f"{url}%20-c%20role%3Dpg_monitor", place.anchor)
    assert caught.value.code == "archive.not_allowed"
    with opened(url, place.anchor) as archive:
        archive._query("SELECT set_config('default_transaction_read_only', 'on', false)")
        with pytest.raises(StateError) as caught:
            archive.store(forged_chain(1), NOW)
        assert caught.value.code == "archive.read_only"
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("INSERT INTO archive_version (version) VALUES (99)")
    with pytest.raises(StateError) as caught:
        open_archive(url, place.anchor)
    assert caught.value.code == "archive.other_version"


def test_another_programs_tables_are_left_alone(url: str, place: Town) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as other:
        other.execute("CREATE TABLE stream (mine int)")
        with pytest.raises(StateError) as caught:
            open_archive(url, place.anchor)
        assert caught.value.code == "archive.not_an_archive"
        assert other.execute("SELECT to_regclass('archive_version')").fetchone() == (None,)


def test_workers_that_start_together_make_the_tables_once(url: str, place: Town) -> None:
    start = threading.Barrier(6)

    def worker(_: int) -> int:
        start.wait()
        with opened(url, place.anchor) as archive:
            return int(archive.store(forged_chain(3), NOW).stored)

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(worker, range(6))) == 3
    with opened(url, place.anchor) as archive:
        assert list(archive._query("SELECT version FROM archive_version")) == [
            (number + 1,) for number in range(len(postgres_schema.MIGRATIONS))
        ]


def material() -> list[Checked]:
    """Streams of four devices, with gap records and some lies, each told to everybody."""
    messages = [one for device in range(4) for one in forged_chain(40, iss=f"box-{device}")]
    chain = forged_chain(40, iss="box-1")
    messages += [forged_gap(5, 9, digest(chain[4:9])), forged_gap(20, 22, "00" * 32), forged_gap(44, 45)]
    return messages


def lies() -> list[Checked]:
    chain = forged_chain(40, iss="box-1")
    return [forged(number, chain[number - 2].sha256, "lie", iss="box-1") for number in range(10, 20)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_workers_with_the_same_streams_at_once(place: Town, tmp_path: Path, backend: str) -> None:
    """Shuffled, overlapping batches of one material: every envelope once, every answer right, no lock in a circle."""
    where = location(backend, tmp_path)
    with opened(where, place.anchor) as archive:
        archive.store(material()[40:80], NOW)  # the truth about box-1, before anybody lies
    start = threading.Barrier(4)

    def worker(seed: int) -> tuple[int, int]:
        chance = random.Random(seed)
        messages = material() + lies()
        chance.shuffle(messages)
        stored = gaps = 0
        with opened(where, place.anchor) as archive:
            hurry(archive)
            start.wait()
            while messages:
                size = chance.randint(1, 25)
                archived = archive.store(messages[:size], NOW)
                stored, gaps = stored + archived.stored, gaps + archived.gaps
                messages = messages[size:]
        return stored, gaps

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(worker, range(4)))
    assert sum(stored for stored, _ in results) == 120
    assert sum(gaps for _, gaps in results) == 3
    with opened(where, place.anchor) as archive:
        ledger = archive.ledger()
        assert {key[0]: len(kept.hashes) for key, kept in ledger.streams.items()} == {
            f"box-{device}": 40 for device in range(4)
        }
        assert sum(kept.duplicates for kept in ledger.streams.values()) == 3 * 160 + 40
        assert archive.holes() == [Hole("box-1", "log-1", "bank", 41, 43)]
        alarms = {(alarm.code, alarm.seq): alarm.count for alarm in archive.alarms()}
        expected = {("stream.equivocation", number): 4 for number in range(10, 20)}
        assert alarms == expected | {("stream.equivocation", 20): 1}
        ((duplicates,),) = archive._query(
            "SELECT count(*) FROM (SELECT DISTINCT stream, seq FROM envelope) AS t"
        )
        assert duplicates == 160


def test_neighbours_in_two_workers_see_each_other(url: str, place: Town) -> None:
    """The number before and the number after, stored at one moment: one of two stories loses, every time."""
    with opened(url, place.anchor) as one, opened(url, place.anchor) as two, ThreadPoolExecutor(2) as pool:
        hurry(one)
        hurry(two)
        for number in range(30):
            device = f"box-{number}"
            first, second = forged_chain(2, iss=device)
            other = forged(1, None, "other", iss=device)
            results = list(
                pool.map(lambda pair: pair[0].store([pair[1]], NOW), ((one, other), (two, second)))
            )
            assert sorted(summary(archived)[:1] for archived in results) == [(0,), (1,)]
            codes = {alarm.code for archived in results for alarm in archived.alarms}
            assert codes == {"stream.chain_broken"}
            assert first.sha256 != other.sha256


@pytest.mark.parametrize("rounds", [2, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.timeout(300)
def test_kill_9_of_a_worker_at_any_moment(place: Town, rounds: int) -> None:
    chance = random.Random(6)
    for number in range(rounds):
        where = postgres.shared().database()
        said = said_before_it_was_killed(storing(where, number), chance.randint(1, 60))
        with opened(where, place.anchor) as archive:
            # Its batch may still be committing: our batch on the same stream waits for it.
            archive.store([forged(4099, None, "after")], NOW)
            rows = dump(archive)["envelopes"]
            archive._query("DELETE FROM envelope WHERE seq = 4099 RETURNING seq")
            archive._query("UPDATE stream SET stored = stored - 1, highest = whole RETURNING id")
            assert len(rows) > said
            whole(archive, said)


def test_the_box_without_psycopg_says_so() -> None:
    code = (
        "import sys\nsys.modules['psycopg'] = None\n"
        "from edged.central.archive import open_archive\n"
        "from edged.errors import StateError\n"
        "try:\n    open_archive('postgresql://x', None)\n"
        "except StateError as error:\n    print(error.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True
    )
    assert done.stdout == "archive.no_driver\n", done.stderr


@pytest.mark.parametrize(
    ("hostaddr", "sslmode", "expected"),
    [
        ("", None, False),
        ("127.0.0.1", None, False),
        ("::1", "prefer", False),
        ("192.0.2.7", None, True),
        ("192.0.2.7", "require", True),
        ("2001:db8::7", "prefer", True),
        ("192.0.2.7", "verify-full", False),
        ("fe80::1%eth0", None, True),
    ],
)
def test_a_server_across_a_network_that_could_be_anybody_is_warned_of(
    hostaddr: str, sslmode: str | None, expected: bool
) -> None:
    parameters = {} if sslmode is None else {"sslmode": sslmode}
    info = SimpleNamespace(hostaddr=hostaddr, get_parameters=lambda: parameters)
    assert postgres_link.exposed(info) is expected  # type: ignore[arg-type]


def test_a_socket_is_not_warned_of(url: str, place: Town) -> None:
    with opened(url, place.anchor) as archive, archive._link.connection() as connection:
        assert connection.info.hostaddr == ""
        assert not postgres_link.exposed(connection.info)

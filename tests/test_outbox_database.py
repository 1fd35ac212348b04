"""The outbox keeps its promises: all or nothing, durable before anybody hears of it, forgotten by proof."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged import messages
from edged.errors import StateError
from edged.uplink import outbox
from edged.uplink.database import connect_reader, from_ms, to_ms
from edged.uplink.envelope import Envelope, EnvelopeDraft, StreamPosition
from edged.uplink.outbox import RetryPolicy, StateDatabase
from edged.uplink.receipts import Receipt, ReceiptRange, range_sha256
from edged.uplink.state_lock import StateLock
from tests.broker import FLEET, NOW, draft
from tests.outbox import wait_s, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def fake_seal(log_id: str = "") -> Callable[[EnvelopeDraft, StreamPosition], Envelope]:
    """A seal without cryptography: what the outbox sees of a real one."""

    def seal(draft: EnvelopeDraft, position: StreamPosition) -> Envelope:
        jws = f"e30.{draft.audience}-{position.seq}-{position.prev}-{log_id}.sig"
        return Envelope(draft.audience, position.seq, jws, hashlib.sha256(jws.encode()).hexdigest())

    return seal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


@pytest.fixture
def state(path: Path) -> Iterator[StateDatabase]:
    database = open_state(path)
    yield database
    database.close()


def open_state(path: Path, **settings: float) -> StateDatabase:
    return StateDatabase.open(path, device="box-1", now=NOW, retry=RetryPolicy(**settings))


def commit(state: StateDatabase, *audiences: str, name: str = "i1", at: float = 0.0) -> tuple[Envelope, ...]:
    return state.commit_inspection(
        name, [draft(audience) for audience in audiences], fake_seal(state.log_id), later(at)
    )


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def receipt(*ranges: ReceiptRange, iat: int = 0) -> Receipt:
    return Receipt("centre", FLEET, "box-1", iat or int(NOW.timestamp()), ranges, (), ())


def covering(state: StateDatabase, envelopes: tuple[Envelope, ...]) -> ReceiptRange:
    hashes = range_sha256(envelope.sha256 for envelope in envelopes)
    return ReceiptRange(state.log_id, envelopes[0].audience, envelopes[0].seq, envelopes[-1].seq, hashes)


# --- committing ---


def test_every_audience_has_its_own_stream(state: StateDatabase) -> None:
    first = commit(state, "bank", "hotel")
    second = commit(state, "bank", name="i2")
    assert [(e.audience, e.seq) for e in (*first, *second)] == [("bank", 1), ("hotel", 1), ("bank", 2)]
    assert first[0].jws.split("-")[-2] == "None"
    assert f"-{first[0].sha256}-" in second[0].jws, "prev is the hash of the envelope before"
    ledger = state.ledger()
    assert set(ledger) == {("box-1", state.log_id, "bank"), ("box-1", state.log_id, "hotel")}
    assert [sent.seq for sent in ledger["box-1", state.log_id, "bank"]] == [1, 2]


def test_a_commit_is_all_or_nothing(state: StateDatabase) -> None:
    commit(state, "bank")
    working = fake_seal()

    def fails_at_the_second(draft: EnvelopeDraft, position: StreamPosition) -> Envelope:
        if draft.audience == "hotel":
            raise RuntimeError("no signature")
        return working(draft, position)

    with pytest.raises(RuntimeError):
        state.commit_inspection("i2", [draft("bank"), draft("hotel")], fails_at_the_second, NOW)
    assert state.counts().committed == 1
    (next_one,) = commit(state, "bank", name="i3")
    assert next_one.seq == 2, "a number that was never committed is not used up"


def test_a_reader_in_another_process_sees_the_commit_at_once(state: StateDatabase, path: Path) -> None:
    commit(state, "bank")
    script = (
        "import sys; from pathlib import Path; from edged.uplink import outbox\n"
        "print(outbox.ledger(Path(sys.argv[1])))"
    )
    seen = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert "seq=1" in seen.stdout
    assert "published=False" in seen.stdout


def test_reopening_continues_the_streams(path: Path) -> None:
    state = open_state(path)
    (first,) = commit(state, "bank")
    log_id = state.log_id
    state.close()
    state = open_state(path)
    assert state.log_id == log_id
    (second,) = commit(state, "bank", name="i2")
    assert second.seq == 2
    assert first.sha256 in second.jws
    state.close()


def test_a_new_database_is_a_new_log(tmp_path: Path) -> None:
    names = set()
    for number in range(3):
        state = open_state(tmp_path / f"{number}.sqlite")
        names.add(state.log_id)
        state.close()
    assert len(names) == 3


def test_another_devices_database_is_refused(path: Path) -> None:
    open_state(path).close()
    with pytest.raises(StateError) as caught:
        StateDatabase.open(path, device="box-2", now=NOW)
    assert caught.value.code == "state.other_device"


def test_settings_that_durability_rests_on(state: StateDatabase) -> None:
    pragma = {
        name: state._connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
    }
    assert pragma == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "foreign_keys": 1}


def test_every_commit_is_synced_before_it_returns(tmp_path: Path) -> None:
    """strace counts: what a power cut would find is on the disk when `commit_inspection` returns."""
    script = f"""
import os
from pathlib import Path
from tests.test_outbox_database import open_state, commit
state = open_state(Path({str(tmp_path / "state.sqlite")!r}))
for number in range(5):
    commit(state, "bank", "hotel", name=str(number))
    os.access("/committed", os.F_OK)
state.close()
"""
    trace = tmp_path / "trace"
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace isn't installed")
    subprocess.run(
        [strace, "-f", "-e", "trace=fdatasync,fsync,access", "-o", trace, sys.executable, "-c", script],
        check=True,
    )
    synced, commits = False, 0
    for line in trace.read_text().splitlines():
        if "sync(" in line:
            synced = True
        elif "/committed" in line:
            assert synced, "a commit returned before anything was synced"
            synced, commits = False, commits + 1
    assert commits == 5


# --- publishing and retrying ---


def test_due_follows_the_retry_policy(path: Path) -> None:
    state = open_state(path, receipt_s=10, refused_s=60, bound_s=100)
    commit(state, "bank", "hotel", at=0)
    one, two = waiting(state, 9, later(0))
    assert (one.audience, one.seq, one.attempts, one.committed_at) == ("bank", 1, 0, NOW)
    state.mark([one.id], {}, later(0))
    state.mark([], {two.id: "mqtt.not_authorized"}, later(0))
    assert waiting(state, 9, later(9)) == []
    assert wait_s(state, later(9)) == pytest.approx(1)
    assert [due.id for due in waiting(state, 9, later(10))] == [one.id]
    state.mark([one.id], {}, later(10))
    assert waiting(state, 9, later(29)) == []  # twice as long
    assert [due.id for due in waiting(state, 9, later(30))] == [one.id]
    assert [due.id for due in waiting(state, 9, later(60))] == [one.id, two.id]
    for _ in range(70):
        state.mark([one.id], {}, later(60))
    assert [due.id for due in waiting(state, 9, later(160))] == [two.id, one.id], (
        "the longest wait is bounded"
    )
    counts = state.counts()
    assert (counts.committed, counts.published, counts.pending, counts.refused) == (2, 1, 2, 1)
    assert counts.last_refusal == "mqtt.not_authorized"
    state.mark([two.id], {}, later(61))
    assert state.counts().refused == 0, "a refusal that was mended is no longer reported"
    state.close()


def test_what_is_due_is_bounded_and_oldest_first(state: StateDatabase) -> None:
    for number in range(50):
        commit(state, "bank", name=str(number), at=number)
    assert [due.seq for due in waiting(state, 50, later(100))] == list(range(1, 51))
    assert [due.seq for due in waiting(state, 8, later(100))] == list(range(1, 9))
    state.mark(range(1, 51), {}, later(100))
    assert [due.seq for due in waiting(state, 8, later(200))] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_backlog_does_not_hold_up_who_stands_at_the_counter(state: StateDatabase) -> None:
    """Whatever was refused, tried or never tried before: what was committed last is in the next look."""
    for number in range(300):
        commit(state, "bank", name=str(number), at=number)
    state.mark(range(1, 150), {}, later(300))
    since = state.last_id()
    commit(state, "bank", "hotel", name="fresh", at=5000)
    look = state.look(later(5000), since=since, live=8, backlog=32)
    assert [due.inspection for due in look.live] == ["fresh", "fresh"]
    assert [due.seq for due in look.backlog][:24] == list(range(150, 174)), "and the oldest go on as before"


def test_a_clock_set_back_delays_nothing(path: Path) -> None:
    state = open_state(path, bound_s=100)
    commit(state, "bank", at=86_400)
    (due,) = waiting(state, 9, later(86_400))
    state.mark([due.id], {}, later(86_400))
    # A day back: what was noted for tomorrow can't have been meant.
    assert [found.id for found in waiting(state, 9, later(0))] == [due.id]
    assert wait_s(state, later(0)) is None, "nothing to wait for: it is due"
    state.close()


def test_nothing_pending_is_nothing_due(state: StateDatabase) -> None:
    assert wait_s(state, NOW) is None
    assert waiting(state, 5, NOW) == []
    assert state.counts() == outbox.Counts(0, 0, 0, 0, 0, None)


# --- receipts ---


def test_only_a_receipt_that_agrees_forgets(state: StateDatabase) -> None:
    envelopes = tuple(commit(state, "bank", name=str(number))[0] for number in range(5))
    for due in waiting(state, 9, later(1)):
        state.mark([due.id], {}, later(1))
    assert state.counts().pending == 5, "a PUBACK forgets nothing"
    good = covering(state, envelopes[1:4])
    outcome = state.apply_receipt(receipt(good), later(2))
    assert outcome == outbox.ReceiptOutcome((2, 3, 4), ())
    assert [due.seq for due in waiting(state, 9, later(1000))] == [1, 5]
    bodies = state._connection.execute("SELECT seq, jws FROM envelope WHERE jws IS NOT NULL").fetchall()
    assert [row["seq"] for row in bodies] == [1, 5]
    assert [sent.sha256 for sent in state.ledger()["box-1", state.log_id, "bank"]] == [
        envelope.sha256 for envelope in envelopes
    ], "the ledger outlives the bodies"
    assert state.apply_receipt(receipt(good), later(3)) == outbox.ReceiptOutcome((), ())  # once more: nothing


def test_a_receipted_body_is_gone_from_every_file(state: StateDatabase, path: Path) -> None:
    """Overwritten in the database, and no copy left in the write-ahead log."""
    envelopes = commit(state, "bank")
    (kept,) = commit(state, "bank", name="i2")

    def holds(envelope: Envelope) -> list[str]:
        body = envelope.jws.encode()
        return [file.name for file in path.parent.iterdir() if body in file.read_bytes()]

    assert holds(envelopes[0])
    state.apply_receipt(receipt(covering(state, envelopes)), later(1))
    assert holds(envelopes[0]) == []
    assert holds(kept) == ["state.sqlite"]
    with connect_reader(path) as reader:  # a reader in the middle of something holds nothing up
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM envelope").fetchone()
        began = time.monotonic()
        state.apply_receipt(receipt(covering(state, (kept,))), later(2))
        assert time.monotonic() - began < 1
        reader.execute("COMMIT")
    reader.close()
    (last,) = commit(state, "bank", name="i3")
    state.apply_receipt(receipt(covering(state, (last,))), later(3))
    assert holds(kept) == []


def test_receipts_that_lie_forget_nothing(state: StateDatabase) -> None:
    first, second = commit(state, "bank")[0], commit(state, "bank", name="i2")[0]
    (other,) = commit(state, "hotel", name="i3")
    true = covering(state, (first, second))
    lies = {
        "receipt.hash_mismatch": ReceiptRange(state.log_id, "bank", 1, 2, "0" * 64),
        "receipt.other_log": ReceiptRange("another", "bank", 1, 2, true.sha256),
        "receipt.unknown_envelope": ReceiptRange(state.log_id, "bank", 1, 3, true.sha256),
        "receipt.too_long": ReceiptRange(state.log_id, "bank", 1, outbox.MAX_RANGE + 1, true.sha256),
    }
    swapped = ReceiptRange(state.log_id, "bank", 1, 2, range_sha256((second.sha256, first.sha256)))
    elsewhere = ReceiptRange(state.log_id, "hotel", 1, 1, first.sha256)
    assert other.seq == 1
    for reason, lie in (
        *lies.items(),
        ("receipt.hash_mismatch", swapped),
        ("receipt.hash_mismatch", elsewhere),
    ):
        assert state.apply_receipt(receipt(lie), NOW) == outbox.ReceiptOutcome((), (reason,))
    assert state.counts().pending == 3
    assert state.last_receipt() is None, "a refused receipt doesn't move the clock's floor"
    # A lie beside a truth: the truth counts, the lie is named.
    mixed = state.apply_receipt(receipt(lies["receipt.hash_mismatch"], true), NOW)
    assert (len(mixed.receipted), mixed.refused) == (2, ("receipt.hash_mismatch",))


def test_a_receipt_proves_the_publication_that_a_crash_swallowed(state: StateDatabase) -> None:
    envelopes = commit(state, "bank")
    state.apply_receipt(receipt(covering(state, envelopes)), NOW)
    counts = state.counts()
    assert (counts.committed, counts.published, counts.receipted, counts.pending) == (1, 1, 1, 0)
    state.mark([1], {}, later(5))  # its PUBACK, late
    assert waiting(state, 9, later(10_000)) == []


def test_what_a_reader_kept_in_the_log_is_folded_out_by_the_next_write(
    path: Path, state: StateDatabase
) -> None:
    """Somebody looks at the outbox while a receipt comes: the body it forgets mustn't stay in the log till another."""
    (envelope,) = commit(state, "bank")
    reader = connect_reader(path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM envelope").fetchone()
    state.apply_receipt(receipt(covering(state, (envelope,))), NOW)
    log = path.with_name(f"{path.name}-wal")
    assert envelope.jws.encode() in log.read_bytes()
    reader.close()
    state.note_checked(NOW)
    assert envelope.jws.encode() not in log.read_bytes() + path.read_bytes()


def test_the_clock_floor_never_sinks(state: StateDatabase) -> None:
    assert (state.last_commit(), state.last_receipt()) == (None, None)
    commit(state, "bank", at=100)
    envelopes = commit(state, "hotel", name="i2", at=50)
    assert state.last_commit() == later(100)
    state.apply_receipt(receipt(covering(state, envelopes), iat=int(later(200).timestamp())), later(60))
    assert state.last_receipt() == later(200)


def test_a_receipt_from_the_future_does_not_make_our_clock_look_wrong(state: StateDatabase) -> None:
    """The signer's clock is wrong, not ours: the envelope is stored all the same, the floor stays below now."""
    envelopes = commit(state, "bank")
    ahead = receipt(covering(state, envelopes), iat=int(later(300 * 86_400).timestamp()))
    assert state.apply_receipt(ahead, later(-3)).receipted == (1,), "a time service may step back a little"
    assert state.last_receipt() == later(-3)
    state.apply_receipt(ahead, later(20))
    assert state.last_receipt() == later(20)


def test_a_lost_clock_learns_from_a_receipt(state: StateDatabase) -> None:
    envelopes = commit(state, "bank")
    signed = receipt(covering(state, envelopes), iat=int(later(40 * 86_400).timestamp()))
    assert state.apply_receipt(signed, datetime(1970, 1, 1, tzinfo=UTC)).receipted == (1,)
    assert state.last_receipt() == later(40 * 86_400)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_history_adds_up(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever order commits, acknowledgements, refusals, receipts and restarts come in."""
    path = tmp_path_factory.mktemp("history") / "state.sqlite"
    state = open_state(path, receipt_s=10, refused_s=60, bound_s=100)
    committed: dict[str, list[Envelope]] = {"bank": [], "hotel": []}
    receipted: set[tuple[str, int]] = set()
    clock = 0.0
    for _ in range(data.draw(st.integers(1, 12))):
        clock += data.draw(st.sampled_from([0, 1, 15, 200]))
        match data.draw(st.sampled_from(["commit", "publish", "refuse", "receipt", "reopen"])):
            case "commit":
                for envelope in commit(
                    state, *data.draw(st.sets(st.sampled_from(["bank", "hotel"]), min_size=1))
                ):
                    committed[envelope.audience].append(envelope)
            case "publish":
                state.mark([due.id for due in waiting(state, 3, later(clock))], {}, later(clock))
            case "refuse":
                state.mark(
                    [],
                    {due.id: "mqtt.not_authorized" for due in waiting(state, 2, later(clock))},
                    later(clock),
                )
            case "receipt":
                audience = data.draw(st.sampled_from(["bank", "hotel"]))
                if envelopes := committed[audience]:
                    first = data.draw(st.integers(0, len(envelopes) - 1))
                    last = data.draw(st.integers(first, len(envelopes) - 1))
                    state.apply_receipt(
                        receipt(covering(state, tuple(envelopes[first : last + 1]))), later(clock)
                    )
                    receipted |= {(audience, envelope.seq) for envelope in envelopes[first : last + 1]}
            case "reopen":
                state.close()
                state = open_state(path, receipt_s=10, refused_s=60, bound_s=100)
    counts = state.counts()
    total = sum(map(len, committed.values()))
    assert (counts.committed, counts.receipted, counts.pending) == (
        total,
        len(receipted),
        total - len(receipted),
    )
    everything = waiting(state, 1000, later(clock + 1000))
    assert {(due.audience, due.seq) for due in everything} == {
        (audience, envelope.seq) for audience, envelopes in committed.items() for envelope in envelopes
    } - receipted
    assert {due.jws for due in everything} <= {e.jws for envelopes in committed.values() for e in envelopes}
    for (_, _, audience), sent in state.ledger().items():
        assert [one.sha256 for one in sent] == [envelope.sha256 for envelope in committed[audience]]
    assert counts == outbox.Counts(
        total,
        sum(one.published for sent in outbox.ledger(path).values() for one in sent),
        len(receipted),
        total - len(receipted),
        counts.refused,
        counts.last_refusal,
        bytes_pending=sum(len(due.jws) for due in everything),
        oldest_pending=min((due for due in everything), key=lambda due: due.id).committed_at
        if everything
        else None,
    )
    state.close()


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001
def test_times_survive_the_tables(moment: datetime) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    assert from_ms(to_ms(moment)) == moment


# --- bad days ---


def test_a_second_daemon_is_refused_in_words(tmp_path: Path) -> None:
    with StateLock(tmp_path):
        with pytest.raises(StateError) as caught:
            StateLock(tmp_path)
        assert caught.value.code == "state.in_use"
        assert str(os.getpid()) in caught.value.detail
        sentence = messages.text(caught.value.code, "en", **caught.value.params)
        assert f"Another edged is running on the state directory {tmp_path};" in sentence
    with StateLock(tmp_path):
        pass


def test_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from edged.uplink.state_lock import StateLock\n"
        "lock = StateLock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StateError) as caught:
            StateLock(tmp_path)
        assert f"process {holder.pid}" in str(caught.value)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    StateLock(tmp_path).close()


def test_a_state_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StateError) as caught:
        StateLock(tmp_path / "gone")
    assert caught.value.code == "state.unusable"
    with pytest.raises(StateError) as caught:
        open_state(tmp_path / "gone" / "state.sqlite")
    assert caught.value.code == "state.unusable"


def test_a_corrupt_database_is_named(path: Path) -> None:
    state = open_state(path)
    for number in range(30):
        commit(state, "bank", name=str(number))
    state.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(StateError) as caught:
        commit(open_state(path), "bank")
    assert caught.value.code == "state.corrupt"
    path.write_bytes(b"this is not a database at all" * 300)
    with pytest.raises(StateError) as caught:
        open_state(path)
    assert caught.value.code == "state.corrupt"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("a small tmpfs needs root; the page limit below needs nobody")
    mount = tmp_path / "small"
    mount.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", mount], capture_output=True)
    if done.returncode != 0:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "--lazy", mount], check=True)


def fill(state: StateDatabase) -> int:
    """Commit until the disk is full; how many were committed."""
    for number in range(10_000):
        try:
            commit(state, "bank", "hotel", name=str(number))
        except StateError as error:
            if error.code != "state.disk_full":
                raise
            return number
    pytest.fail("the disk never filled up")


def test_a_full_disk_is_named_and_nothing_is_half_done(small_disk: Path) -> None:
    state = open_state(small_disk / "state.sqlite")
    done = fill(state)
    assert done > 20
    assert state.counts().committed == 2 * done
    with pytest.raises(StateError):
        commit(state, "bank", "hotel", name="once more")
    check_whole(state, done)
    state.close()


def test_a_full_database_is_named_and_nothing_is_half_done(path: Path) -> None:
    state = open_state(path)
    state._connection.execute("PRAGMA max_page_count = 40")
    done = fill(state)
    state._connection.execute("PRAGMA max_page_count = 4000")
    check_whole(state, done)
    (bank, hotel) = commit(state, "bank", "hotel", name="after room was made")
    assert (bank.seq, hotel.seq) == (done + 1, done + 1), "the stream goes on where it stopped"
    state.close()


def check_whole(state: StateDatabase, done: int) -> None:
    for sent in state.ledger().values():
        assert [one.seq for one in sent] == list(range(1, done + 1))
    assert len(waiting(state, 10_000, later(1))) == 2 * done


def test_a_reader_that_holds_the_database_does_not_stop_a_commit(state: StateDatabase, path: Path) -> None:
    commit(state, "bank")
    reader = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM envelope").fetchone() == (1,)
    commit(state, "bank", name="i2")
    reader.execute("COMMIT")
    assert reader.execute("SELECT count(*) FROM envelope").fetchone() == (2,)
    reader.close()


KILLED = """
import sys, threading
from pathlib import Path
from tests.test_outbox_database import open_state, commit
state = open_state(Path(sys.argv[1]))
start = state.counts().committed
print("up", flush=True)
for number in range(100_000):
    for envelope in commit(state, "bank", "hotel", name=f"{start}-{number}"):
        print(envelope.audience, envelope.seq, envelope.sha256, flush=True)
"""


def test_kill_minus_9_loses_nothing_that_was_said(path: Path) -> None:
    """What the process printed after a commit is in the database, whatever the kill interrupted."""
    said: dict[tuple[str, int], str] = {}
    for turn in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "up\n"
            threading.Timer(0.02 + 0.05 * turn, child.kill).start()
            for line in child.stdout:
                if line.endswith("\n") and len(words := line.split()) == 3:
                    key = (words[0], int(words[1]))
                    assert key not in said, "a number was given twice"
                    said[key] = words[2]
    state = open_state(path)
    stored = {(k[2], one.seq): one.sha256 for k, sent in state.ledger().items() for one in sent}
    assert said.items() <= stored.items()
    assert len(said) > 20
    bank, hotel = (sorted(seq for name, seq in stored if name == audience) for audience in ("bank", "hotel"))
    assert bank == hotel == list(range(1, len(bank) + 1)), "both audiences or neither, no hole"
    state.close()

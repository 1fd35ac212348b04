"""Whatever order things come in: every committed number is pending, receipted, dead and told, or lost and told."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edged.uplink import outbox_aside, outbox_recovery
from edged.uplink.envelope import Envelope
from edged.uplink.outbox import Bounds, Finality, RetryPolicy, StateDatabase
from edged.uplink.receipts import Refusal
from edged.verdict import Kind
from tests.outbox import (
    DEVICE,
    commit,
    covering,
    fake_gap_seal,
    full_count,
    later,
    open_state,
    receipt,
    rows,
)

BOUNDS = Bounds(max_bytes=6000, max_age=timedelta(hours=5), ledger=timedelta(days=3650))
FINALITY = Finality(final_tries=2, patient_tries=3, patient=timedelta(minutes=5), collector_tries=2)
RETRY = RetryPolicy(receipt_s=10, refused_s=60, bound_s=100)
AUDIENCES = ("bank", "hotel")

Place = tuple[str, str, int]


class Histories(RuleBasedStateMachine):
    """The database beside a model that only remembers what was committed and what receipts said."""

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "state.sqlite"
        self.clock = 0.0
        self.committed: dict[Place, Envelope] = {}
        self.receipted: set[Place] = set()
        self.inspections = 0
        self.last: set[Place] = set()
        self.state = self.opened()

    def opened(self) -> StateDatabase:
        return open_state(self.path, retry=RETRY, bounds=BOUNDS, finality=FINALITY)

    def teardown(self) -> None:
        if hasattr(self, "state"):
            self.state.close()
            self.directory.cleanup()

    def now(self) -> Any:
        return later(self.clock)

    # --- what happens ---

    @rule(seconds=st.sampled_from([1, 30, 400, 7200]))
    def time_passes(self, seconds: int) -> None:
        self.clock += seconds

    @rule(
        audiences=st.sampled_from([("bank",), ("hotel",), AUDIENCES]),
        kind=st.sampled_from([Kind.LIVE, Kind.LIVE, Kind.TEST]),
        filler=st.sampled_from([10, 200, 900]),
        trusted=st.booleans(),
    )
    def commits(self, audiences: tuple[str, ...], kind: Kind, filler: int, trusted: bool) -> None:
        self.inspections += 1
        envelopes = commit(
            self.state,
            *audiences,
            name=str(self.inspections),
            at=self.clock,
            filler=filler,
            kind=kind,
            clock_trusted=trusted,
        )
        self.last = {(self.state.log_id, envelope.audience, envelope.seq) for envelope in envelopes}
        self.committed |= dict(zip(sorted(self.last, key=lambda place: place[1]), envelopes, strict=True))
        for log_id, audience, seq in self.last:
            (row,) = rows(
                self.state,
                "SELECT state FROM envelope WHERE log_id = ? AND audience = ? AND seq = ?",
                log_id,
                audience,
                seq,
            )
            assert row["state"] == "pending", "what was just committed is never pushed out"

    @rule(live=st.integers(0, 3), backlog=st.integers(0, 3), refused=st.booleans(), data=st.data())
    def publishes(self, live: int, backlog: int, refused: bool, data: st.DataObject) -> None:
        since = data.draw(st.integers(0, self.state.last_id()))
        look = self.state.look(self.now(), since=since, live=live, backlog=backlog)
        ids = [due.id for due in (*look.live, *look.backlog)]
        assert len(ids) == len(set(ids))
        for due in (*look.live, *look.backlog):
            assert self.committed[due.log_id, due.audience, due.seq].jws == due.jws
        code = data.draw(
            st.sampled_from(["mqtt.packet_too_large", "mqtt.not_authorized", "mqtt.quota_exceeded"])
        )
        died = self.state.mark(
            () if refused else ids, dict.fromkeys(ids, code) if refused else {}, self.now()
        )
        assert set(died) <= set(ids)

    @precondition(lambda self: self.committed)
    @rule(data=st.data())
    def gets_a_receipt(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(sorted(self.committed)))
        run = [place]
        while (after := (*place[:2], run[-1][2] + 1)) in self.committed and data.draw(st.booleans()):
            run.append(after)
        outcome = self.state.apply_receipt(
            receipt(covering(place[0], [self.committed[one] for one in run])), self.now()
        )
        assert outcome.refused == ()
        assert len(outcome.receipted) == len(set(run) - self.receipted)
        self.receipted |= set(run)

    @precondition(lambda self: self.committed)
    @rule(data=st.data())
    def is_refused_by_the_collector(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(sorted(self.committed)))
        refusal = Refusal(self.committed[place].sha256, "stream.equivocation")
        unknown = Refusal("0" * 64, "stream.equivocation")
        outcome = self.state.apply_receipt(receipt(refused=(refusal, unknown)), self.now())
        assert len(outcome.refusals) <= 1
        assert place not in self.receipted or outcome.refusals == ()

    @rule(trusted=st.booleans())
    def tidies(self, trusted: bool) -> None:
        before = {row["id"] for row in rows(self.state, "SELECT id FROM envelope WHERE state = 'lost'")}
        bytes_before = self.state.counts().bytes_pending + self.state.counts().bytes_dead
        self.state.tidy(self.now(), clock_trusted=trusted)
        gone = rows(self.state, "SELECT id FROM envelope WHERE state = 'lost'")
        if not trusted and bytes_before <= BOUNDS.max_bytes:
            assert {row["id"] for row in gone} == before, "a clock nobody trusts ages nothing out"

    @rule(everything=st.booleans())
    def retries_the_dead(self, everything: bool) -> None:
        dead = self.state.dead()
        wanted = None if everything else [letter.id for letter in dead[:1]]
        back = self.state.retry_dead(wanted, self.now())
        assert back == (len(dead) if everything else len(dead[:1]))

    @rule()
    def signs_gap_records(self) -> None:
        self.state.seal_gaps(fake_gap_seal)

    @rule(refused=st.booleans())
    def delivers_gap_records(self, refused: bool) -> None:
        look = self.state.look(self.now(), since=0, live=0, backlog=0)
        ids = [gap.id for gap in look.gaps]
        self.state.mark_gaps(
            () if refused else ids, dict.fromkeys(ids, "mqtt.not_authorized") if refused else {}, self.now()
        )
        if not refused and ids:
            outcome = self.state.apply_receipt(receipt(gaps=[look.gaps[0].sha256, "f" * 64]), self.now())
            assert outcome.gaps == (look.gaps[0].id,)

    @rule()
    def starts_again(self) -> None:
        self.state.close()
        self.state = self.opened()

    @rule()
    def breaks_and_is_repaired(self) -> None:
        log_id = self.state.log_id
        self.state.close()
        outbox_aside.note_corrupt(self.path)
        self.state, found = outbox_recovery.open_state(
            self.path, device=DEVICE, now=self.now(), retry=RETRY, bounds=BOUNDS, finality=FINALITY
        )
        assert found is not None
        assert found.salvaged.gaps == 0
        assert self.state.log_id != log_id

    # --- what always holds ---

    @invariant()
    def every_number_is_accounted_for(self) -> None:
        if not hasattr(self, "state"):
            return
        told = rows(self.state, "SELECT * FROM gap")
        seen = set()
        for row in rows(self.state, "SELECT * FROM envelope"):
            place = (row["log_id"], row["audience"], row["seq"])
            seen.add(place)
            assert row["sha256"] == self.committed[place].sha256
            match row["state"]:
                case "receipted":
                    assert place in self.receipted
                    assert row["jws"] is None
                case "pending":
                    assert place not in self.receipted
                    assert row["jws"] == self.committed[place].jws
                case "dead" | "lost":
                    assert place not in self.receipted
                    assert (row["jws"] is None) == (row["state"] == "lost")
                    (its,) = [gap for gap in told if gap["id"] == row["gap"]]
                    assert (its["log_id"], its["audience"]) == place[:2]
                    assert its["first"] <= place[2] <= its["last"]
                    reasons = {
                        gap["reason"]
                        for gap in told
                        if (gap["log_id"], gap["audience"]) == place[:2]
                        and gap["first"] <= place[2] <= gap["last"]
                    }
                    wanted = {"refused"} if row["state"] == "dead" else {"too_many_bytes", "too_old"}
                    assert reasons & wanted, f"nobody was told of {place}"
        assert seen == set(self.committed)
        drafts = [gap for gap in told if gap["jws"] is None and gap["receipted_at"] is None]
        for gap in drafts:
            state_of = rows(
                self.state,
                "SELECT state FROM envelope WHERE log_id = ? AND audience = ? AND seq BETWEEN ? AND ?",
                gap["log_id"],
                gap["audience"],
                gap["first"],
                gap["last"],
            )
            assert "pending" not in {row["state"] for row in state_of}, "no record of what is still to come"

    @invariant()
    def the_tally_is_right(self) -> None:
        if hasattr(self, "state"):
            counted = full_count(self.state)
            told = self.state.counts()
            # By the order of commits, not by clocks; theirs only go forward here.
            assert told == counted

    @invariant()
    def the_bound_holds(self) -> None:
        if hasattr(self, "state"):
            counts = self.state.counts()
            newest = sum(len(self.committed[place].jws) for place in self.last)
            assert counts.bytes_pending + counts.bytes_dead <= BOUNDS.max_bytes + newest


Histories.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestHistories = Histories.TestCase

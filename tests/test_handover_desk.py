"""The desk and the words of a handover, without sockets: one claim at most, everything overwritten, texts escaped."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import ControlError, IdentityLeakError
from edged.events import Light
from edged.handover import protocol
from edged.handover.answer import taken, wipe
from edged.handover.desk import MAX_REMEMBERED, Desk, End, Offer
from edged.journal.handovers import Note
from edged.orders import Ending, Outcome
from edged.orders import refusal as refusal_of
from edged.privacy.handover import HANDOVER_CEILING, MAX_WITHIN_S
from edged.privacy.held import FIELDS, HeldFields
from edged.telling import Telling, describe, describe_refusal
from edged.verdict import Check, CheckClass, Kind, Reason, Result, judge
from tests.handover_bench import SCANNER, VALUES

APPS = ("bank", "hotel")


def held(**values: str) -> HeldFields:
    return HeldFields(values or VALUES, {})


def refusal(desk: Desk, application: str, asker: int, inspection: str, now: float) -> str:
    with pytest.raises(ControlError) as refused:
        desk.claim(application, asker, inspection, now)
    return refused.value.code


def laid(desk: Desk, application: str = "bank", inspection: str = "a", now: float = 0.0) -> Offer:
    offer, _ = desk.lay(application, 1, inspection, held(), within_s=60, now=now)
    assert desk.ready(offer)
    return offer


def test_claimed_once_by_the_asker_within_the_time() -> None:
    desk = Desk()
    offer, _ = desk.lay("bank", 1, "a", held(), within_s=60, now=0)
    assert refusal(desk, "bank", 1, "a", 1) == "handover.no_such_inspection"  # not in the journal yet
    assert desk.look("bank", 1, "a") is None
    assert desk.ready(offer)
    assert desk.look("bank", 1, "a") is offer
    assert refusal(desk, "bank", 2, "a", 1) == "handover.not_yours"
    assert refusal(desk, "hotel", 1, "a", 1) == "handover.not_yours"
    assert refusal(desk, "bank", 1, "b", 1) == "handover.no_such_inspection"
    assert refusal(desk, "bank", 1, "a", 60) == "handover.too_late"
    assert desk.claim("bank", 1, "a", 59.9) is offer
    assert refusal(desk, "bank", 1, "a", 59.9) == "handover.taken_already"
    desk.finish(offer, End.TAKEN)
    assert offer.held.forgotten
    assert refusal(desk, "bank", 1, "a", 59.9) == "handover.taken_already"
    assert refusal(desk, "hotel", 1, "a", 59.9) == "handover.not_yours"
    assert desk.deadline is None


def test_no_policy_lets_anything_lie_longer_than_a_minute() -> None:
    desk = Desk()
    desk.lay("bank", 1, "a", held(), within_s=1e9, now=5)
    assert desk.deadline == 5 + MAX_WITHIN_S


def test_what_is_claimed_is_overwritten_all_the_same() -> None:
    """While the journal is written: then nothing leaves, and `why_gone` says why."""
    for end in (End.LATE, End.LEFT, End.SWITCHED, End.REPLACED):
        desk = Desk()
        offer = laid(desk)
        desk.claim("bank", 1, "a", 1)
        match end:
            case End.LATE:
                desk.expire(60)
            case End.LEFT:
                desk.leave("bank", 1)
            case End.SWITCHED:
                desk.forget_all(end)
            case _:
                desk.begin("bank")
        assert offer.held.forgotten
        assert desk.why_gone(offer) is end
        desk.finish(offer, End.TAKEN)
        assert desk.why_gone(offer) is end


def test_an_offer_that_ended_while_the_journal_was_written_is_never_ready() -> None:
    desk = Desk()
    offer, _ = desk.lay("bank", 1, "a", held(), within_s=60, now=0)
    desk.leave("bank", 1)
    assert not desk.ready(offer)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["lay", "claim", "expire", "leave", "begin", "all"]),
            st.sampled_from(APPS),
            st.integers(1, 2),
            st.integers(0, 9),
        ),
        max_size=40,
    )
)
def test_whatever_happens(steps: list[tuple[str, str, int, int]]) -> None:
    """One claim an offer, by its asker, in time; one offer an application; what is not on the desk is overwritten."""
    desk, everything, claimed, now = Desk(), list[tuple[Offer, float]](), set[int](), 0.0
    for step, app, asker, number in steps:
        now += number
        match step:
            case "lay":
                offer, _ = desk.lay(app, asker, f"{len(everything)}", held(), within_s=10, now=now)
                desk.ready(offer)
                everything.append((offer, now + 10))
            case "claim":
                for offer, deadline in everything:
                    try:
                        got = desk.claim(app, asker, offer.inspection, now)
                    except ControlError as error:
                        assert "ERIKSSON" not in str(error)
                        continue
                    assert got is offer
                    assert (got.application, got.asker) == (app, asker)
                    assert now < deadline
                    assert id(got) not in claimed
                    assert not got.held.forgotten
                    claimed.add(id(got))
            case "expire":
                desk.expire(now)
            case "leave":
                desk.leave(app, asker)
            case "begin":
                desk.begin(app)
            case _:
                desk.forget_all(End.SWITCHED)
        alive = [offer for offer, _ in everything if not offer.held.forgotten]
        assert len({offer.application for offer in alive}) == len(alive)
        assert (desk.deadline is None) == (not alive)
        assert len(desk._ends) <= MAX_REMEMBERED


def test_ends_are_remembered_for_a_while_alone() -> None:
    desk = Desk()
    for number in range(MAX_REMEMBERED + 1):
        laid(desk, inspection=f"{number}")
        desk.begin("bank")
    assert refusal(desk, "bank", 1, "0", 0) == "handover.no_such_inspection"
    assert refusal(desk, "bank", 1, "1", 0) == "handover.replaced"


def test_an_offer_can_t_be_printed_copied_or_pickled() -> None:
    offer = laid(Desk())
    assert SCANNER.scan(repr([offer, offer.held]).encode()) == []
    for way in (copy.copy, copy.deepcopy, pickle.dumps, str, "{:>9}".format):
        with pytest.raises(IdentityLeakError):
            way(offer)


def test_the_ceiling_is_what_can_be_held_and_no_line_or_picture() -> None:
    assert set(HANDOVER_CEILING) <= set(FIELDS)
    assert not any(
        part in name for name in HANDOVER_CEILING for part in ("mrz", "line", "portrait", "optional")
    )


def test_the_journal_takes_no_field_of_another_name() -> None:
    note = Note(kind="taken", inspection="a", audience="bank", fields=("ERIKSSON",))
    with pytest.raises(ValueError, match="no field") as refused:
        note.detail()
    assert SCANNER.scan(str(refused.value).encode()) == []


# --- words ---


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=40)), st.integers(0, 1 << 53))
def test_the_answer_is_json_whatever_the_values(values: dict[str, str], number: int) -> None:
    values = {name: value.encode("utf-8", "ignore").decode() for name, value in values.items()}
    line = taken(number, "0123456789abcdef", HeldFields(values, {}))
    assert line.endswith(b"\n")
    assert b"\n" not in line[:-1]
    assert json.loads(line) == {
        "v": 1,
        "id": number,
        "result": {"inspection": "0123456789abcdef", "fields": values},
    }
    wipe(line)
    assert not any(line)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_line_is_a_request_or_a_coded_refusal(line: bytes) -> None:
    protocol.number_of(line)
    try:
        request = protocol.parse(line)
    except ControlError as error:
        assert error.code in {"handover.not_json", "handover.not_a_request", "handover.unknown_version"}
        assert str(error) == error.code  # quotes nothing
    else:
        assert request.v == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=5
)


@given(
    st.dictionaries(st.sampled_from(["v", "id", "method", "params", "x"]), JSON),
    st.dictionaries(st.sampled_from(["scene", "reference", "consent", "inspection", "x"]), JSON),
)
def test_any_object_is_a_request_or_a_coded_refusal(
    line: dict[str, object], params: dict[str, object]
) -> None:
    for message in (line, {"v": 1, "id": 1, "method": "inspect", "params": params}):
        try:
            request = protocol.parse(json.dumps(message).encode())
            for kind in (protocol.Inspect, protocol.Take, protocol.Nothing):
                protocol.params_of(request, kind)
        except ControlError as error:
            assert error.code.startswith("handover.")
            assert str(error) == error.code


@pytest.mark.parametrize("reference", ["ANNA ERIKSSON", "欧阳", "", "x" * 65, "A-1\n"])
def test_references_are_opaque(reference: str) -> None:
    request = protocol.Request(1, 1, "inspect", {"reference": reference})
    with pytest.raises(ControlError, match="bad_parameter"):
        protocol.params_of(request, protocol.Inspect)


def test_what_the_station_says_is_understood() -> None:
    reason = Reason("expiry.expired", {"state": "UTO"})
    checks = (Check("expiry", Result.FAILED, (reason,)), Check("mrz_read", Result.SUCCESSFUL))
    verdict = judge("bank", Kind.TEST, {"expiry": CheckClass.MANDATORY}, checks)
    said = protocol.inspected(describe(Outcome(Ending.COMMITTED, verdict), "a", {}, {}), None)
    assert said == {
        "inspection": "a",
        "outcome": "committed",
        "reason": None,
        "result": "failed",
        "checks": [
            {"name": "mrz_read", "class": "evaluatory", "result": "successful", "reasons": []},
            {"name": "expiry", "class": "mandatory", "result": "failed", "reasons": ["expiry.expired"]},
        ],
        "handover": None,
        "notice": None,
    }
    refused = protocol.inspected(describe_refusal(refusal_of("inspection.busy", by="UTO")), None)
    assert (refused["outcome"], refused["reason"], refused["result"]) == ("refused", "inspection.busy", None)


def test_the_station_s_events_are_understood() -> None:
    told: list[Mapping[str, object]] = []
    telling = Telling("a", told.append)
    telling.pressed("bank", "bank")
    telling.stage("captured")
    telling.advice(Reason("quality.glare", {"state": "UTO"}), Light.IR)
    telling.outcome(Outcome(Ending.ABORTED, reason=Reason("inspection.cancelled")))
    said = [protocol.progress(one) for one in told]
    assert said[0] == {"event": "pressed", "inspection": "a", "scene": "bank"}
    assert told[0]["application"] == "bank"
    assert [one and one["event"] for one in said] == ["pressed", "stage", "advice", "outcome"]
    assert said[2] == {"event": "advice", "inspection": "a", "reason": "quality.glare"}


def test_progress_is_what_is_named_and_nothing_else() -> None:
    told = {"event": "outcome", "inspection": "a", "outcome": "committed", "verdict": {"x": "ERIKSSON"}}
    assert protocol.progress(told) == {"event": "outcome", "inspection": "a", "outcome": "committed"}
    assert protocol.progress({"event": "uplink", "kind": "connected"}) is None
    assert protocol.progress({"event": "press_refused"}) is None

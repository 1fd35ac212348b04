"""From sides that were read to a verdict and to what each audience may know."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from edged.clock import ClockReading
from edged.commands.config import EXAMPLE
from edged.config import BoxSettings, SceneSettings, parse_toml
from edged.core.mrz import parse_mrz
from edged.drafting import Sender
from edged.events import ChipRead, ScanRequest
from edged.judging import expiry_check, judge_inspection, kind_of, recipients
from edged.privacy.policy import Action, Policy, Rule
from edged.privacy.pseudonym import Pseudonymiser
from edged.side import ReadDocument, ReadSide
from edged.uplink.envelope import Provenance
from edged.verdict import Check, CheckClass, JudgedCheck, Kind, Reason, Result, judge, overall

TODAY = date(2026, 6, 15)
CLOCK = ClockReading(datetime(2026, 11, 30, tzinfo=UTC), trusted=True, today=TODAY)
LOST = ClockReading(datetime(1970, 1, 1, tzinfo=UTC), trusted=False, today=TODAY)
REAL = {"head": Provenance(driver="serial", identity="H1", simulated=False)}
SIMULATED = {"head": Provenance(driver="simulated", identity="s", simulated=True)}

SPECIMEN = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F3104150ZE184226B<<<<<16"
VALID = "P<CANERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nX123456785CAN7408122F3104150ZE184226B<<<<<18"
EXPIRED = "P<CANERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nX123456785CAN7408122F1204159ZE184226B<<<<<12"


def reading(text: str | None, *, read: Result = Result.SUCCESSFUL) -> Any:
    mrz = parse_mrz(text.split("\n"), today=TODAY) if text else None
    checks = (
        Check("document_detected", Result.SUCCESSFUL),
        Check("mrz_read", read),
        Check("mrz_check_digits", Result.SUCCESSFUL),
        Check("mrz_fields", Result.SUCCESSFUL),
    )
    return SimpleNamespace(mrz=mrz, checks=checks, document_present=True, frames=1, reasons=())


def settings() -> BoxSettings:
    return parse_toml(EXAMPLE.encode(), BoxSettings, base=Path("/nowhere"))


def judged(
    *sides: Any,
    provenance: Any = REAL,
    clock: ClockReading = CLOCK,
    chip: ChipRead | None = None,
    card: Any = None,
    box: BoxSettings | None = None,
    **request: Any,
) -> Any:
    box = box or settings()
    return judge_inspection(
        ReadDocument([ReadSide(side, {}, None) for side in sides], chip, card),
        request=ScanRequest(**{"scene": "bank", **request}),
        settings=box,
        clock=clock,
        provenance=provenance,
        sender=Sender("acme", "counter-1"),
        pseudonyms={name: Pseudonymiser(bytes(range(32)), f"box:{name}") for name in box.audiences},
    )


def code(check: Check) -> tuple[Result, str | None]:
    return check.result, check.reasons[0].code if check.reasons else None


def test_a_valid_passport_is_successful_and_told_to_centre_and_bank() -> None:
    judgement = judged(reading(VALID), reference="T-1", purpose="account", operator="clerk-7")
    assert judgement.verdict.result is Result.SUCCESSFUL
    central, bank = judgement.drafts
    assert (central.audience, central.reference, central.claims) == (
        "central",
        None,
        {"issuing_state": "CAN"},
    )
    assert (bank.audience, bank.reference, bank.purpose, bank.operator) == (
        "first-bank",
        "T-1",
        "account",
        "clerk-7",
    )
    assert bank.claims["nationality"] == "CAN"
    assert bank.document.format == "TD3"


def test_a_chip_that_was_there_and_was_not_read_leaves_no_document_successful() -> None:
    """A chip that hangs until it is given up must not do better than one that fails."""

    def verdict(read: ChipRead) -> tuple[Result, list[CheckClass]]:
        verdict = judged(reading(VALID), chip=read).verdict
        return verdict.result, [check.check_class for check in verdict.checks if check.name == "chip"]

    hung = ChipRead(None, Reason("chip.timed_out"), found=True)
    assert verdict(hung) == (Result.UNDETERMINED, [CheckClass.MANDATORY])
    none = ChipRead(None, Reason("chip.not_found"))
    assert verdict(none) == (Result.SUCCESSFUL, [CheckClass.OPTIONAL])


def test_a_scene_may_demand_a_single_proof_of_every_chip() -> None:
    scene = SceneSettings(mandatory=("mrz_read",), conditional=("active_authentication",))
    box = msgspec.structs.replace(settings(), scenes={"bank": scene})
    hung, none = ChipRead(None, Reason("chip.mute"), found=True), ChipRead(None, Reason("chip.not_found"))
    results = [judged(reading(VALID), chip=read, box=box).verdict.result for read in (hung, none)]
    assert results == [Result.UNDETERMINED, Result.SUCCESSFUL]


def test_a_specimen_is_nobodys_document_when_it_matters() -> None:
    live = judged(reading(SPECIMEN), provenance=REAL).verdict
    assert live.result is Result.FAILED
    assert [reason.code for reason in live.reasons] == ["mrz.specimen_document"]
    assert judged(reading(SPECIMEN), provenance=SIMULATED).verdict.result is Result.SUCCESSFUL


def test_a_specimen_read_without_confidence_is_undetermined_like_anything_else() -> None:
    side = reading(SPECIMEN, read=Result.UNDETERMINED)
    assert judged(side, provenance=REAL).verdict.result is Result.UNDETERMINED


def test_nobody_is_told_of_a_scene_that_nobody_takes() -> None:
    box = settings()
    assert recipients(ScanRequest("hotel"), box, Kind.LIVE) == ("central",)
    only_bank = msgspec.structs.replace(box, audiences={"first-bank": box.audiences["first-bank"]})
    assert recipients(ScanRequest("hotel"), only_bank, Kind.LIVE) == ()
    assert recipients(ScanRequest("bank"), only_bank, Kind.TRAINING) == ()


def test_a_lost_clock_moves_no_century_and_fails_nobody() -> None:
    permit = "CT00000000<00262006084F3108034\nNGKELMPONBPJLBLOAACR0000000001\nZHENG<JIAN<<YANG<BEN<<<<<<3500"
    future = parse_mrz(permit.split("\n"), today=TODAY)
    failing = {one.reason.code for one in future.field_checks if one.result is Result.FAILED and one.reason}
    assert failing == {"mrz.birth_in_future"}
    checks = (Check("mrz_read", Result.SUCCESSFUL), Check("mrz_fields", Result.FAILED))
    side = SimpleNamespace(mrz=future, checks=checks, document_present=True, frames=1, reasons=())
    fields = {
        clock.trusted: next(
            check for check in judged(side, clock=clock).verdict.checks if check.name == "mrz_fields"
        )
        for clock in (CLOCK, LOST)
    }
    assert fields[True].result is Result.FAILED
    assert fields[False].result is Result.UNDETERMINED
    bank = judged(reading(VALID), clock=LOST).drafts[1]
    assert (bank.claims["birth_date"], bank.claims["expiry_date"]) == (None, None)
    assert bank.claims["withheld"]["birth_date"] == "claim.clock_not_trusted"


def test_no_draft_holds_a_direct_identifier() -> None:
    drafts = msgspec.json.encode(judged(reading(VALID)).drafts).decode()
    for raw in ("ERIKSSON", "ANNA", "MARIA", "X12345678", "ZE184226B", "740812", "1974-08-12", "310415"):
        assert raw not in drafts


def test_an_expired_passport_fails_for_that_reason_alone() -> None:
    verdict = judged(reading(EXPIRED)).verdict
    assert verdict.result is Result.FAILED
    assert [reason.code for reason in verdict.reasons] == ["expiry.expired"]


def test_the_side_with_the_mrz_is_judged_whichever_came_first() -> None:
    blank = reading(None, read=Result.UNDETERMINED)
    assert judged(blank, reading(VALID)).verdict.result is Result.SUCCESSFUL
    assert judged(blank, blank).verdict.result is Result.UNDETERMINED


def test_devices_that_are_missing_are_said_to_be_missing() -> None:
    checks = {check.name: check for check in judged(reading(VALID)).verdict.checks}
    for name in ("chip", "face_match", "registry", "optical_security"):
        assert checks[name].result is Result.NOT_SUPPORTED
        assert checks[name].reasons[0].code == f"{name}.not_supported"


@pytest.mark.parametrize(
    ("provenance", "training", "kind", "audiences"),
    [
        (REAL, False, Kind.LIVE, ["central", "first-bank"]),
        (SIMULATED, False, Kind.TEST, ["central"]),
        (REAL, True, Kind.TRAINING, ["central"]),
        (SIMULATED, True, Kind.TRAINING, ["central"]),
    ],
)
def test_tests_and_training_are_kept_from_partners(
    provenance: Any, training: bool, kind: Kind, audiences: list[str]
) -> None:
    assert kind_of(ScanRequest("bank", training=training), provenance) is kind
    judgement = judged(reading(VALID), provenance=provenance, training=training)
    assert judgement.verdict.kind is kind
    assert [draft.audience for draft in judgement.drafts] == audiences


def test_a_partner_gets_the_scenes_it_is_there_for() -> None:
    assert [draft.audience for draft in judged(reading(VALID), scene="hotel").drafts] == ["central"]


FRENCH = "IDFRABERTHIER<<<<<<<<<<<<<<<<<<<<<<<\n9409923102854CORINNE<<<<<<<6512068F4"


@pytest.mark.parametrize(
    ("policy", "consent", "named"),
    [
        (Policy({"issuing_state": Action.KEEP}), False, True),
        (Policy({"issuing_state": Action.KEEP}, consent="required"), True, True),
        (Policy({"issuing_state": Action.KEEP}, consent="required"), False, False),
        (Policy({"issuing_state": Rule(Action.GENERALISE)}), True, False),
        (Policy({"sex": Action.KEEP}), True, False),
    ],
)
def test_who_may_not_know_the_state_is_told_it_by_nothing_else(
    policy: Policy, consent: bool, named: bool
) -> None:
    """Reasons of checks name it, and some formats are one state's."""
    box = settings()
    audience = msgspec.structs.replace(box.audiences["first-bank"], policy=policy)
    box = msgspec.structs.replace(box, audiences={"first-bank": audience})
    side = reading(FRENCH)
    side.checks += (
        Check("pa_issuer", Result.UNDETERMINED, (Reason("chip.issuer_unproven", {"state": "FRA"}),)),
    )
    (draft,) = judged(side, box=box, consent=consent).drafts
    assert draft.document.document_class == "identity_card"
    assert ("FRA" in str(draft.checks)) is named
    assert (draft.document.format == "FRA_ID") is named
    (draft,) = judged(reading(VALID), box=box, consent=consent).drafts
    assert draft.document.format == "TD3"


@pytest.mark.parametrize(
    ("side", "clock", "expected"),
    [
        (reading(VALID), CLOCK, (Result.SUCCESSFUL, None)),
        (reading(EXPIRED), CLOCK, (Result.FAILED, "expiry.expired")),
        (reading(EXPIRED), LOST, (Result.UNDETERMINED, "expiry.clock_not_trusted")),
        (reading(None), CLOCK, (Result.UNDETERMINED, "expiry.unreadable")),
        (reading(EXPIRED, read=Result.UNDETERMINED), CLOCK, (Result.UNDETERMINED, "expiry.unreadable")),
        (reading(EXPIRED.replace("F1204159", "F1204151")), CLOCK, (Result.UNDETERMINED, "expiry.unreadable")),
        (
            reading("IDFRABERTHIER<<<<<<<<<<<<<<<<<<<<<<<\n9409923102854CORINNE<<<<<<<6512068F4"),
            CLOCK,
            (Result.UNDETERMINED, "expiry.no_expiry_date"),
        ),
    ],
)
def test_expiry(side: Any, clock: ClockReading, expected: tuple[Result, str | None]) -> None:
    certain = side.checks[1].result is Result.SUCCESSFUL
    assert code(expiry_check(side.mrz, clock, certain=certain)) == expected


def test_a_document_is_valid_on_its_last_day() -> None:
    last = ClockReading(CLOCK.now, trusted=True, today=date(2031, 4, 15))
    after = ClockReading(CLOCK.now, trusted=True, today=date(2031, 4, 16))
    assert code(expiry_check(reading(VALID).mrz, last, certain=True)) == (Result.SUCCESSFUL, None)
    assert code(expiry_check(reading(VALID).mrz, after, certain=True)) == (Result.FAILED, "expiry.expired")


def test_a_lost_clock_is_said_in_every_envelope() -> None:
    judgement = judged(reading(VALID), clock=LOST)
    assert {draft.clock for draft in judgement.drafts} == {"not_trusted"}
    assert judgement.verdict.result is Result.UNDETERMINED


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], Result.UNDETERMINED),
        ([Result.SUCCESSFUL], Result.SUCCESSFUL),
        ([Result.SUCCESSFUL, Result.UNDETERMINED], Result.UNDETERMINED),
        ([Result.SUCCESSFUL, Result.NOT_SUPPORTED], Result.UNDETERMINED),
        ([Result.UNDETERMINED, Result.ABORTED], Result.ABORTED),
        ([Result.ABORTED, Result.FAILED], Result.FAILED),
    ],
)
def test_the_overall_result_follows_from_the_mandatory_checks(
    results: list[Result], expected: Result
) -> None:
    mandatory = [JudgedCheck("chip", CheckClass.MANDATORY, result) for result in results]
    rest = [
        JudgedCheck("expiry", CheckClass.OPTIONAL, Result.FAILED),
        JudgedCheck("registry", CheckClass.EVALUATORY, Result.FAILED),
    ]
    assert overall([*mandatory, *rest]) is expected


def test_a_mandatory_check_that_was_never_run_is_undetermined() -> None:
    verdict = judge("bank", Kind.LIVE, {"chip": CheckClass.MANDATORY}, [Check("expiry", Result.SUCCESSFUL)])
    assert verdict.result is Result.UNDETERMINED
    assert [reason.code for reason in verdict.reasons] == ["check.not_run"]

"""An ID card judged: it counts in every scene as a page does, and its claims are de-identified like a page's."""

from __future__ import annotations

from typing import Any

import pytest

from edged.core.card_numbers import check_character
from edged.core.id_card import IdCardKind, parse_id_card
from edged.core.id_card_text import LAYOUTS
from edged.events import ChipRead, IdCardRead
from edged.judging import on_id_card
from edged.side import ReadDocument
from edged.verdict import CheckClass, Reason, Result
from tests.test_judging import CLOCK, LOST, code, judged

PERMANENT_RESIDENT = {
    "chinese_name": "穆罕默德",
    "english_name_1": "SPECIMEN, SALEM",
    "sex": "1",
    "birth_date": "19850101",
    "document_number": "932682198501010017",
    "issue_date": "20240101",
    "expiry_date": "20340101",
    "nationality": "SAU",
    "issue_count": "01",
}
FLAGS = {IdCardKind.CITIZEN: " ", IdCardKind.PERMANENT_RESIDENT_2023: "Y", IdCardKind.RESIDENCE_PERMIT: "J"}


def card(kind: IdCardKind = IdCardKind.PERMANENT_RESIDENT_2023, **changes: str) -> IdCardRead:
    fields = {**PERMANENT_RESIDENT, **changes}
    text = bytearray(" ".encode("utf-16-le") * 128)
    text[248:250] = FLAGS[kind].encode("utf-16-le")
    for name, field in LAYOUTS[kind].items():
        value = fields.get(name, fields.get(f"{name}_1", "")).encode("utf-16-le")
        text[field.start : field.start + len(value)] = value
    return IdCardRead(parse_id_card(text, bytes(1024), today=CLOCK.today))


def of_card(read: IdCardRead, **more: Any) -> Any:
    return judged(card=read, **more)


def test_a_five_star_card_is_successful_and_told_like_a_passport() -> None:
    judgement = of_card(card())
    assert judgement.verdict.result is Result.SUCCESSFUL
    results = {check.name: (check.check_class, check.result) for check in judgement.verdict.checks}
    for name in ("id_card_read", "id_card_number", "id_card_fields", "expiry"):
        assert results[name] == (CheckClass.MANDATORY, Result.SUCCESSFUL)
    assert results["optical_security"][1] is Result.NOT_SUPPORTED
    assert "mrz_read" not in results
    bank = next(draft for draft in judgement.drafts if draft.audience == "first-bank")
    assert (bank.document.document_class, bank.document.format) == ("permit", "permanent_resident_card_2023")
    assert bank.claims["nationality"] == "SAU"
    assert bank.claims["birth_date"] == "1985"
    assert bank.claims["expiry_date"] == "2034-01"
    told = str(bank)
    assert not [
        raw for raw in ("932682198501010017", "SALEM", "SPECIMEN", "穆罕默德", "19850101") if raw in told
    ]


@pytest.mark.parametrize(
    ("changes", "check", "result"),
    [
        ({"document_number": "932682198501010018"}, "id_card_number", Result.FAILED),
        ({"issue_date": "20150101", "expiry_date": "20250101"}, "expiry", Result.FAILED),
        ({"birth_date": "19851301"}, "id_card_fields", Result.FAILED),
    ],
)
def test_what_is_wrong_with_a_card_fails_it(changes: dict[str, str], check: str, result: Result) -> None:
    verdict = of_card(card(**changes)).verdict
    assert verdict.result is Result.FAILED
    assert {one.name: one.result for one in verdict.checks}[check] is result


def test_a_card_that_never_expires_is_valid() -> None:
    citizen = card(
        IdCardKind.CITIZEN, document_number="11010519491231002X", birth_date="19491231", sex="2", nation="01",
        expiry_date="长期", issue_date="20100101", address="x", authority="x",
    )  # fmt: skip
    verdict = of_card(citizen).verdict
    assert code(next(check for check in verdict.checks if check.name == "expiry")) == (
        Result.SUCCESSFUL,
        None,
    )


def test_a_card_that_is_not_genuine_fails_and_tells_nothing_of_itself() -> None:
    judgement = of_card(IdCardRead(None, Reason("idcard.card_not_genuine")))
    assert judgement.verdict.result is Result.FAILED
    assert [reason.code for reason in judgement.verdict.reasons][0] == "idcard.card_not_genuine"
    assert all(draft.document.format is None for draft in judgement.drafts)
    assert {
        value for draft in judgement.drafts for name, value in draft.claims.items() if name != "withheld"
    } == {None}


def test_what_a_scene_demands_of_a_page_it_demands_of_a_card() -> None:
    classes = on_id_card({
        "document_detected": CheckClass.MANDATORY, "mrz_read": CheckClass.OPTIONAL, "mrz_fields": CheckClass.OPTIONAL,
        "expiry": CheckClass.MANDATORY,
    })  # fmt: skip
    assert classes == {
        "id_card_read": CheckClass.MANDATORY, "id_card_fields": CheckClass.OPTIONAL, "expiry": CheckClass.MANDATORY,
    }  # fmt: skip


def test_a_document_holds_a_card_or_sides() -> None:
    read = card()
    document = ReadDocument((), ChipRead(None), read)
    assert document.card is read
    assert "932682" not in repr(document)


def test_a_birth_in_the_future_is_only_as_good_as_the_clock() -> None:
    tomorrow = card(birth_date="20270101", document_number=numbered("93268220270101001"))
    for clock, result in ((CLOCK, Result.FAILED), (LOST, Result.UNDETERMINED)):
        verdict = of_card(tomorrow, clock=clock).verdict
        assert {one.name: one.result for one in verdict.checks}["id_card_fields"] is result
        assert [one.code for check in verdict.checks for one in check.reasons].count(
            "mrz.birth_in_future"
        ) == 1
    broken = card(birth_date="19851301")
    verdict = of_card(broken, clock=LOST).verdict
    assert {one.name: one.result for one in verdict.checks}["id_card_fields"] is Result.FAILED


def numbered(body: str) -> str:
    return body + check_character(body)

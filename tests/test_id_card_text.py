"""What an ID card's chip says, in four layouts: typed, judged, and behind the fence."""

from __future__ import annotations

import copy
import datetime
import pickle
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.core.card_numbers import check_character
from edged.core.id_card import IdCardKind, IdCardPhoto, IdCardReading, parse_id_card, unread_check
from edged.core.id_card_nations import NATIONS
from edged.core.id_card_text import LAYOUTS, TEXT_OCTETS
from edged.core.layouts import DocumentClass
from edged.emulator.id_cards import card_text, id_cards, noise
from edged.errors import DecodeError, IdentityLeakError
from edged.privacy.disclosing import disclose
from edged.privacy.policy import CEILING, Policy
from edged.privacy.pseudonym import Pseudonymiser
from edged.verdict import Reason, Result

TODAY = datetime.date(2026, 6, 15)
CARDS = id_cards()
CANADA = "911124198108030024"
FINE = Result.SUCCESSFUL


def read(name: str, *changes: tuple[int, str]) -> IdCardReading:
    """An emulated card, with other characters at these octets."""
    text = bytearray(CARDS[name].text)
    for octet, characters in changes:
        octets = characters.encode("utf-16-le", "surrogatepass")
        text[octet : octet + len(octets)] = octets
    return parse_id_card(text, CARDS[name].photo, today=TODAY)


def outcomes(reading: IdCardReading) -> tuple[Result, Result]:
    """Of the number and of the fields."""
    done, number, fields = reading.checks
    assert (done.name, done.result) == ("id_card_read", FINE)
    assert (number.name, fields.name) == ("id_card_number", "id_card_fields")
    return number.result, fields.result


def told(reading: IdCardReading) -> set[tuple[str, str]]:
    """Every reason with the field it is about."""
    return {(reason.code, reason.params["field"]) for check in reading.checks for reason in check.reasons}


@dataclass(frozen=True)
class Expected:
    kind: IdCardKind
    surname: str
    given_names: str
    chinese_name: str | None
    number: str
    nationality: str
    sex: str
    birth: datetime.date
    expiry: datetime.date | None
    document_class: DocumentClass = DocumentClass.PERMIT


EXPECTED = {
    "citizen": Expected(
        IdCardKind.CITIZEN, "证件样本", "", "证件样本", "11010519491231002X", "CHN", "F",
        datetime.date(1949, 12, 31), None, DocumentClass.IDENTITY_CARD),
    "permit-hong-kong": Expected(
        IdCardKind.RESIDENCE_PERMIT, "证件样本", "", "证件样本", "810000199408230021", "CHN", "F",
        datetime.date(1994, 8, 23), datetime.date(2029, 5, 1)),
    "permit-taiwan": Expected(
        IdCardKind.RESIDENCE_PERMIT, "证件样本", "", "证件样本", "830000199201300022", "CHN", "F",
        datetime.date(1992, 1, 30), datetime.date(2029, 5, 1)),
    "resident-2017": Expected(
        IdCardKind.PERMANENT_RESIDENT_2017, "ZHENGJIAN", "YANGBEN", "证件样本", "CAN110081080310", "CAN", "F",
        datetime.date(1981, 8, 3), datetime.date(2029, 6, 9)),
    "resident-2023": Expected(
        IdCardKind.PERMANENT_RESIDENT_2023, "ZHENGJIAN", "YANGBEN", "证件样本", CANADA, "CAN", "F",
        datetime.date(1981, 8, 3), datetime.date(2034, 1, 4)),
    "resident-2023-saudi": Expected(
        IdCardKind.PERMANENT_RESIDENT_2023, "SPECIMEN", "HOLDER OF THE CARD", None, "932682198501010017", "SAU", "M",
        datetime.date(1985, 1, 1), datetime.date(2034, 1, 4)),
    "resident-2023-long-name": Expected(
        IdCardKind.PERMANENT_RESIDENT_2023, "SPECIMEN HOLDER OF A LONG NAME", "WITH SEVERAL", "样本",
        "931586198001010028", "PAK", "F", datetime.date(1980, 1, 1), datetime.date(2034, 1, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_every_field_of_every_layout(name: str) -> None:
    reading, expected = read(name), EXPECTED[name]
    data = reading.data
    assert data.birth_date is not None
    found = Expected(
        reading.kind,
        data.surname.reveal(),
        data.given_names.reveal(),
        None if data.chinese_name is None else data.chinese_name.reveal(),
        data.document_number.reveal(),
        data.nationality.reveal(),
        data.sex.reveal(),
        data.birth_date.date or datetime.date.min,
        None if data.expiry_date is None else data.expiry_date.date,
        data.document_class,
    )
    assert found == expected
    assert (data.document_code, data.issuing_state) == ("I", "CHN")
    assert outcomes(reading) == (FINE, FINE)
    assert told(reading) == set()
    assert bytes(data.photo.reveal()) == CARDS[name].photo


def test_what_only_some_layouts_have() -> None:
    citizen = read("citizen").data
    assert citizen.nation.reveal() == "汉"
    assert citizen.address.reveal() == "北京市朝阳区样本路1号"
    assert citizen.authority.reveal() == "北京市公安局朝阳分局"
    permit = read("permit-hong-kong").data
    assert permit.permit_number.reveal() == "H00000000"
    assert permit.issue_count.reveal() == "01"
    assert permit.nation.reveal() == ""
    assert read("resident-2017").data.authority.reveal() == "1100"


def test_a_card_for_ever_has_no_day_of_expiry_and_says_so() -> None:
    data = read("citizen").data
    assert data.never_expires
    assert data.expiry_date is None
    dated = read("citizen-expired").data
    assert not dated.never_expires
    assert dated.expiry_date is not None
    assert dated.expiry_date.date == datetime.date(2025, 3, 1)
    empty = read("citizen", (204, " " * 8))
    assert not empty.data.never_expires
    assert ("idcard.field_empty", "expiry_date") in told(empty)


def test_the_layouts_fill_the_text_and_do_not_overlap() -> None:
    for fields in LAYOUTS.values():
        octets = [octet for one in fields.values() for octet in range(one.start, one.start + one.octets)]
        assert len(octets) == len(set(octets))
        assert not {248, 249} & set(octets)
        assert max(octets) < TEXT_OCTETS


def test_nation_codes() -> None:
    assert len(NATIONS) == 58
    listed = {"01": "汉", "05": "维吾尔", "23": "高山", "42": "怒", "56": "基诺", "97": "其他"}
    assert listed.items() <= NATIONS.items()


# --- the number -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "earlier"),
    [
        ("resident-2023", "CAN110081080310"),
        ("resident-2023-long-name", "PAK310080010103"),
        ("resident-2023-saudi", None),
        ("resident-2017", None),
        ("citizen", None),
    ],
)
def test_the_earlier_number_follows_from_the_link(name: str, earlier: str | None) -> None:
    found = read(name).data.earlier_number
    assert (None if found is None else found.reveal()) == earlier


def test_a_link_that_leads_nowhere_warns() -> None:
    reading = read("resident-2023", (250, "0A1"))
    assert reading.data.earlier_number is None
    assert told(reading) == {("idcard.link_unusable", "link")}
    assert outcomes(reading) == (FINE, FINE)


@pytest.mark.parametrize(
    ("name", "changes", "number", "fields", "reasons"),
    [
        ("resident-2023-wrong-number", (), "failed", "successful", {("mrz.check_digit_wrong", "document_number")}),
        ("resident-2017", ((150, "1"),), "failed", "successful", {("mrz.check_digit_wrong", "document_number")}),
        ("resident-2023-contradiction", (), "failed", "successful", {("idcard.number_contradicts", "birth_date")}),
        ("resident-2017", ((220, "19810804"),), "failed", "successful", {("idcard.number_contradicts", "birth_date")}),
        # The card of 2017 prints two digits of the year, so the number can't contradict the century.
        ("resident-2017", ((220, "18810803"),), "successful", "successful", set()),
        ("citizen", ((30, "1"),), "failed", "successful", {("idcard.number_contradicts", "sex")}),
        ("resident-2023", ((30, "1"),), "undetermined", "successful", {("idcard.number_differs", "sex")}),
        ("resident-2023", ((242, "FRA"),), "undetermined", "successful", {("idcard.number_differs", "nationality")}),
        ("resident-2017", ((152, "FRA"),), "undetermined", "successful", {("idcard.number_differs", "nationality")}),
        ("citizen", ((30, "9"),), "successful", "successful", set()),
        ("citizen", ((122, CANADA),), "failed", "successful", {("idcard.number_of_another_card", "document_number")}),
        ("permit-taiwan", ((122, "11010519491231002X"),), "failed", "successful",
         {("idcard.number_of_another_card", "document_number")}),
        ("citizen", ((122, " " * 18),), "failed", "failed",
         {("idcard.number_malformed", "document_number"), ("idcard.field_empty", "document_number")}),
        ("citizen", ((122, "１"),), "failed", "successful", {("idcard.number_malformed", "document_number")}),
        ("permit-hong-kong", ((220, "M00000000"),), "successful", "successful",
         {("idcard.unusual_permit_number", "permit_number")}),
    ],
)  # fmt: skip
def test_what_the_number_says_twice(
    name: str,
    changes: tuple[tuple[int, str], ...],
    number: str,
    fields: str,
    reasons: set[tuple[str, str]],
) -> None:
    reading = read(name, *changes)
    assert outcomes(reading) == (number, fields)
    assert told(reading) == reasons


def test_a_province_nobody_knows_warns() -> None:
    body = "49010519491231002"
    reading = read("citizen", (122, body + check_character(body)))
    assert outcomes(reading) == (FINE, FINE)
    assert told(reading) == {("card.unknown_division", "division")}


@given(
    digits=st.text("0123456789", min_size=16, max_size=16), place=st.integers(1, 16), more=st.integers(1, 9)
)
@settings(max_examples=200, deadline=None)
def test_one_wrong_digit_is_always_noticed(digits: str, place: int, more: int) -> None:
    """MOD 11-2 finds every single error."""
    body = "4" + digits
    changed = body[:place] + str((int(body[place]) + more) % 10) + body[place + 1 :]
    right, wrong = (read("citizen", (122, one + check_character(body))).data for one in (body, changed))
    assert right.check_digits[0].result is FINE
    assert wrong.check_digits[0].result is Result.FAILED


# --- fields -----------------------------------------------------------------------------------------------------


BAD_NAME = {("mrz.field_characters", "chinese_name"), ("mrz.field_characters", "name")}


@pytest.mark.parametrize(
    ("name", "change", "result", "reasons"),
    [
        ("citizen", (30, "3"), "failed", {("idcard.unknown_sex", "sex")}),
        ("citizen", (32, "99"), "successful", {("idcard.unknown_nation", "nation")}),
        ("resident-2023", (242, "XQX"), "successful",
         {("mrz.unknown_country", "nationality"), ("idcard.number_differs", "nationality")}),
        ("citizen", (0, "证\x07"), "failed", BAD_NAME),
        ("citizen", (0, "\ud840"), "failed", BAD_NAME),
        ("citizen", (0, "\ue863"), "successful", set()),
        ("citizen", (0, "𠀀样"), "successful", set()),
        ("citizen", (0, "样" * 15), "successful", {("idcard.name_may_go_on", "name")}),
        ("resident-2023", (36, "1981080 "), "failed", {("mrz.date_malformed", "birth_date")}),
        ("resident-2023", (36, "٣" * 8), "failed", {("mrz.date_malformed", "birth_date")}),
        ("citizen-expired", (204, "20250230"), "failed", {("mrz.date_impossible", "expiry_date")}),
        ("citizen-expired", (204, "19990101"), "failed", {("idcard.dates_out_of_order", "expiry_date")}),
        ("resident-2023", (204, "长期".ljust(8)), "failed", {("mrz.date_malformed", "expiry_date")}),
        ("permit-taiwan", (204, "长期".ljust(8)), "failed", {("mrz.date_malformed", "expiry_date")}),
        ("citizen", (188, "19400101"), "failed", {("idcard.dates_out_of_order", "issue_date")}),
        ("citizen", (52, " " * 35), "failed", {("idcard.field_empty", "address")}),
        ("resident-2023", (0, "    "), "successful", set()),
        ("citizen", (0, "\0" * 15), "failed", {("idcard.field_empty", "chinese_name"), ("idcard.field_empty", "name")}),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_field(
    name: str, change: tuple[int, str], result: str, reasons: set[tuple[str, str]]
) -> None:
    reading = read(name, change)
    assert reading.checks[2].result == result
    assert told(reading) == reasons


def test_a_birth_that_is_still_to_come() -> None:
    text = card_text((0, "样本"), (36, "20270101"), (122, "11010520270101002X"))
    reading = parse_id_card(text, b"", today=TODAY)
    assert ("mrz.birth_in_future", "birth_date") in told(reading)


def test_an_english_name_is_joined_where_the_layout_breaks_it() -> None:
    name = "ABCDEFGHIJKLMNOPQRSTUVWXYZ ABCDEFG, XYZ UVW"
    assert name[34] == ","
    reading = read("resident-2023", (52, name[:35]), (220, name[35:].ljust(11)))
    assert reading.data.surname.reveal() == "ABCDEFGHIJKLMNOPQRSTUVWXYZ ABCDEFG"
    assert reading.data.given_names.reveal() == "XYZ UVW"
    broken_at_a_space = "ABCDEFGHIJKLMNOPQRSTUVWXYZ, ABCDEF GHI"
    assert broken_at_a_space[34] == " "
    reading = read("resident-2023", (52, broken_at_a_space[:35]), (220, broken_at_a_space[35:].ljust(11)))
    assert reading.data.given_names.reveal() == "ABCDEF GHI"
    whole = "A" * 46
    reading = read("resident-2023", (52, whole[:35]), (220, whole[35:]))
    assert reading.data.surname.reveal() == whole, "nothing parts it"
    assert told(reading) == {("idcard.name_may_go_on", "name")}


def test_the_additional_address() -> None:
    more = CARDS["citizen"].additional_address
    assert more is not None
    reading = parse_id_card(CARDS["citizen"].text, b"", today=TODAY, additional_address=more + b"\x41")
    assert reading.data.additional_address.reveal() == "北京市海淀区样本街2号"


@pytest.mark.parametrize("blank", [" ", "\0", "\u3000"])
def test_an_additional_address_of_blanks_is_none(blank: str) -> None:
    """A card whose holder never moved may have room for one: it is as good as any other."""
    reading = parse_id_card(
        CARDS["citizen"].text, b"", today=TODAY, additional_address=(blank * 140).encode("utf-16-le")
    )
    assert reading.data.additional_address.reveal() == ""
    assert reading.checks[2].result is FINE


@pytest.mark.parametrize("octets", [0, 255, 257, 1024])
def test_text_of_another_length_is_none(octets: int) -> None:
    with pytest.raises(DecodeError) as refused:
        parse_id_card(bytes(octets), b"", today=TODAY)
    assert refused.value.code == "idcard.text_length"


@pytest.mark.parametrize("flag", ["X", "i", "1", "\ud800"])
def test_a_card_of_the_future_is_not_taken_for_one_of_today(flag: str) -> None:
    text = bytearray(CARDS["citizen"].text)
    text[248:250] = flag.encode("utf-16-le", "surrogatepass")
    with pytest.raises(DecodeError) as refused:
        parse_id_card(text, b"", today=TODAY)
    assert refused.value.code == "idcard.unknown_kind"


@given(text=st.binary(min_size=250, max_size=262), flag=st.sampled_from(" IJY"))
@settings(max_examples=300, deadline=None)
def test_any_octets_are_a_reading_or_a_coded_error(text: bytes, flag: str) -> None:
    flagged = text[:248] + flag.encode("utf-16-le") + text[250:]
    for octets in (text, flagged):
        try:
            reading = parse_id_card(octets, text, today=TODAY)
        except DecodeError as error:
            assert error.code in {"idcard.text_length", "idcard.unknown_kind"}
        else:
            assert len(octets) == TEXT_OCTETS
            assert len(reading.checks) == 3
            if not reading.data.document_number.reveal().isascii():
                assert reading.checks[1].result is Result.FAILED


# --- the fence --------------------------------------------------------------------------------------------------


def test_nothing_of_a_card_gets_out_by_accident() -> None:
    reading = read("resident-2023")
    for held in (reading, reading.data, reading.data.photo, reading.data.surname):
        assert "ZHENGJIAN" not in repr(held)
        assert CANADA not in repr(held)
        for way in (str, bytes, pickle.dumps, copy.copy, copy.deepcopy, "{}".format):
            with pytest.raises((IdentityLeakError, TypeError)):
                way(held)  # type: ignore[operator]


def test_the_photo_is_overwritten() -> None:
    photo = IdCardPhoto(noise("x"))
    octets = photo.reveal()
    photo.forget()
    assert bytes(octets) == bytes(1024)
    reading = read("citizen")
    seen = reading.data.photo.reveal()
    del reading
    assert bytes(seen) == bytes(1024), "and at the latest when nobody refers to it"


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("idcard.card_not_genuine", "failed"),
        ("idcard.data_not_genuine", "failed"),
        ("idcard.card_unreadable", "undetermined"),
        ("idcard.no_card", "undetermined"),
        ("idcard.mute", "undetermined"),
    ],
)
def test_why_a_card_was_not_read(code: str, result: str) -> None:
    check = unread_check(Reason(code))
    assert (check.name, check.result, check.reasons) == ("id_card_read", result, (Reason(code),))


# --- what recipients may learn ----------------------------------------------------------------------------------

EVERYTHING = Policy({claim: action for claim, action in CEILING.items() if action is not None})
PSEUDONYMS = Pseudonymiser(bytes(range(32)), "box:bank")


def disclosed(reading: IdCardReading) -> dict[str, Any]:
    document: Any = reading.data
    return disclose(document, EVERYTHING, pseudonyms=PSEUDONYMS, today=TODAY)


def test_a_card_is_disclosed_as_a_page_is() -> None:
    claims = disclosed(read("resident-2023"))
    pseudonyms = {claims.pop("document"), claims.pop("holder")}
    assert len(pseudonyms) == 2
    assert claims == {
        "issuing_state": "CHN",
        "document_code": "I",
        "nationality": "CAN",
        "sex": "F",
        "age_over_18": True,
        "birth_date": "1981",
        "expiry_date": "2034-01",
        "surname": "Z*",
        "given_names": "Y*",
        "chinese_name": "证*",
        "document_number": "91**************24",
    }


def test_a_holder_is_recognised_from_the_old_card_to_the_new_one() -> None:
    old, new = disclosed(read("resident-2017")), disclosed(read("resident-2023"))
    assert old["holder"] == new["holder"]
    assert old["document"] != new["document"]


@pytest.mark.parametrize(
    ("name", "changes", "withheld"),
    [
        ("resident-2023-wrong-number", (), {"document_number": "claim.check_digit_wrong"}),
        ("resident-2023-contradiction", (), {"birth_date": "claim.not_plausible"}),
        ("citizen", ((30, "1"),), {"sex": "claim.not_plausible"}),
        (
            "citizen",
            ((0, "证\x07"),),
            {"surname": "claim.not_plausible", "chinese_name": "claim.not_plausible"},
        ),
        ("citizen", (), {"expiry_date": "claim.not_on_document", "given_names": "claim.not_on_document"}),
    ],
)
def test_what_is_contradicted_is_withheld(
    name: str, changes: tuple[tuple[int, str], ...], withheld: dict[str, str]
) -> None:
    claims = disclosed(read(name, *changes))
    assert withheld.items() <= claims["withheld"].items()
    assert all(claims[claim] is None for claim in withheld)

"""Card numbers by the published specimens, and by the weights of GB 11643 written out."""

from __future__ import annotations

import datetime
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged import messages
from edged.core.card_numbers import MAX_TEXT, CardKind, CardNumber, check_character, find_card_number
from edged.errors import DecodeError, IdentityLeakError
from edged.verdict import Result
from tests import mrz_oracle
from tests.mrz_specimens import TODAY

NEW, OLD = CardKind.PERMANENT_RESIDENT_2023, CardKind.PERMANENT_RESIDENT_2017
PERMIT, CITIZEN = CardKind.RESIDENCE_PERMIT, CardKind.CITIZEN

# number, kind, nationality, division, birth date, sequence, sex, origin
SPECIMENS = [
    ("932682198501010017", NEW, "SAU", "32", "1985-01-01", "001", "M", ""),
    ("911124198108030024", NEW, "CAN", "11", "1981-08-03", "002", "F", ""),
    ("931586198001010028", NEW, "PAK", "31", "1980-01-01", "002", "F", ""),
    ("CAN110081080310", OLD, "CAN", "1100", "1981-08-03", "1", "", ""),
    ("PAK310080010103", OLD, "PAK", "3100", "1980-01-01", "0", "", ""),
    ("KAZ110090123105", OLD, "KAZ", "1100", "1990-12-31", "0", "", ""),
    ("11010519491231002X", CITIZEN, "CHN", "110105", "1949-12-31", "002", "F", ""),
    ("810000199408230021", PERMIT, "CHN", "810000", "1994-08-23", "002", "F", "HKG"),
    ("830000199201300022", PERMIT, "CHN", "830000", "1992-01-30", "002", "F", "TWN"),
]
numbers = pytest.mark.parametrize("row", SPECIMENS, ids=lambda row: row[0])


def mod_11_2(body: str) -> str:
    """GB 11643's own table."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[sum(w * int(d) for w, d in zip(weights, body, strict=True)) % 11]


@numbers
def test_every_part_of_a_specimen(row: tuple) -> None:
    number, kind, nationality, division, born, sequence, sex, origin = row
    found = find_card_number(number)
    assert found.kind is kind
    assert found.number.reveal() == number
    assert found.check.name == "document_number"
    assert found.check.result is Result.SUCCESSFUL
    assert found.nationality.reveal() == nationality
    assert found.division.reveal() == division
    assert found.birth_date(TODAY).date == datetime.date.fromisoformat(born)
    assert found.sequence.reveal() == sequence
    assert found.sex.reveal() == sex
    assert found.origin.reveal() == origin
    assert {check.result for check in found.field_checks(TODAY)} == {Result.SUCCESSFUL}


@numbers
def test_every_wrong_digit_is_found(row: tuple) -> None:
    """Both rules find every single misread digit (letters of 7-3-1 may collide, ten apart)."""
    number = row[0]
    for at in range(4, len(number)):
        if not number[at].isdecimal():
            continue
        for digit in string.digits.replace(number[at], ""):
            found = find_card_number(number[:at] + digit + number[at + 1 :])
            assert found.check.result is Result.FAILED
            assert found.check.reason is not None
            assert found.check.reason.code == "mrz.check_digit_wrong"


@settings(derandomize=True)
@given(st.from_regex(r"[1-9][0-9]{16}", fullmatch=True))
def test_mod_11_2_as_the_standard_tabulates_it(body: str) -> None:
    assert check_character(body) == mod_11_2(body)
    found = find_card_number(body + mod_11_2(body).lower())
    assert found.check.result is Result.SUCCESSFUL
    assert found.number.reveal() == body + mod_11_2(body)


@settings(derandomize=True)
@given(st.from_regex(r"[A-Z]{3}[0-9]{11}", fullmatch=True))
def test_old_numbers_as_the_oracle_weighs_them(body: str) -> None:
    assert check_character(body) == mrz_oracle.check_digit(body)
    assert find_card_number(body + check_character(body)).kind is OLD


@pytest.mark.parametrize(
    "body", ["", "1", "CAN", "9" * 16, "9" * 18, "can11008108031", "１" * 17, "CAN1100810803X"]
)
def test_what_has_no_check_character(body: str) -> None:
    with pytest.raises(DecodeError) as caught:
        check_character(body)
    assert (caught.value.what, caught.value.code) == ("card", "card.no_number")


def test_old_and_new_numbers_of_one_holder() -> None:
    """The chip's 关联项 joins them; the published pair of a Pakistani specimen fits."""
    new = find_card_number("931586198001010028")
    earlier = new.earlier_number("000")
    assert earlier == find_card_number("PAK310080010103")
    assert earlier is not None
    assert earlier.check.result is Result.SUCCESSFUL
    assert new.earlier_number("0x0") is None
    assert new.earlier_number("") is None
    assert earlier.earlier_number("000") is None
    unknown = "931999198001010028"
    assert find_card_number(unknown).earlier_number("000") is None


def test_an_old_number_takes_its_century_from_the_clock() -> None:
    number = find_card_number("CAN110026080310")
    assert number.birth_date(datetime.date(2026, 8, 3)).year == 2026
    assert number.birth_date(datetime.date(2026, 8, 2)).year == 1926


@pytest.mark.parametrize(
    ("number", "field", "code", "result"),
    [
        ("999682198501010017", "division", "card.unknown_division", Result.UNDETERMINED),
        ("932999198501010017", "nationality", "mrz.unknown_country", Result.UNDETERMINED),
        ("QQQ110081080310", "nationality", "mrz.unknown_country", Result.UNDETERMINED),
        ("932682198502300017", "birth_date", "mrz.date_impossible", Result.FAILED),
        ("932682000001010017", "birth_date", "mrz.date_impossible", Result.FAILED),
        ("932682209901010017", "birth_date", "mrz.birth_in_future", Result.FAILED),
    ],
)
def test_odd_parts(number: str, field: str, code: str, result: Result) -> None:
    checks = {check.name: check for check in find_card_number(number).field_checks(TODAY)}
    assert checks[field].result is result
    assert checks[field].reason is not None
    assert checks[field].reason.code == code
    assert "{" not in messages.reason(checks[field].reason, "en")


@pytest.mark.parametrize(
    "text",
    [
        "证件号码 932682198501010017",
        "ID NO.: 932682198501010017\n有效期限",
        "号码932682198501010017。",
        "932682 19850101 0017",
        "No. 9 3 2 6 8 2 1 9 8 5 0 1 0 1 0 0 1 7",
        "932682198501010017 932682198501010017",
        "932682198501010018 or 932682198501010017",
        "19850101 932682198501010017 20330101",
        "2 932682 1985 0101 0017 5",
    ],
)
def test_a_number_among_words(text: str) -> None:
    assert find_card_number(text).number.reveal() == "932682198501010017"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "932682",
        "9326821985010100170",
        "A932682198501010017",
        "032682198501010017",
        "932682-19850101-0017",
        "９３２６８２１９８５０１０１００１７",
        "XCAN110081080310",
        "can110081080310",
        "P<UTOERIKSSON<<ANNA<MARIA",
        "9" * (MAX_TEXT + 1),
        "932682198501010017" + " " * MAX_TEXT,
    ],
)
def test_no_number(text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        find_card_number(text)
    assert (caught.value.what, caught.value.code) == ("card", "card.no_number")
    assert "9326" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "932682198501010017 CAN110081080310",
        "932682198501010018 932682198501010019",
    ],
)
def test_two_numbers_are_nobodys(text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        find_card_number(text)
    assert caught.value.code == "card.several_numbers"
    assert "9326" not in str(caught.value)


@settings(derandomize=True)
@given(st.one_of(st.text(max_size=200), st.text("0123456789 XCAN", max_size=MAX_TEXT)))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    try:
        found = find_card_number(text)
    except DecodeError as error:
        assert error.code in {"card.no_number", "card.several_numbers"}
        return
    assert found.number.reveal()[:-1] in text.replace(" ", "").upper()
    assert len(found.field_checks(TODAY)) == 3


def test_it_keeps_its_identity() -> None:
    found = find_card_number("932682198501010017")
    assert repr(found) == "<CardNumber: identity withheld>"
    assert not hasattr(found, "__dict__")
    with pytest.raises(IdentityLeakError):
        str(found)
    for name in CardNumber.__slots__:
        assert "932682" not in repr(getattr(found, name))
    assert found == find_card_number("932682198501010017")
    assert hash(found) == hash(find_card_number("932682198501010017"))
    assert found != find_card_number("911124198108030024")

"""The lodging form's entry rules, one by one: what comes out is what the form wants, or a rule is named."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged import messages
from edged.core.countries import known
from edged.lodging.form import BY_NAME, DOCUMENT_KINDS, FIELDS, NAME_WIDTH, needed
from edged.lodging.rules import MAX_TYPED, EntryError, entered, fitted_names


def put(name: str, text: str) -> str:
    return entered(BY_NAME[name], text)


def refused(name: str, text: str) -> str:
    with pytest.raises(EntryError) as told:
        put(name, text)
    assert str(told.value) == told.value.code
    for lang in messages.LANGUAGES:
        said = messages.text(told.value.code, lang, **told.value.params)
        assert len(text) < 4 or text not in said
        assert "…" not in said
    return told.value.code


@pytest.mark.parametrize(
    ("typed", "entered_as"),
    [
        ("Müller", "MUELLER"),
        ("mu\u0308ller", "MUELLER"),
        ("straße", "STRASSE"),
        ("Åse Øye", "AASE OEYE"),
        ("Núñez", "NUNEZ"),
        ("Þór", "THOR"),
        ("Đặng", "DANG"),
        ("Łukasz", "LUKASZ"),
        ("O\u2019Brien", "O'BRIEN"),
        ("Smith\u2013Jones", "SMITH-JONES"),
        ("  anna   maria ", "ANNA MARIA"),
        ("SMITH (formerly JONES)", "SMITH FORMERLY JONES"),
        ("PAK<CHOL", "PAK CHOL"),
        ("\uff26\uff2f\uff2f", "FOO"),
        ("St. John, Jr.", "ST. JOHN, JR."),
    ],
)
def test_english_names_are_entered_in_capitals_without_brackets_and_diacritics(
    typed: str, entered_as: str
) -> None:
    assert put("english_surname", typed) == entered_as


@pytest.mark.parametrize(
    "typed", ["", "  ", "张三", "R2D2", "...", "A\nB\x00C", "-ANNA", "ANNA?", "Иван", "()"]
)
def test_what_is_no_latin_name_is_refused(typed: str) -> None:
    assert refused("english_surname", typed) == "lodging.not_latin"


def test_one_name_alone_is_the_surname() -> None:
    assert fitted_names("", "SUKARNO") == ("SUKARNO", "")
    assert fitted_names("SUKARNO", "") == ("SUKARNO", "")


def test_names_as_wide_as_their_columns_stay() -> None:
    assert fitted_names("A" * NAME_WIDTH, "B" * NAME_WIDTH) == ("A" * NAME_WIDTH, "B" * NAME_WIDTH)


def test_given_names_too_long_for_their_column_end_in_a_question_mark() -> None:
    surname, given_names = fitted_names("LEE", "B" * (NAME_WIDTH + 1))
    assert (surname, given_names) == ("LEE", "B" * (NAME_WIDTH - 1) + "?")


def test_a_surname_too_long_runs_on_before_the_given_names() -> None:
    surname, given_names = fitted_names("A" * 70, "BOB")
    assert (surname, given_names) == ("A" * 60, "A" * 10 + " BOB")
    assert fitted_names("A" * 130, "BOB") == ("A" * 60, "A" * 59 + "?")


@pytest.mark.parametrize(
    ("typed", "entered_as"),
    [
        ("张 三", "张三"),
        ("阿布力.买买提", "阿布力·买买提"),
        ("阿布力・买买提", "阿布力·买买提"),
        ("（王）五", "王五"),
        ("㐀", "㐀"),
        ("𠮷田", "𠮷田"),
    ],
)
def test_chinese_names_are_characters_and_a_dot(typed: str, entered_as: str) -> None:
    assert put("chinese_name", typed) == entered_as


@pytest.mark.parametrize("typed", ["", "ZHANG", "张San", "·张", "张·", "张3", "たなか"])
def test_what_is_no_chinese_name_is_refused(typed: str) -> None:
    assert refused("chinese_name", typed) == "lodging.not_chinese"


@pytest.mark.parametrize(
    ("typed", "entered_as"), [("m", "M"), ("女", "F"), ("Male", "M"), ("x", "X"), ("Ｆ", "F")]
)
def test_sex(typed: str, entered_as: str) -> None:
    assert put("sex", typed) == entered_as
    assert refused("sex", "Q") == "lodging.not_a_sex"


@pytest.mark.parametrize(
    ("typed", "entered_as"), [("deu", "DEU"), ("D", "DEU"), ("D<<", "DEU"), ("HKG", "HKG")]
)
def test_country(typed: str, entered_as: str) -> None:
    assert put("country", typed) == entered_as


@pytest.mark.parametrize("typed", ["", "Germany", "QQQ", "DE", "中国"])
def test_countries_are_known_codes_of_three_letters(typed: str) -> None:
    assert refused("country", typed) == "lodging.not_a_country"


def test_document_kinds_are_listed_to_whoever_types_another() -> None:
    for kind in DOCUMENT_KINDS:
        assert put("document_kind", kind.upper().replace("_", "-")) == kind
    with pytest.raises(EntryError) as told:
        put("document_kind", "library card")
    assert set(told.value.params["known"].split(", ")) == set(DOCUMENT_KINDS)


@pytest.mark.parametrize(
    ("typed", "entered_as"), [("e 1234<5678", "E12345678"), ("(A)123456", "A123456"), ("12/34-5", "12/34-5")]
)
def test_numbers_lose_spaces_fillers_and_brackets(typed: str, entered_as: str) -> None:
    assert put("document_number", typed) == entered_as


@pytest.mark.parametrize(
    ("typed", "code"), [("", "not_a_number"), ("12#4", "not_a_number"), ("1" * 31, "too_long")]
)
def test_what_is_no_number_is_refused(typed: str, code: str) -> None:
    assert refused("document_number", typed) == f"lodging.{code}"


@pytest.mark.parametrize("typed", ["2026-08-01", "20260801", "2026/08/01", "2026.08.01", " 2026-08-01 "])
def test_days_are_entered_in_one_way(typed: str) -> None:
    assert put("arrival_date", typed) == "2026-08-01"


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        *(
            ("1/8/2026", "not_a_date"),
            ("01-08-26", "not_a_date"),
            ("tomorrow", "not_a_date"),
            ("", "not_a_date"),
        ),
        *(("2026-02-29", "no_such_day"), ("2026-13-01", "no_such_day"), ("0000-01-01", "no_such_day")),
        ("\u0662\u0660\u0662\u0666-08-01", "not_a_date"),
    ],
)
def test_what_is_no_day_is_refused(typed: str, code: str) -> None:
    assert refused("arrival_date", typed) == f"lodging.{code}"


def test_a_birth_may_be_known_to_the_year_or_month_alone() -> None:
    assert put("birth_date", "1974") == "1974"
    assert put("birth_date", "1974-08") == "1974-08"
    assert refused("birth_date", "1974-13") == "lodging.no_such_day"
    assert refused("arrival_date", "2025-11") == "lodging.not_a_date"


def test_free_text_is_one_line_of_capitals_and_no_longer_than_its_column() -> None:
    assert put("room", " 12-b (east) ") == "12-B EAST"
    assert put("entry_port", "上海浦东机场") == "上海浦东机场"
    assert refused("room", "1" * 21) == "lodging.too_long"
    assert refused("room", "--") == "lodging.not_text"
    assert refused("room", "1\x002") == "lodging.not_text"


def test_columns_of_the_police_forms_are_as_wide_as_they_were_seen() -> None:
    widths = {name: BY_NAME[name].width for name in ("english_surname", "english_given_names", "visa_number")}
    assert widths == {"english_surname": 60, "english_given_names": 60, "visa_number": 20}


def test_chinese_names_are_mandatory_for_hong_kong_macau_taiwan_and_overseas_chinese() -> None:
    wanted = {kind for kind in DOCUMENT_KINDS if "chinese_name" in needed(kind)}
    assert wanted == {
        *("overseas_chinese_passport", "hk_macau_permit", "taiwan_permit"),
        "hk_macau_taiwan_residence_permit",
    }


def test_a_document_that_nobody_knows_needs_what_a_passport_needs() -> None:
    assert needed(None) == needed("foreign_passport")
    assert {"visa_kind", "stay_until", "entry_date", "entry_port"} <= set(needed(None))
    assert not {"visa_kind", "stay_until", "entry_date"} & set(needed("permanent_resident_card"))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(FIELDS), st.text(max_size=MAX_TYPED + 20))
def test_whatever_is_typed_is_entered_once_and_for_all_or_refused(field: object, text: str) -> None:
    assert any(field == one for one in FIELDS)
    try:
        value = entered(field, text)  # type: ignore[arg-type]
    except EntryError as error:
        assert messages.known(error.code)
        assert str(error) == error.code, "nothing but the code: what was typed may happen to be a part of it"
        return
    assert entered(field, value) == value  # type: ignore[arg-type]
    assert value.isprintable()
    assert not set(value) & set("()[]<>（）")
    assert value == value.strip()


@given(
    st.text(st.sampled_from("AB -'"), max_size=150).map(lambda text: " ".join(text.split())),
    st.text(st.sampled_from("CD -'"), max_size=150).map(lambda text: " ".join(text.split())),
)
def test_names_always_fit_and_say_when_something_was_cut(surname: str, given_names: str) -> None:
    first, second = fitted_names(surname, given_names)
    assert len(first) <= NAME_WIDTH
    assert len(second) <= NAME_WIDTH
    assert first or not (surname or given_names)
    letters = (surname + given_names).replace(" ", "")
    kept = (first + second).replace(" ", "")
    assert kept == letters or (kept.endswith("?") and letters.startswith(kept[:-1]))
    assert fitted_names(first, second) == (first, second)


@given(st.dates(min_value=date(1, 1, 1)))
def test_every_day_that_exists_can_be_entered(day: date) -> None:
    assert put("arrival_date", day.isoformat()) == day.isoformat()


@given(st.text(max_size=6))
def test_no_unknown_country_is_ever_entered(text: str) -> None:
    try:
        assert known(put("country", text))
    except EntryError as error:
        assert error.code == "lodging.not_a_country"

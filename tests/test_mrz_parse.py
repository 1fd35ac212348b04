"""The rules of Doc 9303 and of the issuers who bend them; whatever isn't an MRZ is a DecodeError."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.core.layouts import DocumentClass, MrzFormat, alphabet, classify
from edged.core.mrz import FieldCheck, Mrz, Region, check_digit, format_mrz, parse_mrz
from edged.errors import DecodeError
from edged.verdict import Result
from tests.mrz_oracle import ALPHABET
from tests.mrz_specimens import SPECIMENS, TODAY, specimen

ERIKSSON = {
    "document_code": "P",
    "issuing_state": "UTO",
    "surname": "ERIKSSON",
    "given_names": "ANNA MARIA",
    "document_number": "L898902C3",
    "nationality": "UTO",
    "birth_date": "740812",
    "sex": "F",
    "expiry_date": "320415",
    "optional_data": "ZE184226B",
}
TD1 = {**ERIKSSON, "document_code": "I", "optional_data": "", "optional_data_2": ""}


def made(format_: MrzFormat, base: dict[str, str] | None = None, /, **changes: str) -> Mrz:
    return parse_mrz(format_mrz(format_, {**(base or ERIKSSON), **changes}), today=TODAY)


def outcome(checks: tuple[FieldCheck, ...], name: str) -> tuple[Result, str | None]:
    (check,) = [check for check in checks if check.name == name]
    return check.result, check.reason and check.reason.code


FINE = (Result.SUCCESSFUL, None)


def with_character(lines: list[str], line: int, column: int, character: str) -> list[str]:
    lines[line] = lines[line][:column] + character + lines[line][column + 1 :]
    return lines


class TestWhatIsNoMrz:
    @pytest.mark.parametrize(
        "lines",
        [
            [],
            [""],
            "",
            "\n",
            ["P<UTO"],
            ["<" * 30],
            ["A" * 30],
            ["<" * 44],
            ["<" * 44] * 3,
            ["<" * 30] * 2,
            ["<" * 36] * 3,
            ["<" * 43, "<" * 45],
            ["<" * 45, "<" * 45],
            ["<" * 88],
            ["<" * 30] * 4,
            ["<" * 30] * 1000,
            "A" * 10_000_000,
            "\n" * 50 + "A" * 44,
        ],
    )
    def test_unknown_format(self, lines: list[str] | str) -> None:
        with pytest.raises(DecodeError) as caught:
            parse_mrz(lines, today=TODAY)
        assert (caught.value.what, caught.value.code) == ("mrz", "mrz.unknown_format")

    @pytest.mark.parametrize(
        "lines", [["D1FRA13AA000026181231MARTIN<<9"], ["AAA001D<<", "FACHE" + "<" * 25, "<" * 30]]
    )
    def test_driving_licences_are_refused_politely(self, lines: list[str]) -> None:
        for refuse in (lambda: parse_mrz(lines, today=TODAY), lambda: classify(lines)):
            with pytest.raises(DecodeError) as caught:
                refuse()
            assert caught.value.code == "mrz.driving_licence"

    @pytest.mark.parametrize("bad", ["a", " ", "Ü", "０", "\x00", "«", "-", "\ud800", "😀"])
    def test_bad_character(self, bad: str) -> None:
        for line, column in ((0, 7), (1, 43)):
            with pytest.raises(DecodeError) as caught:
                parse_mrz(with_character(specimen("TD3: UTO"), line, column, bad), today=TODAY)
            assert caught.value.code == "mrz.bad_character"
            assert caught.value.__context__ is None, "the cause would carry the text"

    def test_the_error_says_nothing_of_the_text(self) -> None:
        with pytest.raises(DecodeError) as caught:
            parse_mrz(with_character(specimen("TD3: UTO"), 0, 9, "é"), today=TODAY)
        assert "ERIK" not in str(caught.value) + repr(caught.value)

    @settings(max_examples=300)
    @given(st.one_of(st.text(max_size=120), st.lists(st.text(max_size=46), max_size=5)))
    def test_any_text_parses_or_is_refused(self, lines: str | list[str]) -> None:
        self.parse_or_refuse(lines)

    @settings(max_examples=300)
    @given(
        st.sampled_from([(2, 44), (2, 36), (3, 30), (1, 30)]).flatmap(
            lambda shape: st.lists(
                st.text(ALPHABET + "aé ", min_size=shape[1], max_size=shape[1]),
                min_size=shape[0],
                max_size=shape[0],
            )
        )
    )
    def test_any_text_of_the_right_shape_parses_or_is_refused(self, lines: list[str]) -> None:
        self.parse_or_refuse(lines)

    @settings(max_examples=300)
    @given(st.data())
    def test_any_damage_to_a_specimen_parses(self, data: st.DataObject) -> None:
        lines = list(data.draw(st.sampled_from(SPECIMENS))["lines"])
        for _ in range(data.draw(st.integers(1, 8))):
            line = data.draw(st.integers(0, len(lines) - 1))
            column = data.draw(st.integers(0, len(lines[0]) - 1))
            with_character(lines, line, column, data.draw(st.sampled_from(ALPHABET)))
        self.parse_or_refuse(lines)

    def parse_or_refuse(self, lines: str | list[str]) -> None:
        """Every property answers for whatever parses, and nothing but DecodeError is ever raised."""
        try:
            mrz = parse_mrz(lines, today=TODAY)
        except DecodeError as error:
            assert error.what == "mrz"
            return
        assert mrz.valid == (mrz.check_digits_ok and mrz.fields_ok)
        assert mrz.reasons or mrz.valid
        for name in dir(mrz):
            if not name.startswith("_") and name not in {"raw", "fields"}:
                getattr(mrz, name)
        assert all(isinstance(value, str) for value in mrz.fields().reveal().values())
        if mrz.birth_date is not None and mrz.birth_date.date is not None:
            assert mrz.birth_date.date <= TODAY


class TestCheckDigits:
    @pytest.mark.parametrize(
        ("text", "digit"), [("L898902C3", 6), ("740812", 2), (b"120415", 9), ("", 0), ("<<<", 0)]
    )
    def test_of_text_and_bytes(self, text: str | bytes, digit: int) -> None:
        assert check_digit(text) == digit

    @pytest.mark.parametrize("text", ["l898902c3", "É", b"\xff", " "])
    def test_of_anything_else(self, text: str | bytes) -> None:
        with pytest.raises(DecodeError):
            check_digit(text)

    @pytest.mark.parametrize("digit", ["0", "<"])
    def test_empty_optional_data_may_have_either(self, digit: str) -> None:
        lines = with_character(specimen("TD3: CAN"), 1, 42, digit)
        assert parse_mrz(lines, today=TODAY).valid

    def test_a_filler_is_no_check_digit_of_data(self) -> None:
        lines = with_character(specimen("TD3: UTO"), 1, 42, "<")
        mrz = parse_mrz(lines, today=TODAY)
        assert outcome(mrz.check_digits, "optional_data") == (Result.FAILED, "mrz.check_digit_wrong")
        assert mrz.reasons[0].params == {"field": "optional_data"}
        assert not mrz.valid

    def test_visas_have_no_composite(self) -> None:
        mrz = parse_mrz(specimen("MRVA: MRV-A, UTO"), today=TODAY)
        assert [check.name for check in mrz.check_digits] == ["document_number", "birth_date", "expiry_date"]

    def test_the_permits_overall_digit_only_warns(self) -> None:
        mrz = parse_mrz(with_character(specimen("PRC_PERMIT: CS"), 0, 29, "7"), today=TODAY)
        assert outcome(mrz.check_digits, "composite") == (Result.UNDETERMINED, "mrz.composite_unproven")
        assert mrz.valid

    def test_the_cards_overall_digit_decides(self) -> None:
        """It alone covers the identity number, so that a misread one can't pass."""
        mrz = parse_mrz(with_character(specimen("PRC_CARD: CR"), 1, 20, "7"), today=TODAY)
        assert outcome(mrz.check_digits, "composite") == (Result.FAILED, "mrz.check_digit_wrong")
        assert not mrz.valid


class TestLongNumbers:
    @pytest.mark.parametrize("format_", [MrzFormat.TD1, MrzFormat.TD2])
    @pytest.mark.parametrize("with_filler", [True, False])
    @pytest.mark.parametrize("number", ["D23145890734", "0005902406", "A1B2C3D4E5F67"])
    def test_both_conventions(self, format_: MrzFormat, with_filler: bool, number: str) -> None:
        fields = {**ERIKSSON, "document_code": "I", "document_number": number, "optional_data": ""}
        mrz = parse_mrz(format_mrz(format_, fields, long_number_filler=with_filler), today=TODAY)
        assert mrz.valid
        assert mrz.document_number.reveal() == number
        assert mrz.optional_data.reveal() == ""

    def test_data_behind_the_number(self) -> None:
        mrz = made(MrzFormat.TD1, TD1, document_number="D23145890734", optional_data="AB12")
        assert mrz.valid
        assert mrz.document_number.reveal() == "D23145890734"
        assert mrz.optional_data.reveal() == "AB12"

    def test_a_wrong_digit_fails(self) -> None:
        lines = specimen("TD1: UTO, long")
        assert lines[0][14:19] == "<7349"
        mrz = parse_mrz(with_character(lines, 0, 18, "8"), today=TODAY)
        assert outcome(mrz.check_digits, "document_number")[0] is Result.FAILED

    @pytest.mark.parametrize("optional", ["<<<<", "7<<<", "AB<<", "<349"])
    def test_a_missing_digit_fails(self, optional: str) -> None:
        lines = specimen("TD1: UTO, long")
        lines[0] = lines[0][:15] + optional + lines[0][19:]
        mrz = parse_mrz(lines, today=TODAY)
        assert outcome(mrz.check_digits, "document_number")[0] is Result.FAILED

    def test_a_passport_has_none(self) -> None:
        with pytest.raises(ValueError, match="document_number holds 9 characters"):
            made(MrzFormat.TD3, document_number="L898902C34")


class TestNames:
    @pytest.mark.parametrize(
        ("printed", "surname", "given"),
        [
            ("ERIKSSON<<ANNA<MARIA", "ERIKSSON", "ANNA MARIA"),
            ("VAN<DER<MUELLEN<<L", "VAN DER MUELLEN", "L"),
            ("ARKFREITH", "ARKFREITH", ""),
            ("SMITH<JOHN", "SMITH JOHN", ""),
        ],
    )
    def test_split(self, printed: str, surname: str, given: str) -> None:
        lines = specimen("TD3: UTO")
        lines[0] = "P<UTO" + printed.ljust(39, "<")
        mrz = parse_mrz(lines, today=TODAY)
        assert (mrz.surname.reveal(), mrz.given_names.reveal()) == (surname, given)
        assert mrz.valid
        assert not mrz.name_may_be_truncated
        assert mrz.reasons == ()

    @pytest.mark.parametrize("printed", ["<<ANNA", "<ANNA<<MARIA", "A<<B<<C", "A<<B<<<<<<K", "A<<<B"])
    def test_gaps_warn(self, printed: str) -> None:
        lines = specimen("TD3: UTO")
        lines[0] = "P<UTO" + printed.ljust(39, "<")
        mrz = parse_mrz(lines, today=TODAY)
        assert outcome(mrz.field_checks, "name") == (Result.UNDETERMINED, "mrz.name_gap")
        assert mrz.valid

    @pytest.mark.parametrize(
        "format_", [MrzFormat.TD3, MrzFormat.TD2, MrzFormat.TD1, MrzFormat.MRVA, MrzFormat.MRVB]
    )
    def test_a_long_name_is_cut_on_a_letter(self, format_: MrzFormat) -> None:
        code = "V" if format_.startswith("MRV") else "I"
        for length in range(1, 30):
            given = " ".join(["NILAVADHANANANDA", "X" * length, "CHAYAPA", "DEJTHAMRONG"])
            mrz = made(format_, document_code=code, given_names=given, optional_data="")
            assert mrz.name_may_be_truncated
            assert mrz.valid
            assert mrz.surname.reveal() == "ERIKSSON"

    def test_some_of_the_given_names_always_shows(self) -> None:
        mrz = made(MrzFormat.TD3, surname="NILAVADHANANANDACHAYAPADEJTHAMRONGKRASUANG", given_names="ANNA")
        assert mrz.given_names.reveal() == "A"
        assert mrz.name_may_be_truncated

    def test_punctuation(self) -> None:
        mrz = made(MrzFormat.TD3, surname="O'CONNOR-SMITH", given_names="ANNA-MARIA")
        assert (mrz.surname.reveal(), mrz.given_names.reveal()) == ("OCONNOR SMITH", "ANNA MARIA")

    def test_no_name_fails(self) -> None:
        mrz = made(MrzFormat.TD3, surname="", given_names="")
        assert outcome(mrz.field_checks, "name") == (Result.FAILED, "mrz.field_empty")

    def test_digits_belong_in_no_name_but_a_russian_one(self) -> None:
        lines = specimen("TD3: UTO")
        lines[0] = "P<UTOERIKS5ON<<ANNA".ljust(44, "<")
        mrz = parse_mrz(lines, today=TODAY)
        assert outcome(mrz.field_checks, "name") == (Result.FAILED, "mrz.field_characters")
        lines[0] = "PNRUSKOV7L3UK<<ANNA".ljust(44, "<")
        assert outcome(parse_mrz(lines, today=TODAY).field_checks, "name") == FINE


class TestCodes:
    def test_germany_is_d(self) -> None:
        mrz = parse_mrz(specimen("TD3: D,"), today=TODAY)
        assert mrz.issuing_state == "D"
        assert outcome(mrz.field_checks, "issuing_state") == FINE

    @pytest.mark.parametrize("code", ["QQQ", "XZ", ""])
    def test_an_unknown_code_warns(self, code: str) -> None:
        mrz = made(MrzFormat.TD3, issuing_state=code, nationality=code)
        assert outcome(mrz.field_checks, "issuing_state") == (Result.UNDETERMINED, "mrz.unknown_country")
        assert outcome(mrz.field_checks, "nationality") == (Result.UNDETERMINED, "mrz.unknown_country")
        assert mrz.valid
        assert [reason.params for reason in mrz.reasons] == [
            {"field": "issuing_state"},
            {"field": "nationality"},
        ]

    def test_a_code_with_a_digit_fails(self) -> None:
        mrz = parse_mrz(with_character(specimen("TD3: UTO"), 1, 12, "0"), today=TODAY)
        assert outcome(mrz.field_checks, "nationality") == (Result.FAILED, "mrz.field_characters")
        assert not mrz.fields_ok

    @pytest.mark.parametrize(
        ("format_", "code", "expected"),
        [
            (MrzFormat.TD3, "P", DocumentClass.PASSPORT),
            (MrzFormat.TD3, "PO", DocumentClass.PASSPORT),
            (MrzFormat.TD3, "I", DocumentClass.UNKNOWN),
            (MrzFormat.TD1, "ID", DocumentClass.IDENTITY_CARD),
            (MrzFormat.TD1, "C1", DocumentClass.IDENTITY_CARD),
            (MrzFormat.TD1, "AC", DocumentClass.IDENTITY_CARD),
            (MrzFormat.TD1, "RP", DocumentClass.PERMIT),
            (MrzFormat.TD1, "TR", DocumentClass.PERMIT),
            (MrzFormat.TD1, "IR", DocumentClass.PERMIT),
            (MrzFormat.TD2, "P", DocumentClass.PASSPORT),
            (MrzFormat.TD2, "X", DocumentClass.UNKNOWN),
            (MrzFormat.MRVA, "VN", DocumentClass.VISA),
            (MrzFormat.MRVB, "V", DocumentClass.VISA),
        ],
    )
    def test_document_class(self, format_: MrzFormat, code: str, expected: DocumentClass) -> None:
        mrz = made(format_, document_code=code, optional_data="")
        assert mrz.format is format_
        assert mrz.document_class is expected
        assert mrz.valid, "no document fails on its code alone"

    def test_an_odd_code_warns(self) -> None:
        mrz = made(MrzFormat.TD1, TD1, document_code="RP")
        assert outcome(mrz.field_checks, "document_code") == (
            Result.UNDETERMINED,
            "mrz.unusual_document_code",
        )

    @pytest.mark.parametrize(
        ("printed", "sex", "code"), [("M", "M", None), ("<", "X", None), ("X", "X", "mrz.sex_letter_x")]
    )
    def test_sex(self, printed: str, sex: str, code: str | None) -> None:
        mrz = parse_mrz(with_character(specimen("TD3: UTO"), 1, 20, printed), today=TODAY)
        assert mrz.sex.reveal() == sex
        assert outcome(mrz.field_checks, "sex")[1] == code
        assert mrz.valid

    def test_no_such_sex(self) -> None:
        mrz = parse_mrz(with_character(specimen("TD3: UTO"), 1, 20, "H"), today=TODAY)
        assert outcome(mrz.field_checks, "sex") == (Result.FAILED, "mrz.field_characters")

    def test_an_empty_number_fails(self) -> None:
        mrz = made(MrzFormat.TD3, document_number="")
        assert outcome(mrz.field_checks, "document_number") == (Result.FAILED, "mrz.field_empty")


class TestDates:
    def test_unknown_parts_warn(self) -> None:
        mrz = made(MrzFormat.TD3, birth_date="78<<<<")
        assert mrz.birth_date is not None
        assert (mrz.birth_date.year, mrz.birth_date.month, mrz.birth_date.date) == (1978, None, None)
        assert outcome(mrz.field_checks, "birth_date") == (Result.UNDETERMINED, "mrz.date_incomplete")
        assert mrz.valid

    @pytest.mark.parametrize("field", ["birth_date", "expiry_date"])
    @pytest.mark.parametrize(
        ("printed", "code"),
        [
            ("740230", "mrz.date_impossible"),
            ("741301", "mrz.date_impossible"),
            ("740001", "mrz.date_impossible"),
            ("7413<<", "mrz.date_impossible"),
            ("74<<32", "mrz.date_impossible"),
            ("7<0101", "mrz.date_malformed"),
            ("74011<", "mrz.date_malformed"),
        ],
    )
    def test_a_date_that_cannot_be_fails(self, field: str, printed: str, code: str) -> None:
        mrz = made(MrzFormat.TD3, **{field: printed})
        assert outcome(mrz.field_checks, field) == (Result.FAILED, code)
        assert mrz.check_digits_ok
        assert not mrz.valid

    def test_letters_in_a_date_fail(self) -> None:
        mrz = parse_mrz(with_character(specimen("TD3: UTO"), 1, 14, "O"), today=TODAY)
        assert outcome(mrz.field_checks, "birth_date") == (Result.FAILED, "mrz.field_characters")

    def test_the_century_follows_the_clock(self) -> None:
        lines = format_mrz(MrzFormat.TD3, {**ERIKSSON, "birth_date": "260801"})
        for today, year in ((datetime.date(2026, 7, 31), 1926), (datetime.date(2026, 8, 1), 2026)):
            mrz = parse_mrz(lines, today=today)
            assert mrz.birth_date is not None
            assert mrz.birth_date.year == year

    def test_no_expiry_at_all(self) -> None:
        """The Russian internal passport prints fillers, its check digit included."""
        fields = {**ERIKSSON, "expiry_date": ""}
        mrz = parse_mrz(format_mrz(MrzFormat.TD3, fields), today=TODAY)
        assert mrz.expiry_date is not None
        assert mrz.expiry_date.date is None
        assert mrz.valid


class TestPrc:
    def test_the_printed_century_is_believed(self) -> None:
        lines = specimen("PRC_CARD: CR")
        mrz = parse_mrz(with_character(lines, 1, 18, "C"), today=TODAY)
        assert mrz.birth_date is not None
        assert mrz.birth_date.problem == "mrz.birth_in_future"  # 2081
        assert mrz.birth_date.date is None
        assert outcome(mrz.field_checks, "birth_date") == (Result.FAILED, "mrz.birth_in_future")

    def test_a_passport_says_the_century_too(self) -> None:
        fields = {**ERIKSSON, "document_code": "PO", "issuing_state": "CHN", "birth_date": "100101"}
        for century, year in (("0", 2010), ("9", 1910)):
            mrz = made(MrzFormat.TD3, fields, optional_data=f"NBOONFNB<<<<A{century}")
            assert mrz.birth_date is not None
            assert mrz.birth_date.year == year

    @pytest.mark.parametrize(
        ("number", "optional", "expected"),
        [
            ("E12345678", "NBOONFNB<<<<A9", Region.MAINLAND),
            ("K12345678", "A1234567", Region.HONG_KONG),
            ("M12345678", "", Region.MACAO),
            ("E12345678", "", None),
        ],
    )
    def test_region(self, number: str, optional: str, expected: Region | None) -> None:
        mrz = made(MrzFormat.TD3, issuing_state="CHN", document_number=number, optional_data=optional)
        assert mrz.region is expected
        assert (mrz.chinese_name is not None) == (expected is Region.MAINLAND)

    def test_only_china_codes_names(self) -> None:
        mrz = made(MrzFormat.TD3, optional_data="NBOONFNB<<<<A9")
        assert mrz.chinese_name is None
        assert mrz.region is None

    def test_a_name_that_codes_nothing_warns(self) -> None:
        lines = specimen("PRC_CARD: CR")
        lines[1] = "AAAA" + lines[1][4:]  # two zero bytes
        mrz = parse_mrz(lines, today=TODAY)
        assert mrz.chinese_name is None
        assert outcome(mrz.field_checks, "chinese_name") == (
            Result.UNDETERMINED,
            "mrz.chinese_name_unreadable",
        )

    def test_a_card_for_other_nationalities(self) -> None:
        """CF: a name of three characters at most, the nationality further on (one source)."""
        lines = specimen("PRC_CARD: CR")
        lines[0] = "CFHA1234567" + lines[0][11:]
        lines[0] = lines[0][:11] + str(check_digit(lines[0][2:11])) + lines[0][12:]
        lines[1] = "NBOONFNB<<<<<<<USA" + lines[1][18:]
        covered = lines[0][2:12] + lines[0][15:22] + lines[0][23:30] + lines[1][19:29]
        lines[1] = lines[1][:29] + str(check_digit(covered))
        mrz = parse_mrz(lines, today=TODAY)
        assert mrz.valid
        assert mrz.nationality.reveal() == "USA"
        assert mrz.chinese_name is not None
        assert mrz.chinese_name.reveal() == "杨昭"
        assert list(format_mrz(mrz.format, mrz.fields().reveal())) == lines

    @pytest.mark.parametrize("number", ["X00000000", "CO0000000", "CI0000000"])
    def test_an_unusual_number_warns(self, number: str) -> None:
        base = parse_mrz(specimen("PRC_PERMIT: CS"), today=TODAY).fields().reveal()
        mrz = made(MrzFormat.PRC_PERMIT, base, document_number=number)
        assert outcome(mrz.field_checks, "document_number") == (Result.UNDETERMINED, "mrz.unusual_number")
        assert mrz.valid

    def test_a_new_number_is_usual(self) -> None:
        base = parse_mrz(specimen("PRC_PERMIT: CS"), today=TODAY).fields().reveal()
        assert made(MrzFormat.PRC_PERMIT, base, document_number="CA0000001").reasons == ()

    def test_a_green_card_is_no_permit_of_the_prc(self) -> None:
        mrz = made(MrzFormat.TD1, TD1, document_code="CR", issuing_state="CRI")
        assert mrz.format is MrzFormat.TD1

    def test_omitted_letters_say_that_the_name_is_cut(self) -> None:
        mrz = parse_mrz(with_character(specimen("PRC_CARD: CT"), 1, 17, "B"), today=TODAY)
        assert mrz.name_may_be_truncated


def test_the_french_card_tells_when_it_was_issued() -> None:
    lines = ["IDFRABERTHIER<<<<<<<<<<<<<<<<<<<<<<<", "9409923102854CORINNE<<<<<<<6512068F4"]
    mrz = parse_mrz(lines, today=TODAY)
    assert mrz.expiry_date is None
    assert mrz.issue_date is not None
    assert (mrz.issue_date.year, mrz.issue_date.month, mrz.issue_date.day) == (1994, 9, None)
    assert mrz.raw("administrative_code").reveal() == "<<<<<<"


@pytest.mark.parametrize("entry", SPECIMENS, ids=lambda entry: entry["name"])
def test_alphabets_admit_every_specimen(entry: dict) -> None:
    allowed = alphabet(MrzFormat(entry["format"]))
    assert [len(line) for line in allowed] == [len(line) for line in entry["lines"]]
    for line, characters in zip(entry["lines"], allowed, strict=True):
        assert all(character in choice for character, choice in zip(line, characters, strict=True))

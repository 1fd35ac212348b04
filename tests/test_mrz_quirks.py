"""Where documents differ from the standard, or from what one expects: one test a quirk, field by field.

The published specimens themselves are in vectors/mrz.json; every field of theirs is checked in test_mrz_specimens.
"""

from __future__ import annotations

import datetime
import string
from typing import ClassVar

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edged.core.countries import name as country_name
from edged.core.layouts import LAYOUTS, DocumentClass, MrzFormat
from edged.core.mrz import FieldCheck, Mrz, Region, check_digit, format_mrz, parse_mrz
from edged.core.mrz_names import decode_ga, encode_ga
from edged.core.mrz_russian import to_cyrillic, to_latin
from edged.errors import DecodeError
from edged.identity import Sensitive
from edged.verdict import Result
from tests import mrz_oracle as oracle
from tests.mrz_fields_oracle import NUMBERS
from tests.mrz_specimens import SPECIMENS, TODAY, specimen
from tests.mrz_texts import telling_texts

PASSPORT = {
    "document_code": "P",
    "issuing_state": "UTO",
    "surname": "SPECIMEN",
    "given_names": "VZOR",
    "document_number": "X00000001",
    "nationality": "UTO",
    "birth_date": "800101",
    "sex": "F",
    "expiry_date": "300101",
}


def made(format_: MrzFormat, **changes: str) -> Mrz:
    return parse_mrz(format_mrz(format_, {**PASSPORT, **changes}), today=TODAY)


def outcome(checks: tuple[FieldCheck, ...], name: str) -> tuple[str, str | None]:
    (check,) = [check for check in checks if check.name == name]
    return str(check.result), check.reason and check.reason.code


def printed(value: Sensitive[str] | None) -> str | None:
    return value and value.reveal()


class TestCommonRules:
    @pytest.mark.parametrize(
        ("line", "column", "character"),
        [(0, 1, "O"), (0, 3, "S"), (0, 6, "X"), (1, 11, "S"), (1, 20, "M")],
        ids=["code", "state", "name", "nationality", "sex"],
    )
    def test_the_composite_leaves_these_out(self, line: int, column: int, character: str) -> None:
        lines = specimen("TD3: UTO")
        assert lines[line][column] != character
        lines[line] = lines[line][:column] + character + lines[line][column + 1 :]
        assert parse_mrz(lines, today=TODAY).check_digits_ok

    def test_one_name_only_is_the_surname(self) -> None:
        mrz = made(MrzFormat.TD3, surname="SUKARNO", given_names="")
        assert (mrz.surname.reveal(), mrz.given_names.reveal()) == ("SUKARNO", "")
        assert mrz.reasons == ()

    def test_a_name_that_just_fits_may_be_cut(self) -> None:
        assert made(MrzFormat.TD3, surname="A" * 20, given_names="B" * 17).name_may_be_truncated
        assert not made(MrzFormat.TD3, surname="A" * 20, given_names="B" * 16).name_may_be_truncated

    def test_a_cut_name_keeps_what_shows(self) -> None:
        mrz = parse_mrz(specimen("TD1: PRT, long number, check digit valid both"), today=TODAY)
        assert mrz.surname.reveal() == "CACADOR DE ARAUJO"
        assert mrz.given_names.reveal() == "ANDRE ESTEV"
        assert mrz.name_may_be_truncated

    def test_a_birth_date_of_fillers_has_a_check_digit_all_the_same(self) -> None:
        mrz = made(MrzFormat.TD3, birth_date="<<<<<<")
        assert mrz.lines.reveal()[1][13:20] == "<<<<<<0"
        assert mrz.birth_date is not None
        assert (mrz.birth_date.raw, mrz.birth_date.year, mrz.birth_date.date) == ("<<<<<<", None, None)
        assert outcome(mrz.check_digits, "birth_date") == ("successful", None)
        assert outcome(mrz.field_checks, "birth_date") == ("undetermined", "mrz.date_incomplete")
        assert mrz.valid

    @pytest.mark.parametrize(
        ("today", "birth_year", "expiry_year"),
        [("2026-11-21", 1980, 2030), ("1999-01-01", 1980, 2030), ("2085-06-01", 2080, 2130)],
    )
    def test_two_digit_years_follow_today(self, today: str, birth_year: int, expiry_year: int) -> None:
        mrz = parse_mrz(format_mrz(MrzFormat.TD3, PASSPORT), today=datetime.date.fromisoformat(today))
        assert mrz.birth_date is not None
        assert mrz.expiry_date is not None
        assert (mrz.birth_date.year, mrz.expiry_date.year) == (birth_year, expiry_year)

    @pytest.mark.parametrize(
        ("code", "issuer", "expected", "warns"),
        [
            ("AC", "UTO", DocumentClass.IDENTITY_CARD, False),
            ("RP", "EST", DocumentClass.PERMIT, True),
            ("TR", "GEO", DocumentClass.PERMIT, True),
            ("IV", "UTO", DocumentClass.IDENTITY_CARD, True),
            ("ID", "ROU", DocumentClass.IDENTITY_CARD, False),
        ],
    )
    @pytest.mark.parametrize("format_", [MrzFormat.TD1, MrzFormat.TD2])
    def test_no_card_fails_on_its_code(
        self, format_: MrzFormat, code: str, issuer: str, expected: DocumentClass, warns: bool
    ) -> None:
        mrz = made(format_, document_code=code, issuing_state=issuer)
        assert (mrz.document_class, mrz.issuing_state, mrz.valid) == (expected, issuer, True)
        reason = outcome(mrz.field_checks, "document_code")[1]
        assert reason == ("mrz.unusual_document_code" if warns else None)


class TestLongNumbers:
    @pytest.mark.parametrize(
        ("name", "number", "without", "with_filler"),
        [
            ("TD1: BEL, long number, check digit valid only WITH the", "000590240601", False, True),
            ("TD1: BEL, long number, check digit valid only WITHOUT", "600001795015", True, False),
            ("TD1: PRT, long number, check digit valid only WITHOUT", "007777779ZZ9", True, False),
            ("TD1: PRT, long number, check digit valid both", "007666667ZZ0", True, True),
            ("TD1: UTO, long number", "D23145890734", True, True),
        ],
    )
    def test_issuers_differ(self, name: str, number: str, without: bool, with_filler: bool) -> None:
        lines = specimen(name)
        digit = lines[0][15:30].partition("<")[0][-1]
        assert (oracle.check_digit(number) == digit) is without
        assert (oracle.check_digit(number[:9] + "<" + number[9:]) == digit) is with_filler
        mrz = parse_mrz(lines, today=TODAY)
        assert mrz.document_number.reveal() == number
        assert outcome(mrz.check_digits, "document_number") == ("successful", None)
        assert outcome(mrz.check_digits, "composite") == ("successful", None)

    def test_visas_and_passports_have_none(self) -> None:
        for format_ in (MrzFormat.TD3, MrzFormat.MRVA, MrzFormat.MRVB):
            with pytest.raises(ValueError, match="document_number holds 9"):
                made(format_, document_code="V", document_number="D231458907")


class TestChina:
    def test_a_copied_sample_of_45_characters_is_no_mrz(self) -> None:
        line = "E0000000008CHN8310291F2202059NGKELMPONBPJB972"
        assert len(line) == 45
        with pytest.raises(DecodeError):
            parse_mrz(["POCHNZHENGJIAN<<YANGBEN".ljust(44, "<"), line], today=TODAY)

    @pytest.mark.parametrize("number", ["E12345678", "EA1234567", "G12345678", "DE0000001"])
    @pytest.mark.parametrize("code", ["PO", "PD", "PS", "PE", "P"])
    def test_passport_numbers_and_codes(self, number: str, code: str) -> None:
        data = encode_ga("杨昭").ljust(12, "<") + "A9"
        fields = {"document_code": code, "issuing_state": "CHN", "nationality": "CHN"}
        mrz = made(MrzFormat.TD3, **fields, document_number=number, optional_data=data)
        assert mrz.reasons == ()
        assert mrz.document_class is DocumentClass.PASSPORT
        assert mrz.region is Region.MAINLAND
        assert printed(mrz.chinese_name) == "杨昭"
        assert mrz.chinese_characters_omitted == 0

    @pytest.mark.parametrize(
        ("coded", "name"),
        [
            ("NGKELMPONBPJ", "证件样"),
            ("LAKCLCLMMBKG", "阿布力"),
            ("LCOCMKNENBPJ", "测试样"),
            ("NBOONFNB", "杨昭"),
            ("NGKELMPONBPJLBLO", "证件样本"),
        ],
    )
    def test_ga_code(self, coded: str, name: str) -> None:
        assert decode_ga(coded) == name
        assert encode_ga(name) == coded

    @pytest.mark.parametrize(("letter", "count"), [("A", 0), ("B", 1), ("G", 6), ("P", 15)])
    def test_omitted_characters_are_counted(self, letter: str, count: int) -> None:
        data = "NGKELMPONBPJ" + letter + "9"
        mrz = made(MrzFormat.TD3, issuing_state="CHN", nationality="CHN", optional_data=data)
        assert mrz.chinese_characters_omitted == count

    @pytest.mark.parametrize(("digit", "year"), [("9", 1905), ("0", 2005), ("5", 2005)])
    def test_the_last_digit_is_the_birth_century(self, digit: str, year: int) -> None:
        """A digit that is neither says nothing: the rule for two digits decides."""
        fields = {"issuing_state": "CHN", "nationality": "CHN", "birth_date": "050101"}
        mrz = made(MrzFormat.TD3, **fields, optional_data="NBOONFNB<<<<A" + digit)
        assert mrz.birth_date is not None
        assert mrz.birth_date.year == year

    def test_hong_kong_is_china_too(self) -> None:
        mrz = parse_mrz(specimen("TD3: HKSAR"), today=TODAY)
        assert (mrz.issuing_state, mrz.nationality.reveal()) == ("CHN", "CHN")
        assert mrz.region is Region.HONG_KONG
        assert mrz.optional_data.reveal() == "HK8888888"
        assert mrz.chinese_name is None

    def test_macao_is_china_too(self) -> None:
        mrz = made(MrzFormat.TD3, issuing_state="CHN", nationality="CHN", document_number="MA0000001")
        assert mrz.region is Region.MACAO
        assert mrz.reasons == ()

    def test_taiwan(self) -> None:
        fields = {"issuing_state": "TWN", "nationality": "TWN", "optional_data": "A123456789"}
        mrz = made(MrzFormat.TD3, **fields)
        assert mrz.reasons == ()
        assert mrz.region is None
        assert mrz.optional_data.reveal() == "A123456789"
        assert country_name(mrz.issuing_state, "zh-CN") == "中国台湾"

    @pytest.mark.parametrize(
        ("name", "code", "number", "expiry", "birth"),
        [
            ("PRC_PERMIT: CS", "CS", "C00000000", "2024-04-20", "1981-08-03"),
            ("PRC_PERMIT: CD", "CD", "L00000000", "2025-08-19", "1982-08-03"),
        ],
    )
    def test_one_line_permits(self, name: str, code: str, number: str, expiry: str, birth: str) -> None:
        """The expiry stands before the birth, and no name at all."""
        mrz = parse_mrz(specimen(name), today=TODAY)
        assert (mrz.document_code, mrz.document_number.reveal()) == (code, number)
        assert mrz.expiry_date is not None
        assert mrz.birth_date is not None
        assert mrz.expiry_date.date == datetime.date.fromisoformat(expiry)
        assert mrz.birth_date.date == datetime.date.fromisoformat(birth)
        assert (mrz.surname.reveal(), mrz.given_names.reveal(), mrz.sex.reveal()) == ("", "", "")
        assert (mrz.issuing_state, mrz.nationality.reveal()) == ("CHN", "CHN")

    def test_the_text_in_a_permits_chip_is_no_other_document(self) -> None:
        """90 characters that begin with the printed line: not a TD1, whatever its shape (fails closed)."""
        lines = [*specimen("PRC_PERMIT: CS"), "NBOONFNB<<<<YANG<<ZHAO".ljust(30, "<"), "F".ljust(30, "<")]
        assert not parse_mrz(lines, today=TODAY).valid

    def test_renewals_take_no_part_in_the_composite(self) -> None:
        lines = specimen("PRC_CARD: CR")
        lines[0] = lines[0][:12] + "07" + str(check_digit("07")) + lines[0][15:]
        mrz = parse_mrz(lines, today=TODAY)
        assert mrz.reasons == ()
        assert mrz.raw("renewals").reveal() == "07"

    @pytest.mark.parametrize(("letter", "year"), [("B", 1905), ("C", 2005), ("A", 2005), ("<", 2005)])
    def test_a_card_says_the_birth_century(self, letter: str, year: int) -> None:
        fields = parse_mrz(specimen("PRC_CARD: CR"), today=TODAY).fields().reveal()
        lines = format_mrz(
            MrzFormat.PRC_CARD, {**fields, "birth_date": "050101", "birth_century": letter.strip("<")}
        )
        mrz = parse_mrz(lines, today=TODAY)
        assert mrz.birth_date is not None
        assert mrz.birth_date.year == year

    def test_a_card_in_every_field(self) -> None:
        mrz = parse_mrz(specimen("PRC_CARD: CT"), today=TODAY)
        assert printed(mrz.chinese_name) == "证件样本"
        assert mrz.chinese_characters_omitted == 0
        assert (mrz.surname.reveal(), mrz.given_names.reveal()) == ("ZHENG JIAN", "YANG BEN")
        assert mrz.optional_data.reveal() == "R000000000"
        assert mrz.raw("authority").reveal() == "3500"
        assert mrz.document_number.reveal() == "00000000"
        blank = parse_mrz(specimen("PRC_CARD: CR"), today=TODAY)
        assert blank.raw("authority").reveal() == "<<<<"
        assert blank.reasons == ()

    def test_the_home_return_permit_of_1999(self) -> None:
        mrz = parse_mrz(specimen("PRC_HOME_RETURN"), today=TODAY)
        assert printed(mrz.chinese_name) == "黎卓儿"
        assert mrz.birth_date is not None
        assert mrz.expiry_date is not None
        assert mrz.birth_date.date == datetime.date(1992, 9, 1)
        assert mrz.expiry_date.date == datetime.date(2001, 6, 16)
        assert (mrz.document_number.reveal(), mrz.sex.reveal()) == ("H10101010", "F")

    @pytest.mark.parametrize("coded", ["9999", "1695", "1696", "1", "16A1"])
    def test_a_code_beyond_the_table_warns(self, coded: str) -> None:
        lines = specimen("PRC_HOME_RETURN")
        lines[0] = lines[0][:5] + coded.ljust(20, "<") + lines[0][25:]
        mrz = parse_mrz(lines, today=TODAY)
        assert mrz.chinese_name is None
        assert "mrz.chinese_name_unreadable" in {reason.code for reason in mrz.reasons} or "A" in coded


class TestElsewhere:
    def test_germany(self) -> None:
        mrz = parse_mrz(specimen("TD3: D,"), today=TODAY)
        assert (mrz.issuing_state, mrz.nationality.reveal()) == ("D", "D")
        assert mrz.lines.reveal()[1][42] == "<"
        assert mrz.reasons == ()

    @pytest.mark.parametrize("code", ["INP", "XPO", "ROM", "YUG", "ZAR", "TMP", "ANT", "RKS", "XXB"])
    def test_codes_seen_in_practice(self, code: str) -> None:
        mrz = made(MrzFormat.TD3, issuing_state=code, nationality=code)
        assert (mrz.issuing_state, mrz.nationality.reveal(), mrz.reasons) == (code, code, ())

    def test_the_old_french_card(self) -> None:
        mrz = parse_mrz(
            ["IDFRATEST<NAME<<<<<<<<<<<<<<<<0CHE02", "1710GVA123451ROBERTA<<<<<<<9112311F2"], today=TODAY
        )
        assert mrz.format is MrzFormat.FRA_ID
        assert (mrz.surname.reveal(), mrz.given_names.reveal()) == ("TEST NAME", "ROBERTA")
        assert mrz.document_number.reveal() == "1710GVA12345"
        assert mrz.nationality.reveal() == "FRA"
        assert mrz.expiry_date is None
        assert mrz.issue_date is not None
        assert (mrz.issue_date.year, mrz.issue_date.month) == (2017, 10)
        assert mrz.raw("administrative_code").reveal() == "0CHE02"
        assert mrz.valid

    def test_the_new_french_card_is_an_ordinary_one(self) -> None:
        mrz = made(MrzFormat.TD1, document_code="ID", issuing_state="FRA", nationality="FRA")
        assert mrz.format is MrzFormat.TD1
        assert mrz.reasons == ()


class TestRussia:
    FIELDS: ClassVar = {
        **PASSPORT,
        "document_code": "PN",
        "issuing_state": "RUS",
        "nationality": "RUS",
        "surname": to_latin("Щукина-Ёжикова"),
        "given_names": to_latin("Юлия Эдуардовна"),
        "document_number": "450123456",
        "expiry_date": "",
        "optional_data": "7150620770001",
    }

    def test_the_internal_passport(self) -> None:
        mrz = parse_mrz(format_mrz(MrzFormat.TD3, self.FIELDS), today=TODAY)
        assert mrz.lines.reveal()[0] == "PNRUSWUKINA<2JIKOVA<<7LI8<6DUARDOVNA<<<<<<<<"
        assert mrz.lines.reveal()[1][21:28] == "<<<<<<<"
        assert [reason.code for reason in mrz.reasons] == ["mrz.date_incomplete"]
        assert mrz.valid
        russian = mrz.russian_passport
        assert russian is not None
        assert russian.surname.reveal() == "ЩУКИНА ЁЖИКОВА"
        assert russian.given_names.reveal() == "ЮЛИЯ ЭДУАРДОВНА"
        assert russian.number.reveal() == "4507123456"
        assert russian.department.reveal() == "770-001"
        assert mrz.issue_date is not None
        assert mrz.issue_date.date == datetime.date(2015, 6, 20)
        assert repr(russian) == "<RussianPassport: identity withheld>"

    def test_every_letter_has_one_character(self) -> None:
        alphabet = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ"
        coded = to_latin(alphabet)
        assert set(coded) == set(string.ascii_uppercase) | set("2346789")
        assert to_cyrillic(coded) == alphabet
        assert to_latin("ёлка") == "2LKA"
        assert to_cyrillic("0 1 5") == "0 1 5"

    @pytest.mark.parametrize("data", ["", "715062077000", "71506207700012", "A150620770001"])
    def test_other_data_say_nothing(self, data: str) -> None:
        russian = made(MrzFormat.TD3, **{**self.FIELDS, "optional_data": data}).russian_passport
        assert russian is not None
        assert (russian.number.reveal(), russian.department.reveal(), russian.issue_date) == ("", "", None)

    @pytest.mark.parametrize("digit", "015")
    def test_a_digit_that_is_no_letter_fails(self, digit: str) -> None:
        lines = list(format_mrz(MrzFormat.TD3, self.FIELDS))
        lines[0] = lines[0][:8] + digit + lines[0][9:]
        mrz = parse_mrz(lines, today=TODAY)
        assert outcome(mrz.field_checks, "name") == (str(Result.FAILED), "mrz.field_characters")

    def test_the_passport_for_abroad_is_an_ordinary_one(self) -> None:
        mrz = made(MrzFormat.TD3, issuing_state="RUS", nationality="RUS", document_number="750123456")
        assert mrz.reasons == ()
        assert mrz.russian_passport is None
        assert mrz.issue_date is None


class TestInverse:
    @pytest.mark.parametrize("name", ["杨昭", "证件样"])
    def test_a_card_for_other_nationalities(self, name: str) -> None:
        fields = parse_mrz(specimen("PRC_CARD: CR"), today=TODAY).fields().reveal()
        coded = encode_ga(name).ljust(15, "<") + "U"  # the nationality's first letter closes the field
        fields |= {"document_code": "CF", "document_number": "HA0000001", "chinese_name": coded}
        fields |= {"omitted_characters": "S", "omitted_letters": "A"}
        mrz = parse_mrz(format_mrz(MrzFormat.PRC_CARD, fields), today=TODAY)
        assert mrz.valid
        assert printed(mrz.chinese_name) == name
        assert mrz.nationality.reveal() == "USA"
        assert mrz.fields().reveal() == fields

    @settings(derandomize=True, max_examples=200)
    @given(telling_texts())
    def test_whatever_is_in_order_prints_back(self, lines: list[str]) -> None:
        """All but the check digit of an empty field, which issuers choose, and a long number's."""
        try:
            mrz = parse_mrz(lines, today=TODAY)
        except DecodeError:
            assume(False)
        assume(mrz.check_digits_ok and mrz.reasons == ())
        fields = mrz.fields().reveal()
        again = [
            "".join(format_mrz(mrz.format, fields, empty_check=empty, long_number_filler=filler))
            for empty in "<0"
            for filler in (True, False)
        ]
        text = "".join(lines)
        digits = {check.position for check in LAYOUTS[mrz.format].checks if check.rule}
        for at, character in enumerate(text):
            if at in digits:
                assert character in {other[at] for other in again}
            else:
                assert all(other[at] == character for other in again) or len(fields["document_number"]) > 9
        assert parse_mrz(_lines(again[0], mrz.format), today=TODAY).fields().reveal() == fields

    @settings(derandomize=True, max_examples=60)
    @given(
        st.sampled_from(sorted(NUMBERS)).flatmap(
            lambda code: st.tuples(st.just(code), st.from_regex(NUMBERS[code], fullmatch=True))
        ),
        st.dates(datetime.date(1901, 1, 1), TODAY),
    )
    def test_permits_of_every_code(self, permit: tuple[str, str], born: datetime.date) -> None:
        """A number of the right form is usual; a card's century goes back to 1901."""
        code, number = permit
        card = code not in {"CS", "CD"}
        name = "PRC_CARD: CR" if card else "PRC_PERMIT: CS"
        fields = parse_mrz(specimen(name), today=TODAY).fields().reveal()
        fields |= {
            "document_code": code,
            "document_number": number.rstrip("<"),
            "birth_date": f"{born:%y%m%d}",
        }
        if card:
            fields |= {"birth_century": "BC"[born.year // 100 - 19]}
        if code == "CF":
            fields |= {"chinese_name": "NBOONFNB<<<<<<<U", "omitted_characters": "S", "omitted_letters": "A"}
        mrz = parse_mrz(format_mrz(MrzFormat.PRC_CARD if card else MrzFormat.PRC_PERMIT, fields), today=TODAY)
        assert mrz.reasons == ()
        assert mrz.document_number.reveal() == number.rstrip("<")
        assert mrz.fields().reveal() == fields
        assert mrz.birth_date is not None
        if card:
            assert mrz.birth_date.date == born
        assert mrz.nationality.reveal() == ("USA" if code == "CF" else "CHN")

    def test_every_specimen_is_there(self) -> None:
        assert len(SPECIMENS) == 37


def _lines(text: str, format_: MrzFormat) -> list[str]:
    width = LAYOUTS[format_].width
    return [text[at : at + width] for at in range(0, len(text), width)]

"""DG1: the MRZ in the chip, and whether it is the printed one."""

from __future__ import annotations

import pytest

from edged.core.emrtd.dg1 import compare_mrz, parse_dg1, read_dg1
from edged.core.emrtd.tlv import encode
from edged.core.layouts import LAYOUTS, MrzFormat
from edged.core.mrz import check_digit, parse_mrz
from edged.errors import DecodeError, IdentityLeakError
from edged.verdict import Result
from tests.lds_files import BSI, dg1, needs_chip_data
from tests.mrz_specimens import SPECIMENS, TODAY, specimen

TD3 = ["P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10"]
PERMITS = {
    "CS": "CSC000000004<2404200<8108038<6",
    "CD": "CDL000000007<2508197<8208031<6",
}
PERMIT_LINES = ["NGKELMPONBPJZHENGJIAN<<YANGBEN", "F<<B<<<<110<<<<<<<<<<<<<<<<<<<"]
CHIPS = [entry for entry in SPECIMENS if entry["format"] in {"TD1", "TD2", "TD3", "PRC_CARD"}]


def chip(text: str):
    return parse_dg1(dg1(text), today=TODAY)


def outcome(chip_text: str, printed: list[str], sure: bool = True):
    check = compare_mrz(
        read_dg1(dg1(chip_text), today=TODAY), parse_mrz(printed, today=TODAY), printed_is_sure=sure
    )
    assert check.name == "chip_mrz"
    return check.result, [(reason.code, reason.params) for reason in check.reasons]


@needs_chip_data
def test_the_bsi_specimen():
    found = parse_dg1((BSI / "0101").read_bytes(), today=TODAY)
    assert found.permit is None
    assert found.mrz.format is MrzFormat.TD3
    assert found.mrz.valid
    assert found.mrz.issuing_state == "D"
    assert found.mrz.surname.reveal() == "MUSTERMANN"


@pytest.mark.parametrize("entry", CHIPS, ids=lambda entry: entry["name"])
def test_every_specimen_is_what_its_chip_says(entry):
    found = chip("".join(entry["lines"]))
    assert found.permit is None
    assert found.mrz == parse_mrz(entry["lines"], today=TODAY)
    assert outcome("".join(entry["lines"]), entry["lines"]) == (Result.SUCCESSFUL, [])


@pytest.mark.parametrize("code", PERMITS)
def test_permits_print_one_line_and_keep_three(code):
    line = PERMITS[code]
    found = chip("".join([line, *PERMIT_LINES]))
    assert found.mrz.format is MrzFormat.PRC_PERMIT
    assert found.mrz.lines.reveal() == (line,)
    permit = found.permit
    assert permit.chinese_name.reveal() == "证件样"
    assert (permit.surname.reveal(), permit.given_names.reveal()) == ("ZHENGJIAN", "YANGBEN")
    assert (permit.sex.reveal(), permit.birth_century.reveal(), permit.birth_place.reveal()) == (
        "F",
        "B",
        "110",
    )
    assert outcome("".join([line, *PERMIT_LINES]), [line]) == (Result.SUCCESSFUL, [])
    assert chip(line).permit is None, "one source says 90 characters; 30 are no error"


def test_a_permit_without_a_name():
    found = chip(PERMITS["CS"] + "<" * 60)
    assert found.permit.chinese_name is None
    assert found.permit.surname.reveal() == found.permit.sex.reveal() == ""


@pytest.mark.parametrize("code", ["CS", "CD"])
def test_a_card_of_another_state_with_a_permits_code(code):
    """TD1: any state may number its cards' kinds with such letters."""
    number = "D23145890"
    first = f"{code}UTO{number}{check_digit(number)}" + "<" * 15
    second = "7408122F1204159UTO<<<<<<<<<<<"
    composite = check_digit(first[5:30] + second[:7] + second[8:15] + second[18:29])
    found = chip(first + second + str(composite) + "ERIKSSON<<ANNA<MARIA<<<<<<<<<<")
    assert found.permit is None
    assert found.mrz.format is MrzFormat.TD1
    assert found.mrz.issuing_state == "UTO"


def test_text_without_its_data_object_and_bare_text():
    text = "".join(TD3)
    for file in (encode(0x61, text.encode()), text.encode(), memoryview(text.encode())):
        assert parse_dg1(file, today=TODAY).mrz.lines.reveal() == tuple(TD3)


@pytest.mark.parametrize(
    ("file", "what"),
    [
        (b"", "dg1"),
        (b"\x61\x00", "dg1"),
        (dg1("".join(TD3)[:-1]), "dg1"),
        (dg1("".join(TD3) * 2), "dg1"),
        (dg1("".join(TD3)) + b"\x00", "dg1"),
        (encode(0x75, b""), "dg1"),
        (dg1("".join(TD3).lower()), "mrz"),
        (dg1("D1FRA" + "<" * 25), "mrz"),
        (dg1("Q" * 30), "mrz"),
        (dg1(PERMITS["CS"] + "é" * 30), "mrz"),
        (dg1(PERMITS["CS"] + "\x1b" * 60), "mrz"),
        (encode(0x61, encode(0x5F1F, b"\xff" * 88)), "mrz"),
    ],
    ids=range(12),
)
def test_what_is_no_dg1(file, what):
    with pytest.raises(DecodeError) as caught:
        parse_dg1(file, today=TODAY)
    assert caught.value.what == what


@pytest.mark.parametrize("entry", CHIPS, ids=lambda entry: entry["name"])
def test_every_altered_field_is_named(entry):
    """Each character in turn: the field that holds it differs, and no other."""
    layout = LAYOUTS[MrzFormat(entry["format"])]
    text = "".join(entry["lines"])
    for field in layout.fields:
        at = field.start
        if field.name in {"document_code", "issuing_state"}:
            continue  # may make it another layout
        other = next(char for char in field.alphabets[0][::-1] if char not in {text[at], "<", "0"})
        altered = text[:at] + other + text[at + 1 :]
        named = "filler" if field.name.startswith("filler") else field.name.removesuffix("_check")
        assert outcome(altered, entry["lines"]) == (
            Result.FAILED,
            [("chip.mrz_differs", {"field": named})],
        )
        assert outcome(altered, entry["lines"], sure=False) == (
            Result.UNDETERMINED,
            [("chip.mrz_differs_unsure", {"field": named})],
        )


def test_reasons_name_fields_once_and_hold_no_values():
    other = TD3[1].replace("L898902C36", "M112233447").replace("740812", "750812")
    result, reasons = outcome(TD3[0] + other, TD3)
    assert result is Result.FAILED
    assert [params["field"] for _, params in reasons] == ["document_number", "birth_date"]
    assert all(set(params) == {"field"} for _, params in reasons)


def test_an_unsure_reading_that_agrees_is_proof_enough():
    assert outcome("".join(TD3), TD3, sure=False) == (Result.SUCCESSFUL, [])


def test_the_check_digit_of_nothing_may_differ():
    lines = specimen("TD3: CAN")
    assert lines[1][42] == "0"
    filler = lines[1][:42] + "<" + lines[1][43:]
    assert outcome(lines[0] + filler, lines) == (Result.SUCCESSFUL, [])
    assert outcome(lines[0] + lines[1][:42] + "7" + lines[1][43:], lines)[0] is Result.FAILED
    full = specimen("TD3: CZE")
    blank = full[1][:42] + "<" + full[1][43:]
    assert outcome(full[0] + blank, full)[0] is Result.FAILED, "that digit covers something"


@pytest.mark.parametrize(("sure", "result"), [(True, Result.FAILED), (False, Result.UNDETERMINED)])
def test_another_kind_of_document(sure, result):
    assert outcome("".join(specimen("TD1: CHE")), TD3, sure) == (result, [("chip.mrz_other_kind", {})])


def test_identity_stays_inside():
    found = chip("".join([PERMITS["CS"], *PERMIT_LINES]))
    for value in (found, found.permit):
        assert repr(value) == f"<{type(value).__name__}>" or "withheld" in repr(value)
        with pytest.raises(IdentityLeakError):
            str(value)

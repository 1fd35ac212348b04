"""Whatever comes in as an MRZ, or is asked to be printed as one, ends quickly and in the errors that are promised."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.core.card_numbers import find_card_number
from edged.core.layouts import LAYOUTS, MrzFormat, classify
from edged.core.mrz import format_mrz, parse_mrz
from edged.core.mrz_dates import birth_date, expiry_date
from edged.core.mrz_names import decode_ga, decode_quwei
from edged.errors import DecodeError
from tests.mrz_specimens import SPECIMENS, TODAY

MEGABYTE = 1 << 20
ODD = string.printable + "ÄßŞıЖ王０«\x00\x7f\x80\ud800😀\u2028\u0130"
SECRETS = ("ERIKSSON", "L898902C3", "MUSTERMANN")


def parsed_or_refused(lines: Any) -> bool:
    try:
        mrz = parse_mrz(lines, today=TODAY)
    except DecodeError as error:
        assert error.what == "mrz"
        assert error.code in {"mrz.unknown_format", "mrz.driving_licence", "mrz.bad_character"}
        assert not any(secret in str(error) for secret in SECRETS)
        return False
    for name in dir(mrz):
        if not name.startswith("__") and name not in {"raw", "fields", "_refuse"}:
            getattr(mrz, name)
    assert parse_mrz(list(mrz.lines.reveal()), today=TODAY) == mrz
    assert mrz.raw("document_number").reveal() in "".join(mrz.lines.reveal())
    mrz.fields()
    return True


def damaged(text: str, chance: random.Random) -> str:
    """One to six small accidents: what a reader, a cable or an enemy might do to a text."""
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(text) + 1)
        match chance.randrange(7):
            case 0:
                text = text[:at] + chance.choice(ODD) + text[at + 1 :]
            case 1 | 2:
                text = text[:at] + chance.choice("<0123456789ABCXYZ") + text[at + 1 :]
            case 3:
                text = text[:at] + chance.choice("<0A\n\r") + text[at:]
            case 4:
                text = text[:at] + text[at + chance.randint(1, 3) :]
            case 5:
                text = text[at:] + text[:at]
            case _:
                text = text[:at] + text[at : at + 9][::-1] + text[at + 9 :]
    return text


@pytest.mark.parametrize("entry", SPECIMENS, ids=lambda entry: entry["name"])
def test_damaged_specimens(entry: dict[str, Any]) -> None:
    chance = random.Random(entry["name"])
    parsed = 0
    for _ in range(150):
        text = damaged("\n".join(entry["lines"]), chance)
        parsed += parsed_or_refused(text)
        parsed += parsed_or_refused(text.split("\n"))
    assert parsed > 5, "the damage leaves something to parse"


@settings(derandomize=True, max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_as_text(data: bytes) -> None:
    parsed_or_refused(data.decode("latin-1"))
    parsed_or_refused(data.decode("utf-8", "surrogateescape"))
    parsed_or_refused(data.decode("utf-16-le", "replace").splitlines())


@pytest.mark.parametrize(
    "lines",
    [
        "A" * MEGABYTE,
        "<" * MEGABYTE,
        "\n" * MEGABYTE,
        "\r\n" * MEGABYTE,
        "王" * MEGABYTE,
        ["A" * MEGABYTE] * 2,
        ["P<UTO" + "<" * MEGABYTE, "<" * 44],
        ["<" * 44] * MEGABYTE,
        [""] * MEGABYTE,
        ("<" * 30, "<" * 30, "<" * MEGABYTE),
    ],
    ids=range(10),
)
def test_a_megabyte_is_refused(lines: Any) -> None:
    assert not parsed_or_refused(lines)
    with pytest.raises(DecodeError):
        classify([lines] if isinstance(lines, str) else lines)


def test_other_readers_of_a_megabyte() -> None:
    for text in ("1" * MEGABYTE, "1 " * MEGABYTE, "CAN" * MEGABYTE):
        with pytest.raises(DecodeError):
            find_card_number(text)
    assert decode_ga("ABCD" * MEGABYTE) is None
    assert decode_quwei("1601" * MEGABYTE) is None
    for read in (birth_date, expiry_date):
        for raw in ("7" * MEGABYTE, "王" * 6):
            with pytest.raises(ValueError, match="six characters") as caught:
                read(raw, TODAY)
            assert caught.value.__context__ is None


values = st.one_of(
    st.text(max_size=50), st.text(string.ascii_uppercase + string.digits + "< -'", max_size=50)
)
names = sorted(
    {field.name for layout in LAYOUTS.values() for field in layout.fields} | {"surname", "given_names", "x"}
)


@settings(derandomize=True, max_examples=400)
@given(
    st.sampled_from(MrzFormat),
    st.dictionaries(st.sampled_from(names), values, max_size=6),
    st.booleans(),
)
def test_anything_is_printed_or_refused(format_: MrzFormat, fields: dict[str, str], filler: bool) -> None:
    try:
        lines = format_mrz(format_, fields, long_number_filler=filler)
    except ValueError as error:
        assert type(error) is ValueError, "an error of a codec's would tell the value"
        assert error.__context__ is None
        assert not any(len(value) > 6 and value in str(error) for value in fields.values())
        return
    layout = LAYOUTS[format_]
    assert [len(line) for line in lines] == layout.lines * [layout.width]
    assert parsed_or_refused(lines) or layout.format is not MrzFormat.TD3


@pytest.mark.parametrize("name", names)
@pytest.mark.parametrize("value", ["A" * MEGABYTE, "<" * MEGABYTE, "A " * MEGABYTE, "王" * MEGABYTE, "😀"])
def test_a_megabyte_is_not_printed(name: str, value: str) -> None:
    """But for a name, which is cut."""
    for format_ in MrzFormat:
        try:
            lines = format_mrz(format_, {name: value})
        except ValueError as error:
            assert len(str(error)) < 200
            continue
        assert name in {"surname", "given_names", "chinese_name"}
        assert [len(line) for line in lines] == LAYOUTS[format_].lines * [LAYOUTS[format_].width]


@pytest.mark.parametrize("name", ["<", "<<<<", "A<B", "<" * 60])
def test_a_name_holds_no_fillers_of_its_own(name: str) -> None:
    for fields in ({"surname": name}, {"surname": "A", "given_names": name}):
        with pytest.raises(ValueError, match="name"):
            format_mrz(MrzFormat.TD3, fields)

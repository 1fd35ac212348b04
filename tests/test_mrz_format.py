"""What is formatted parses to the same fields, for every layout."""

from __future__ import annotations

import datetime
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.core.countries import COUNTRIES
from edged.core.layouts import LAYOUTS, MrzFormat
from edged.core.mrz import format_mrz, parse_mrz
from edged.core.mrz_dates import raw_date
from edged.core.mrz_names import decode_ga, decode_quwei, encode_ga, encode_quwei
from tests import mrz_oracle as oracle
from tests.mrz_specimens import TODAY

LETTERS = string.ascii_uppercase
ALNUM = LETTERS + string.digits


def names(longest: int) -> st.SearchStrategy[str]:
    parts = st.lists(st.text(LETTERS, min_size=1, max_size=4), min_size=1, max_size=3).map(" ".join)
    return parts.map(lambda name: name[:longest].strip())


def numbers(shortest: int, longest: int) -> st.SearchStrategy[str]:
    return st.text(ALNUM, min_size=shortest, max_size=longest)


births = st.dates(datetime.date(1927, 1, 1), TODAY).map(raw_date)
expiries = st.dates(datetime.date(2000, 1, 1), datetime.date(2076, 12, 31)).map(raw_date)
states = st.sampled_from(sorted(COUNTRIES.keys() - {"CHN"}))
chinese_names = st.text("张伟王芳李娜刘洋陈静杨昭证件样本", min_size=1, max_size=6)

PERSON = {
    "birth_date": births,
    "expiry_date": expiries,
    "sex": st.sampled_from("MFX"),
    "nationality": states,
    "issuing_state": states,
    "surname": names(13),
    "given_names": st.one_of(st.just(""), names(14)),
    "optional_data": numbers(0, 7),
}
CARD = {
    **{key: PERSON[key] for key in ("birth_date", "expiry_date", "sex", "surname", "given_names")},
    "surname": names(11),
    "given_names": names(12),
    "renewals": st.text(string.digits, min_size=2, max_size=2),
}

FIELDS: dict[MrzFormat, dict[str, st.SearchStrategy[str]]] = {
    MrzFormat.TD1: {
        **PERSON,
        "document_code": st.sampled_from(["I", "ID", "C1", "AC", "RP"]),
        "document_number": numbers(1, 14),
        "optional_data": numbers(0, 8),
        "optional_data_2": numbers(0, 11),
    },
    MrzFormat.TD2: {
        **PERSON,
        "document_code": st.sampled_from(["I", "ID", "A", "C"]),
        "document_number": numbers(1, 12),
        "optional_data": numbers(0, 2),
    },
    MrzFormat.TD3: {
        **PERSON,
        "document_code": st.sampled_from(["P", "PO", "PD"]),
        "document_number": numbers(1, 9),
        "optional_data": numbers(0, 14),
    },
    MrzFormat.MRVA: {
        **PERSON,
        "document_code": st.sampled_from(["V", "VC"]),
        "document_number": numbers(1, 9),
        "optional_data": numbers(0, 16),
    },
    MrzFormat.MRVB: {
        **PERSON,
        "document_code": st.sampled_from(["V", "VC"]),
        "document_number": numbers(1, 9),
        "optional_data": numbers(0, 8),
    },
    MrzFormat.FRA_ID: {
        **{key: PERSON[key] for key in ("birth_date", "sex")},
        "document_code": st.just("ID"),
        "issuing_state": st.just("FRA"),
        "surname": names(14),
        "given_names": names(14),
        "administrative_code": numbers(0, 6),
        "document_number": st.from_regex("[0-9]{4}[0-9A-Z]{3}[0-9]{5}", fullmatch=True),
    },
    MrzFormat.PRC_PERMIT: {
        **{key: PERSON[key] for key in ("birth_date", "expiry_date")},
        "document_code": st.just("CD"),
        "document_number": st.from_regex("L[0-9]{8}", fullmatch=True),
    },
    MrzFormat.PRC_CARD: {
        **CARD,
        "document_code": st.just("CR"),
        "document_number": st.from_regex("[HM][0-9]{8}", fullmatch=True),
        "chinese_name": chinese_names,
        "omitted_letters": st.just("A"),
        "optional_data": numbers(0, 10),
        "authority": st.sampled_from(["", "3500"]),
        "birth_century": st.just("A"),  # none: the clock decides
    },
    MrzFormat.PRC_HOME_RETURN: {
        **CARD,
        "document_code": st.just("C"),
        "issuing_state": st.just("CHN"),
        "document_number": st.from_regex("[HM][0-9]{8}", fullmatch=True),
        "chinese_name": chinese_names,
        "birth_century": st.just("0"),
        "expiry_century": st.just("0"),
    },
}


@pytest.mark.parametrize("format_", list(MrzFormat))
@given(data=st.data())
def test_round_trip(format_: MrzFormat, data: st.DataObject) -> None:
    fields = {name: data.draw(strategy, label=name) for name, strategy in FIELDS[format_].items()}
    long_filler = data.draw(st.booleans())
    empty_check = data.draw(st.sampled_from("<0"))
    if format_ is MrzFormat.TD1 and len(fields["document_number"]) > 9:
        fields["optional_data"] = fields["optional_data"][: 13 - len(fields["document_number"][9:])]
    if format_ is MrzFormat.TD2 and len(fields["document_number"]) > 9:
        fields["optional_data"] = fields["optional_data"][: 5 - len(fields["document_number"][9:])]
    lines = format_mrz(format_, fields, empty_check=empty_check, long_number_filler=long_filler)
    mrz = parse_mrz(lines, today=TODAY)
    assert mrz.format is format_
    assert mrz.valid
    assert oracle.judge(lines) == (str(format_), set())
    again = mrz.fields().reveal()
    if "chinese_name" in fields:
        room = 4 if format_ is MrzFormat.PRC_CARD else 5
        assert again["chinese_name"] == fields["chinese_name"][:room]
        assert mrz.chinese_characters_omitted == max(0, len(fields["chinese_name"]) - room)
        again.pop("omitted_characters")
        again["chinese_name"] = fields["chinese_name"]
    assert again == fields
    printed = format_mrz(
        format_, mrz.fields().reveal(), empty_check=empty_check, long_number_filler=long_filler
    )
    assert printed == lines


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"document_number": "L898902C3X"}, "document_number holds 9 characters"),
        ({"nationality": "UT0"}, "nationality holds a character"),
        ({"surname": "eriksson"}, "name holds a character"),
        ({"surname": "ÅKESSON"}, "name holds a character"),
        ({"birth_date": "7408-1"}, "birth_date holds a character"),
        ({"favourite_colour": "RED"}, "TD3 has no field favourite_colour"),
        ({"composite_check": "1"}, "TD3 has no field composite_check"),
        ({"chinese_name": "杨昭"}, "TD3 has no field chinese_name"),
    ],
)
def test_what_cannot_be_printed_is_refused_by_name(changes: dict[str, str], message: str) -> None:
    fields = {"document_code": "P", "issuing_state": "UTO", "surname": "ERIKSSON", **changes}
    with pytest.raises(ValueError, match=message) as caught:
        format_mrz(MrzFormat.TD3, fields)
    assert "898902" not in str(caught.value)
    assert "eriksson" not in str(caught.value)


@pytest.mark.parametrize("format_", list(MrzFormat))
def test_nothing_given_is_printed_as_fillers(format_: MrzFormat) -> None:
    layout = LAYOUTS[format_]
    lines = format_mrz(format_, {})
    assert [len(line) for line in lines] == layout.lines * [layout.width]
    assert set("".join(lines)) <= set("<0")


@given(st.text(st.characters(codec="gb2312", min_codepoint=0x4E00, max_codepoint=0x9FFF), max_size=5))
def test_chinese_names_round_trip(name: str) -> None:
    assert decode_ga(encode_ga(name)) == (name or None)
    assert decode_quwei(encode_quwei(name)) == (name or None)


@given(st.text(ALNUM + "<", max_size=24))
def test_any_code_decodes_or_not(raw: str) -> None:
    for decoded in (decode_ga(raw), decode_quwei(raw)):
        assert decoded is None or 4 * len(decoded) == len(raw.rstrip("<"))


@pytest.mark.parametrize("name", ["杨A昭", "杨 昭", "杨😀"])
def test_only_chinese_characters_are_coded(name: str) -> None:
    for encode in (encode_ga, encode_quwei):
        with pytest.raises(ValueError):
            encode(name)

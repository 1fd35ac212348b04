"""Every typed field of every layout is what the slow, obvious parser finds; valid and damaged text alike."""

from __future__ import annotations

import datetime
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edged.core.countries import COUNTRIES
from edged.core.mrz import FieldCheck, Mrz, MrzDate, parse_mrz
from edged.errors import DecodeError
from edged.identity import Sensitive
from edged.verdict import Result
from tests import mrz_fields_oracle as oracle
from tests.mrz_specimens import SPECIMENS, TODAY
from tests.mrz_texts import mrz_texts, telling_texts

PLAIN = (
    *("format", "document_class", "document_code", "issuing_state", "chinese_characters_omitted"),
    *("name_may_be_truncated", "region", "specimen", "check_digits_ok", "fields_ok", "valid"),
)
HIDDEN = (
    *("lines", "surname", "given_names", "document_number", "nationality", "sex", "optional_data"),
    "optional_data_2",
)
clocks = st.dates(datetime.date(2001, 1, 1), datetime.date(2140, 12, 31))


def day(found: MrzDate | None) -> dict[str, Any] | None:
    return found and {
        name: getattr(found, name) for name in ("raw", "year", "month", "day", "date", "problem")
    }


def outcome(check: FieldCheck) -> tuple[str, tuple[str, str] | None]:
    assert (check.reason is None) == (check.result is Result.SUCCESSFUL)
    if check.reason is None:
        return check.name, None
    if check.reason.code != "mrz.composite_unproven":
        assert check.reason.params == {"field": check.name}
    return check.name, (str(check.result), check.reason.code)


def seen(mrz: Mrz) -> dict[str, Any]:
    """Everything that `Mrz` tells, in the oracle's words."""
    found: dict[str, Any] = {name: getattr(mrz, name) for name in PLAIN}
    for name in HIDDEN:
        value = getattr(mrz, name)
        assert isinstance(value, Sensitive)
        found[name] = value.reveal()
    found["chinese_name"] = mrz.chinese_name and mrz.chinese_name.reveal()
    for name in ("birth_date", "expiry_date", "issue_date"):
        found[name] = day(getattr(mrz, name))
    found["check_digits"] = [outcome(check) for check in mrz.check_digits]
    found["field_checks"] = [outcome(check) for check in mrz.field_checks]
    found["reasons"] = [(reason.code, reason.params.get("field", "composite")) for reason in mrz.reasons]
    return found


def agree(lines: list[str], today: datetime.date) -> None:
    expected = oracle.parse(lines, today, COUNTRIES.keys())
    if expected is None:
        with pytest.raises(DecodeError):
            parse_mrz(lines, today=today)
        return
    found = seen(parse_mrz(lines, today=today))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == value, name


@pytest.mark.parametrize("entry", SPECIMENS, ids=lambda entry: entry["name"])
def test_specimens(entry: dict[str, Any]) -> None:
    agree(entry["lines"], TODAY)
    found = oracle.parse(entry["lines"], TODAY, COUNTRIES.keys())
    assert found is not None
    assert found["valid"], "the oracle itself is right about what was published"
    assert found["document_number"] == entry["fields"]["document_number"]
    assert found["surname"] == entry["fields"].get("surname", "")
    assert found["birth_date"]["date"] == datetime.date.fromisoformat(entry["birth_date"])
    assert found["chinese_name"] == entry.get("chinese_name")


@settings(derandomize=True, max_examples=700)
@given(telling_texts(), clocks)
def test_changed_fields(lines: list[str], today: datetime.date) -> None:
    agree(lines, today)


@settings(derandomize=True, max_examples=500)
@given(mrz_texts(), clocks)
def test_damage_and_noise(lines: list[str], today: datetime.date) -> None:
    agree(lines, today)


@settings(derandomize=True, max_examples=100)
@given(
    telling_texts(),
    st.sampled_from([tuple, "\n".join, "\r\n".join, lambda lines: [Text(line) for line in lines]]),
)
def test_however_the_lines_come(lines: list[str], given_as: Any) -> None:
    """A list is the short way; everything else takes the long one, to the same fields."""
    assume(oracle.parse(lines, TODAY, COUNTRIES.keys()) is not None)
    assert seen(parse_mrz(given_as(lines), today=TODAY)) == seen(parse_mrz(lines, today=TODAY))


class Text(str):
    """No plain string."""


def test_every_layout_is_told_apart_in_the_strategies() -> None:
    assert {entry["format"] for entry in SPECIMENS} == oracle.PLACES.keys()


@pytest.mark.parametrize("today", [None, "2026-11-21", 20261121])
def test_today_is_a_date(today: Any) -> None:
    with pytest.raises(TypeError):
        parse_mrz(SPECIMENS[0]["lines"], today=today)


def test_threads_share_the_parser() -> None:
    records = [entry["lines"] for entry in SPECIMENS] * 20
    expected = [parse_mrz(lines, today=TODAY) for lines in records]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: [parse_mrz(lines, today=TODAY) for lines in records], range(4)):
            assert found == expected


def test_nothing_is_kept_of_what_was_parsed() -> None:
    """No cache of identity, and no reference too many: the values go with the MRZ."""
    lines = ["".join(line) for line in SPECIMENS[0]["lines"]]
    before = [sys.getrefcount(line) for line in lines]
    mrz = parse_mrz(lines, today=TODAY)
    surname = mrz.surname.reveal()
    held = sys.getrefcount(surname)
    assert sys.getrefcount(lines[0]) == before[0] + 1
    del mrz
    assert sys.getrefcount(surname) == held - 1
    assert [sys.getrefcount(line) for line in lines] == before


def test_two_of_the_same_share_nothing_of_their_holders() -> None:
    one, other = (parse_mrz(SPECIMENS[0]["lines"], today=TODAY) for _ in range(2))
    assert one == other
    for name in ("surname", "given_names", "document_number", "optional_data"):
        assert getattr(one, name) == getattr(other, name)
        assert getattr(one, name) is not getattr(other, name)
        assert getattr(one, name).reveal() is not getattr(other, name).reveal()
    assert one.birth_date is not other.birth_date

"""The table of codes: complete, consistent, and saying what the product must say."""

from __future__ import annotations

import re

import pytest

from edged.core.countries import COUNTRIES, known, name
from edged.core.country_table import ISO, SPECIAL

HAN = re.compile(r"[\u4e00-\u9fff]")


def test_iso_is_complete() -> None:
    assert len(ISO) == 249
    assert len({numeric for _, numeric, _, _ in ISO}) == 249
    assert all(
        re.fullmatch(r"[A-Z]{3}", code) and re.fullmatch(r"[0-9]{3}", numeric) for code, numeric, _, _ in ISO
    )
    assert [row[0] for row in ISO] == sorted(row[0] for row in ISO)


def test_no_code_twice() -> None:
    assert len(COUNTRIES) == len(ISO) + len(SPECIAL)


def test_every_code_has_both_names() -> None:
    for country in COUNTRIES.values():
        assert HAN.search(country.chinese)
        assert not HAN.search(country.english)
        assert country.english == country.english.strip()


@pytest.mark.parametrize(
    "code",
    [
        *("D", "GBD", "GBN", "GBO", "GBS", "GBP", "RKS", "XXK", "UNK", "EUE", "UNO", "UNA"),
        *("XBA", "XIM", "XCC", "XCE", "XCO", "XEC", "XPO", "XES", "XOM", "XDC", "XXA", "XXB", "XXC", "XXX"),
        *("ANT", "NTZ", "UTO", "INP", "ROM", "YUG", "ZAR", "TMP", "CHN", "TWN", "HKG", "MAC"),
    ],
)
def test_special_codes_are_known(code: str) -> None:
    assert known(code)


@pytest.mark.parametrize("code", ["", "QQQ", "D<<", "chn", "XMP", "XCT", "IAO"])
def test_others_are_not(code: str) -> None:
    assert not known(code)
    assert name(code, "zh-CN") == name(code, "en") == code


@pytest.mark.parametrize(
    ("code", "english", "chinese"),
    [
        ("TWN", "Taiwan, China", "中国台湾"),
        ("HKG", "Hong Kong, China", "中国香港"),
        ("MAC", "Macao, China", "中国澳门"),
        ("D", "Germany", "德国"),
        ("DEU", "Germany", "德国"),
        ("CHN", "China", "中国"),
        ("XXA", "Stateless person", "无国籍人"),
    ],
)
def test_names(code: str, english: str, chinese: str) -> None:
    assert name(code, "en") == english
    assert name(code, "zh-CN") == chinese
    assert name(code, "fr") == english


def test_utopia_is_the_only_specimen() -> None:
    assert [country.code for country in COUNTRIES.values() if country.specimen] == ["UTO"]


def test_numbers_for_the_permanent_resident_card() -> None:
    assert {code: COUNTRIES[code].numeric for code in ("SAU", "CAN", "PAK", "D")} == {
        "SAU": "682",
        "CAN": "124",
        "PAK": "586",
        "D": None,
    }

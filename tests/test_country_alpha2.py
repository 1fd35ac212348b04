"""Two-letter codes of certificates lead to names and to the codes of machine-readable zones."""

from __future__ import annotations

import pytest

from edged.core import countries
from edged.core.country_alpha2 import ALPHA3, alpha2_of, name
from edged.core.country_table import ISO


def test_every_country_has_its_two_letters() -> None:
    assert {code for code, *_ in ISO} <= set(ALPHA3.values())
    assert all(countries.known(code) for code in ALPHA3.values())
    assert all(len(two) == 2 and two.isupper() for two in ALPHA3)


@pytest.mark.parametrize(
    ("code", "two"), [("D", "DE"), ("deu", "DE"), ("de", "DE"), ("CHN", "CN"), ("GBR", "GB"), ("KOR", "KR")]
)
def test_codes_of_either_kind(code: str, two: str) -> None:
    assert alpha2_of(code) == two


def test_names() -> None:
    assert (name("DE", "en"), name("DE", "zh-CN")) == ("Germany", "德国")
    assert (name("EU", "en"), name("UN", "en"), name("KS", "en")) == (
        "European Union",
        "United Nations",
        "Kosovo",
    )
    assert name("QQ", "en") == "QQ"
    assert alpha2_of("QQQ") is None

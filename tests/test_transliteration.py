"""Every spelling that Doc 9303 allows for a printed name is accepted, and no other."""

from __future__ import annotations

import itertools
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.core.transliteration import SPELLINGS, may_stand_for


@pytest.mark.parametrize(
    ("printed", "spelt"),
    [
        ("Müller", ["MUELLER", "MULLER", "MUXXLLER"]),
        ("Åkesson", ["AAKESSON", "AKESSON"]),
        ("Ærø", ["AEROE"]),
        ("Muñoz", ["MUNOZ", "MUNXXOZ"]),
        ("Groß", ["GROSS"]),
        ("Þór", ["THOR"]),
        ("Đorđe", ["DORDE"]),
        ("Ĳssel", ["IJSSEL"]),
        ("Łukasz", ["LUKASZ"]),
        ("O'Connor-Smith", ["OCONNOR SMITH"]),
        ("van der Müellen", ["VAN DER MUEELLEN", "VAN DER MUELLEN"]),
        ("Dvořák", ["DVORAK"]),
        ("I\u0307lk\u0131n", ["ILKIN"]),
        ("de Araújo,  André", ["DE ARAUJO ANDRE"]),
        ("", [""]),
        ("-", [""]),
    ],
)
def test_allowed_spellings(printed: str, spelt: list[str]) -> None:
    for mrz in spelt:
        assert may_stand_for(mrz, printed), mrz
        assert may_stand_for(mrz, printed, truncated=True)


@pytest.mark.parametrize(
    ("printed", "mrz"),
    [
        ("Müller", "MILLER"),
        ("Müller", "MUELLE"),
        ("Müller", "MUELLERX"),
        ("Müller", ""),
        ("", "A"),
        ("Smith", "SMITH JOHN"),
        ("van Dam", "VANDAM"),
        ("王", "WANG"),
        ("Ærø", "ARO"),
        ("A5", "A5"),
    ],
)
def test_others_are_not(printed: str, mrz: str) -> None:
    assert not may_stand_for(mrz, printed)


def test_a_cut_name_ends_anywhere() -> None:
    full = "ANDRE ESTEVES"
    for length in range(1, len(full)):
        cut = full[:length].rstrip()
        assert may_stand_for(cut, "André Esteves", truncated=True)
        assert not may_stand_for(cut, "André Esteves")
    assert not may_stand_for("ANDRE X", "André Esteves", truncated=True)
    assert may_stand_for("MU", "Mü", truncated=True)


@settings(derandomize=True)
@given(st.lists(st.sampled_from([*SPELLINGS, *string.ascii_uppercase]), min_size=1, max_size=5))
def test_every_combination(letters: list[str]) -> None:
    for spelling in itertools.product(*(SPELLINGS.get(letter, (letter,)) for letter in letters)):
        assert may_stand_for("".join(spelling), "".join(letters))


@settings(derandomize=True)
@given(st.text(max_size=60), st.text("ABCDEX ", max_size=40), st.booleans())
def test_any_text_has_an_answer(printed: str, mrz: str, truncated: bool) -> None:
    assert may_stand_for(mrz, printed, truncated=truncated) in {True, False}

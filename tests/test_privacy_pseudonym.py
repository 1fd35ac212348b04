"""Pseudonyms: stable for one key, unlinkable across keys, scopes, audiences and claims."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import ConfigError
from edged.privacy.pseudonym import MIN_KEY, PSEUDONYM_BYTES, Pseudonymiser, normalise

KEY = bytes(range(32))
BANK = Pseudonymiser(KEY, "box:bank")


def test_a_known_answer() -> None:
    """Written out by hand: a change here unlinks every pseudonym a partner has stored."""
    parts = (b"edged/1/pseudonym", b"box:bank", b"document", b"uto", b"passport", b"l898902c3")
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    digest = hmac.new(KEY, message, hashlib.sha256).digest()[:16]
    expected = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert BANK.pseudonym("document", "UTO", "passport", "L898902C3") == expected


def test_at_least_128_bits_on_the_wire() -> None:
    assert PSEUDONYM_BYTES * 8 >= 128
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", BANK.pseudonym("document", "x"))


@given(st.text(), st.text())
def test_equal_values_and_only_they_have_equal_pseudonyms(one: str, two: str) -> None:
    same = normalise(one) == normalise(two)
    assert (BANK.pseudonym("document", one) == BANK.pseudonym("document", two)) is same


@pytest.mark.parametrize(
    "spelling", ["L898902C3", "l898902c3", "L8989 02C3", "L898902C3<<<", "L898-902-C3", "Ｌ８９８９０２Ｃ３"]
)
def test_spelling_makes_no_difference(spelling: str) -> None:
    assert BANK.pseudonym("document", spelling) == BANK.pseudonym("document", "L898902C3")


def test_borders_between_parts_do() -> None:
    made = {
        BANK.pseudonym("holder", "AN", "NA"),
        BANK.pseudonym("holder", "ANNA"),
        BANK.pseudonym("holder", "ANNA", ""),
        BANK.pseudonym("holder", "", "ANNA"),
        BANK.pseudonym("holder", "A", "NNA"),
    }
    assert len(made) == 5


def test_nobody_can_compare_notes() -> None:
    made = [
        Pseudonymiser(key, scope).pseudonym(claim, "L898902C3")
        for key in (KEY, KEY[::-1])
        for scope in ("box:bank", "box:hotel", "organisation:bank", "box:ban", "box:bankd")
        for claim in ("document", "holder", "ocument")
    ]
    assert len(set(made)) == len(made)


def test_a_short_key_is_refused_without_being_shown() -> None:
    Pseudonymiser(bytes(MIN_KEY), "box:bank")
    for key in (b"", b"secretsecretsecretsecretsecretse"[:31]):
        with pytest.raises(ConfigError, match=r"config\.key_too_short.*bytes=32") as caught:
            Pseudonymiser(key, "box:bank")
        assert "secret" not in str(caught.value)

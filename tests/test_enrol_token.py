"""The enrolment token: what a person types, with all the errors a person makes."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.core.barcode import find_barcodes
from edged.errors import DecodeError
from edged.fleet import qr
from edged.uplink.token import OLDEST, Token, make, parse, voucher, vouches

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
TOKEN = Token("box-17", "enrol.example.net", 8443, "7K3Q90MZ2RTB4CDEFGHJ", "ZYXWVTSRQPNMKJHGFEDC")

names = st.from_regex(r"[a-z0-9]{1,12}(-[a-z0-9]{1,12}){0,3}", fullmatch=True)
hosts = names | st.ip_addresses().map(str) | st.builds("{}.{}".format, names, names)
parts = st.text(ALPHABET, min_size=20, max_size=20)
tokens = st.builds(Token, names, hosts, st.integers(1, 65535), parts, parts)


def refusal(text: str) -> str:
    with pytest.raises(DecodeError) as caught:
        parse(text)
    return caught.value.code


@given(tokens)
def test_every_spelling_is_the_same_token(token: Token) -> None:
    for text in (
        token.text(),
        token.line(),
        token.qr(),
        token.text().lower(),
        token.text().replace("-", " "),
    ):
        # The first line's own hyphens are part of names, and stay.
        spelled = token.address_line + text[len(token.address_line) :] if "@" in text else text
        assert parse(spelled) == token
    crowded = f"\ufeff  {token.address_line} \r\n {''.join(token.groups)} \r\n\r\n"
    assert parse(crowded) == token


@given(tokens, st.data())
def test_letters_that_look_like_digits_are_forgiven(token: Token, data: Any) -> None:
    groups = "-".join(token.groups)
    for digit, letters in (("0", "oO"), ("1", "iIlL")):
        groups = groups.replace(digit, data.draw(st.sampled_from(letters)))
    assert parse(f"{token.address_line}\n{groups}") == token


@given(tokens, st.integers(0, 53), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_told_with_its_group(token: Token, place: int, character: str) -> None:
    characters = "".join(token.groups)
    if characters[place] == character:
        return
    typed = characters[:place] + character + characters[place + 1 :]
    with pytest.raises(DecodeError) as caught:
        parse(f"{token.address_line}\n{typed}")
    assert (caught.value.code, caught.value.detail) == ("token.group", str(place // 6 + 1))


@given(tokens, st.integers(0, 52))
def test_two_swapped_characters_are_told(token: Token, place: int) -> None:
    characters = list("".join(token.groups))
    if characters[place] == characters[place + 1]:
        return
    characters[place : place + 2] = reversed(characters[place : place + 2])
    assert refusal(f"{token.address_line}\n{''.join(characters)}") in ("token.group", "token.mistyped")


@given(tokens, st.integers(0, 8), st.integers(0, 8))
def test_two_swapped_groups_are_told(token: Token, one: int, other: int) -> None:
    groups = list(token.groups)
    if groups[one][:5] == groups[other][:5] or one == other:
        return
    groups[one], groups[other] = groups[other], groups[one]
    assert refusal(f"{token.address_line}\n{'-'.join(groups)}") == "token.group"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "token.malformed"),
        ("hello", "token.malformed"),
        ("https://example.net/", "token.malformed"),
        (TOKEN.address_line, "token.malformed"),
        (TOKEN.text().replace("box-17", "box-18"), "token.mistyped"),
        (TOKEN.text().replace("8443", "8444"), "token.mistyped"),
        (TOKEN.text().replace("8443", "0"), "token.address"),
        (TOKEN.text().replace("8443", "99999"), "token.address"),
        (TOKEN.text().replace("box-17", "box_17"), "token.address"),
        (TOKEN.text().replace("enrol.example", "enrol..example"), "token.address"),
        (TOKEN.text()[:-8], "token.length"),
        (TOKEN.text() + "0", "token.length"),
        (TOKEN.text().replace("7K3Q9", "7K3U9"), "token.group"),
        ("x" * 2000, "token.malformed"),
        ("бокс@" + TOKEN.text(), "token.malformed"),
    ],
)
def test_what_is_wrong_is_said(text: str, code: str) -> None:
    assert refusal(text) == code


@settings(max_examples=300)
@given(st.text(max_size=300) | st.text(string.printable, max_size=300).map(lambda text: f"a@b:1\n{text}"))
def test_nothing_but_its_own_error_comes_out(text: str) -> None:
    with pytest.raises(DecodeError):
        parse(text)


def test_a_secret_is_shown_by_nobody() -> None:
    assert TOKEN.secret not in repr(TOKEN)
    assert TOKEN.secret not in TOKEN.secret_sha256()


def test_a_token_has_a_hundred_bits_of_its_own_each_time() -> None:
    made = {make("box-1", "h", 1, TOKEN.voucher).secret for _ in range(50)}
    assert len(made) == 50
    assert all(len(secret) == 20 for secret in made)


@given(st.binary(max_size=50), st.binary(max_size=50), st.integers(1, 40), st.integers(1, 40))
def test_it_vouches_for_one_root_and_for_nothing_older(
    root: bytes, other: bytes, oldest: int, shown: int
) -> None:
    token = make("box-1", "h", 1, voucher(root, oldest))
    assert vouches(token, root, shown) == (shown >= oldest)
    if root != other:
        assert not vouches(token, other, shown)


def test_the_search_for_the_oldest_is_bounded() -> None:
    assert not vouches(TOKEN, b"root", 10**12)
    assert OLDEST <= 10**5


def test_the_qr_code_is_read_back_from_its_picture_and_from_a_terminal() -> None:
    import cv2

    picture = cv2.imdecode(np.frombuffer(qr.png(qr.modules(TOKEN.qr())), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    (code,) = find_barcodes(np.asarray(picture, np.uint8))
    assert parse(code.content.reveal().decode()) == TOKEN
    lines = qr.half_blocks(qr.modules(TOKEN.qr()))
    upper, lower = {"█": 255, "▀": 255}, {"█": 255, "▄": 255}
    rows = [[mark.get(character, 0) for character in line] for line in lines for mark in (upper, lower)]
    shown = np.array(rows, np.uint8).repeat(6, axis=0).repeat(6, axis=1)
    (code,) = find_barcodes(shown)
    assert parse(code.content.reveal().decode()) == TOKEN

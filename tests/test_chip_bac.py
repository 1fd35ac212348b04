"""Basic access control against a card side written apart from it."""

from __future__ import annotations

import random

import pytest

from edged.core.emrtd.access_keys import can_key, mrz_key
from edged.core.emrtd.bac import establish_bac
from edged.core.emrtd.session_keys import SessionKeys
from edged.core.emrtd.steps import drive
from edged.errors import ChipError, IdentityLeakError
from tests.chip_peers import BacCard
from tests.chip_scripts import H, Seeded, chosen_seed

KEY = mrz_key("L898902C", "690806", "940623")


def same_keys(keys: SessionKeys, card: BacCard) -> bool:
    """Parity bits aside."""
    assert card.session is not None
    encryption, mac, counter = card.session
    return (
        bytes(octet & 0xFE for octet in keys.encryption) == bytes(octet & 0xFE for octet in encryption)
        and bytes(octet & 0xFE for octet in keys.mac) == bytes(octet & 0xFE for octet in mac)
        and keys.counter.to_bytes(keys.suite.block, "big") == counter
    )


def rounds(count: int, seed: int) -> None:
    choose, draw = random.Random(seed), Seeded(seed)
    for number in range(count):
        text = "".join(choose.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=choose.randint(5, 9)))
        key = mrz_key(text, f"{choose.randrange(10**6):06}", f"{choose.randrange(10**6):06}")
        card = BacCard(key.octets(), choose.randrange(2**32))
        keys = drive(establish_bac(key, draw), card)
        assert same_keys(keys, card), f"EDGED_SEED={seed}, round {number}"


def test_rounds() -> None:
    rounds(100, chosen_seed())


@pytest.mark.slow
def test_a_thousand_rounds() -> None:
    rounds(1000, 1000)


@pytest.mark.parametrize(
    ("answer", "code", "tries"),
    [
        ("6300", "chip.wrong_key", None),
        ("63C2", "chip.wrong_key", "2"),
        ("63C0", "chip.key_blocked", None),
        ("6982", "chip.wrong_key", None),
        ("6988", "chip.wrong_key", None),
        ("6983", "chip.key_blocked", None),
        ("6D00", "chip.bac_failed", None),
        ("6F00", "chip.bac_failed", None),
    ],
)
def test_a_refused_key(answer: str, code: str, tries: str | None) -> None:
    card = BacCard(mrz_key("L898902C", "690806", "940624").octets(), 1, answer)
    with pytest.raises(ChipError) as refused:
        drive(establish_bac(KEY, Seeded(1)), card)
    assert (refused.value.code, refused.value.sw) == (code, int(answer, 16))
    assert refused.value.params.get("tries") == tries
    assert card.session is None


def test_no_octet_of_the_answer_may_differ() -> None:
    for at in range(40):
        card = BacCard(KEY.octets(), 1)

        def tampered(apdu: bytes, at: int = at, card: BacCard = card) -> bytes:
            response = bytearray(card(apdu))
            if len(response) == 42:
                response[at] ^= 0x01
            return bytes(response)

        with pytest.raises(ChipError, match=r"chip\.bac_failed"):
            drive(establish_bac(KEY, Seeded(1)), tampered)


def test_an_answer_of_an_earlier_session_is_refused() -> None:
    recorded: list[bytes] = []

    def recording(apdu: bytes) -> bytes:
        recorded.append(card(apdu))
        return recorded[-1]

    card = BacCard(KEY.octets(), 1)
    drive(establish_bac(KEY, Seeded(1)), recording)
    replay = iter(recorded)
    with pytest.raises(ChipError, match=r"chip\.bac_failed"):
        drive(establish_bac(KEY, Seeded(2)), lambda _: next(replay))


@pytest.mark.parametrize(
    "answer", ["9000", "00 9000", "00112233445566 9000", "001122334455667788 9000", "6D00"]
)
def test_a_challenge_that_is_none(answer: str) -> None:
    with pytest.raises(ChipError) as refused:
        drive(establish_bac(KEY), lambda _: H(answer))
    assert refused.value.code == "chip.bac_failed"


def test_a_card_access_number_opens_no_bac() -> None:
    with pytest.raises(ChipError) as refused:
        drive(establish_bac(can_key("123456")), lambda _: pytest.fail("nothing may be sent"))
    assert refused.value.code == "chip.bac_needs_mrz"


def test_session_keys_say_nothing() -> None:
    keys = drive(establish_bac(KEY, Seeded(1)), BacCard(KEY.octets(), 1))
    assert keys.encryption.hex() not in repr(keys)
    assert "withheld" in f"{keys}"
    with pytest.raises(IdentityLeakError):
        keys.__reduce__()

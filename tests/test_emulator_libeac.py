"""The emulated card's PACE against somebody else's terminal: Debian's libeac."""

from __future__ import annotations

import pytest

from edged.core.emrtd import suites
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.suites import Suite
from edged.emulator import security_objects
from edged.emulator.card import Card
from edged.emulator.object_identifiers import encode_oid
from edged.emulator.personalised import Conduct, Personalised
from edged.emulator.profiles import pace
from tests.libeac import library
from tests.libeac_terminal import open_card

pytestmark = pytest.mark.skipif(
    library() is None, reason="libeac.so.3 (Debian package libeac3) is not installed"
)

CAN = "123456"
OFFERS = [
    *((parameter, suites.AES128) for parameter in (8, 9, 10, 11, 12, 13)),
    *((parameter, suites.AES256) for parameter in (14, 15, 16, 17, 18, 13)),
    (13, suites.AES192),
    (13, suites.DES3),
    (0, suites.DES3),
    (1, suites.AES128),
    (2, suites.AES256),
]


def card_for(parameter: int, suite: Suite, tries: int | None = None) -> tuple[Card, bytes, bytes]:
    offer = pace(parameter, "GM", suite)
    access = security_objects.infos([security_objects.pace_info(offer)])
    contents = Personalised(
        {ElementaryFile.CARD_ACCESS: access}, b"", can=CAN, pace=(offer,), conduct=Conduct(tries=tries)
    )
    return Card(contents), access, encode_oid(offer.oid)


@pytest.mark.parametrize(
    ("parameter", "suite"), OFFERS, ids=[f"{one.name}-{parameter}" for parameter, one in OFFERS]
)
def test_libeac_opens_the_card(parameter: int, suite: Suite) -> None:
    # libeac leaves zeros in front of a DH secret off, one in 256; PKCS #3 and Doc 9303-11 §9.6 keep them.
    for _ in range(4 if parameter <= 2 else 1):
        card, access, oid = card_for(parameter, suite)
        encrypted = open_card(card.answer, access, oid, CAN)
        if encrypted is not None:
            break
    assert encrypted is not None
    channel = card.channel
    assert channel is not None
    channel.counter = 0
    assert channel.encrypt(bytes(range(16))) == encrypted


def test_a_wrong_password_is_counted_down_and_never_blocks() -> None:
    card, access, oid = card_for(13, suites.AES128, tries=3)
    for _ in range(3):
        assert open_card(card.answer, access, oid, "654321") is None
    said = [sw for instruction, sw in card.log if instruction == 0x22 or sw != 0x9000]
    assert said == [0x9000, 0x63C2, 0x63C2, 0x63C1, 0x63C1, 0x63C1]
    assert open_card(card.answer, access, oid, CAN) is not None
    card.reset()
    assert open_card(card.answer, access, oid, CAN) is not None
    assert card.log[-5][1] == 0x9000

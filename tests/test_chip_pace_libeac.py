"""PACE against somebody else's card side: Debian's libeac."""

from __future__ import annotations

import random

import pytest

from edged.core.emrtd import domains, tlv
from edged.core.emrtd.access_keys import can_key
from edged.core.emrtd.der import encode_oid
from edged.core.emrtd.domains import Draw
from edged.core.emrtd.pace import PaceResult, establish_pace
from edged.core.emrtd.pace_choice import pace_choices
from edged.core.emrtd.security_infos import read_card_access
from edged.core.emrtd.steps import drive
from edged.core.emrtd.suites import encrypt, encrypt_block
from edged.errors import ChipError
from tests.chip_scripts import Seeded, chosen_seed
from tests.libeac import PaceCard, library

pytestmark = pytest.mark.skipif(
    library() is None, reason="libeac.so.3 (Debian package libeac3) is not installed"
)

CAN = "123456"

CURVES = [
    ("2.1", 8),
    ("2.2", 8),
    ("2.1", 9),
    ("2.2", 10),
    ("2.3", 11),
    ("2.2", 12),
    ("2.1", 13),
    ("2.2", 13),
    ("2.4", 13),
    ("2.4", 14),
    ("2.3", 15),
    ("2.4", 16),
    ("2.4", 17),
    ("2.4", 18),
]
NUMBERS = [("1.1", 0), ("1.2", 1), ("1.4", 2)]


def card_access(protocol: str, parameter_id: int) -> bytes:
    oid = tlv.encode(0x06, encode_oid(f"0.4.0.127.0.7.2.2.4.{protocol}"))
    return tlv.encode(0x31, tlv.encode(0x30, oid + b"\x02\x01\x02\x02\x01" + bytes((parameter_id,))))


def opened(
    protocol: str, parameter_id: int, can: str = CAN, on_card: str = CAN, draw: Draw = domains.SECRETS
) -> PaceResult:
    """One PACE; the session's encryption key is compared too (tokens prove the MAC key)."""
    access = card_access(protocol, parameter_id)
    (choice,) = pace_choices(read_card_access(access))
    card = PaceCard(access, on_card)
    try:
        result = drive(establish_pace(choice, can_key(can), draw), card)
        assert card.verified
        block, keys = bytes(range(16)), result.keys
        iv = encrypt_block(keys.suite, keys.encryption, bytes(16)) if keys.suite.aes else None
        assert card.encrypt(block) == encrypt(keys.suite, keys.encryption, block, iv)
    finally:
        card.close()
    return result


@pytest.mark.parametrize(("protocol", "parameter_id"), CURVES)
def test_curves(protocol: str, parameter_id: int) -> None:
    result = opened(protocol, parameter_id)
    assert result.info.oid.endswith(protocol)


@pytest.mark.parametrize(("protocol", "parameter_id"), NUMBERS)
def test_numbers(protocol: str, parameter_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """libeac leaves zeros in front of a DH secret off; PKCS #3, which Doc 9303-11 §9.6 names, keeps them."""
    secrets: list[bytes] = []
    kept = domains.DhDomain.shared_secret

    def noted(self: domains.DhDomain, private: int, public: bytes) -> bytes:
        secrets.append(kept(self, private, public))
        return secrets[-1]

    monkeypatch.setattr(domains.DhDomain, "shared_secret", noted)
    for _ in range(3):
        try:
            assert opened(protocol, parameter_id).keys.counter == 0
        except ChipError:
            assert secrets[-1][0] == 0
        else:
            assert secrets[-1][0] != 0
            return
    pytest.fail("three secrets in a row that begin with zero")


@pytest.mark.parametrize(("protocol", "parameter_id"), [("2.1", 13), ("2.2", 12), ("1.2", 0)])
def test_wrong_can(protocol: str, parameter_id: int) -> None:
    with pytest.raises(ChipError) as refused:
        opened(protocol, parameter_id, can="654321")
    assert refused.value.code == "chip.wrong_key"
    assert refused.value.sw == 0x6300


def rounds(count: int, seed: int) -> None:
    """Many runs with fresh keys: a coordinate that begins with zero comes once in 128 runs or so."""
    choose, draw = random.Random(seed), Seeded(seed)
    for number in range(count):
        protocol, parameter_id = choose.choice(CURVES)
        can = f"{choose.randrange(10**6):06}"
        try:
            opened(protocol, parameter_id, can, can, draw)
        except ChipError as error:
            pytest.fail(f"EDGED_SEED={seed}, round {number}: {error}")


def test_rounds() -> None:
    rounds(60, chosen_seed())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_rounds() -> None:
    rounds(1000, 1000)

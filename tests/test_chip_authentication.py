"""Chip authentication version 1: choosing from DG14, and both halves of the agreement."""

from __future__ import annotations

import random

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from edged.core.emrtd import tlv
from edged.core.emrtd.chip_authentication import (
    ChipAuthenticationChoice,
    authenticate_chip,
    choose_chip_authentication,
)
from edged.core.emrtd.der import encode_oid
from edged.core.emrtd.dh_groups import GROUPS
from edged.core.emrtd.domains import DhDomain, standard_domain
from edged.core.emrtd.security_infos import SecurityInfos, read_dg14
from edged.core.emrtd.steps import drive
from edged.core.emrtd.suites import AES128, AES192, AES256, DES3, FOR_ENCRYPTION, FOR_MAC, Suite, derive_key
from edged.errors import ChipError, DecodeError
from tests.chip_peers import CaCard, curve_agreement, number_agreement
from tests.chip_scripts import H
from tests.chip_spki import encode_key

CURVES = {
    8: ec.SECP192R1(),
    12: ec.SECP256R1(),
    13: ec.BrainpoolP256R1(),
    17: ec.BrainpoolP512R1(),
    18: ec.SECP521R1(),
}
SUITES = {1: DES3, 2: AES128, 3: AES192, 4: AES256}


def oid(text: str) -> bytes:
    return tlv.encode(0x06, encode_oid(f"0.4.0.127.0.7.2.2.{text}"))


def number(value: int) -> bytes:
    return tlv.encode(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def info(*parts: bytes) -> bytes:
    return tlv.encode(0x30, b"".join(parts))


def dg14(*infos: bytes) -> SecurityInfos:
    return read_dg14(tlv.encode(0x6E, tlv.encode(0x31, b"".join(infos))))


def curve_key(parameter_id: int) -> tuple[bytes, CaCard]:
    """A SubjectPublicKeyInfo, and a card with the private half."""
    curve, domain = CURVES[parameter_id], standard_domain(parameter_id)
    assert domain is not None
    private = ec.generate_private_key(curve)
    point = private.public_key().public_numbers()
    public = b"\x04" + point.x.to_bytes(domain.octets, "big") + point.y.to_bytes(domain.octets, "big")
    return encode_key(domain, public), CaCard(curve_agreement(curve, private))


def agreed(choice: ChipAuthenticationChoice | None, card: CaCard, suite: Suite) -> None:
    assert choice is not None
    keys = drive(authenticate_chip(choice), card)
    assert card.secret is not None
    assert keys.suite is suite
    assert keys.counter == 0
    assert keys.encryption == derive_key(suite, card.secret, FOR_ENCRYPTION)
    assert keys.mac == derive_key(suite, card.secret, FOR_MAC)


@pytest.mark.parametrize("parameter_id", CURVES)
@pytest.mark.parametrize("cipher", SUITES)
def test_curves(parameter_id: int, cipher: int) -> None:
    spki, card = curve_key(parameter_id)
    infos = dg14(info(oid(f"3.2.{cipher}"), number(1)), info(oid("1.2"), spki))
    agreed(choose_chip_authentication(infos), card, SUITES[cipher])
    expected = b"" if cipher == 1 else tlv.encode(0x80, encode_oid(f"0.4.0.127.0.7.2.2.3.2.{cipher}"))
    assert card.templates == [expected]


@pytest.mark.parametrize("q_known", [True, False], ids=["X9.42", "PKCS3"])
@pytest.mark.parametrize("cipher", SUITES)
def test_numbers(q_known: bool, cipher: int) -> None:
    p, g, q = GROUPS[2]
    private = random.Random(cipher).randrange(1, q)
    domain = DhDomain(p, g, q if q_known else None, None if q_known else 256)
    spki = encode_key(domain, pow(g, private, p).to_bytes(256, "big"))
    infos = dg14(info(oid(f"3.1.{cipher}"), number(1)), info(oid("1.1"), spki))
    card = CaCard(number_agreement(p, private))
    agreed(choose_chip_authentication(infos), card, SUITES[cipher])


def test_a_secret_that_begins_with_zero_is_padded() -> None:
    spki, card = curve_key(8)
    infos = dg14(info(oid("3.2.2"), number(1)), info(oid("1.2"), spki))
    choice = choose_chip_authentication(infos)
    assert choice is not None
    for _ in range(4000):
        drive(authenticate_chip(choice), card)
        assert card.secret is not None
        if not card.secret[0]:
            break
    else:
        pytest.fail("no such secret")
    agreed(choice, card, AES128)


def test_the_best_of_several_with_the_key_that_belongs_to_it() -> None:
    first, _ = curve_key(12)
    second, card = curve_key(13)
    infos = dg14(
        info(oid("3.2.1"), number(1), number(1)),
        info(oid("3.2.2"), number(1), number(1)),
        info(oid("3.2.4"), number(1), number(2)),
        info(oid("1.2"), first, number(1)),
        info(oid("1.2"), second, number(2)),
    )
    agreed(choose_chip_authentication(infos), card, AES256)
    assert card.templates == [H("800A04007F00070202030204 840102")]


def test_a_key_id_of_two_octets() -> None:
    spki, card = curve_key(12)
    infos = dg14(info(oid("3.2.1"), number(1), number(0x1234)), info(oid("1.2"), spki, number(0x1234)))
    agreed(choose_chip_authentication(infos), card, DES3)
    assert card.templates == [H("84021234")]


def test_a_key_without_a_word_on_the_protocol_means_3des() -> None:
    spki, card = curve_key(12)
    agreed(choose_chip_authentication(dg14(info(oid("1.2"), spki))), card, DES3)


def test_3des_where_mse_set_kat_is_missing() -> None:
    spki, card = curve_key(12)
    card._knows_kat = False
    infos = dg14(info(oid("3.2.1"), number(1)), info(oid("1.2"), spki))
    agreed(choose_chip_authentication(infos), card, DES3)
    assert card.templates == [H("800A04007F00070202030201")]


def test_a_key_of_the_other_kind_is_not_taken() -> None:
    spki, _ = curve_key(12)
    with pytest.raises(DecodeError, match=r"domain\.not_supported"):
        choose_chip_authentication(dg14(info(oid("3.1.2"), number(1)), info(oid("1.2"), spki)))


def test_a_version_that_is_not_ours() -> None:
    spki, _ = curve_key(12)
    with pytest.raises(DecodeError, match=r"domain\.not_supported"):
        choose_chip_authentication(dg14(info(oid("3.2.2"), number(2)), info(oid("1.2"), spki)))


def test_a_point_off_its_curve() -> None:
    spki, _ = curve_key(12)
    broken = spki[:-1] + bytes((spki[-1] ^ 1,))
    with pytest.raises(DecodeError, match=r"ec\.not_on_curve"):
        choose_chip_authentication(dg14(info(oid("3.2.2"), number(1)), info(oid("1.2"), broken)))


def test_no_key_no_chip_authentication() -> None:
    assert choose_chip_authentication(dg14(info(oid("2"), number(1)))) is None


@pytest.mark.parametrize("answer", ["6A80", "6A88", "6300", "6982", "6D00"])
@pytest.mark.parametrize("cipher", [1, 2])
def test_a_chip_that_refuses(answer: str, cipher: int) -> None:
    spki, _ = curve_key(12)
    choice = choose_chip_authentication(dg14(info(oid(f"3.2.{cipher}"), number(1)), info(oid("1.2"), spki)))
    assert choice is not None
    with pytest.raises(ChipError) as refused:
        drive(authenticate_chip(choice), lambda _: H(answer))
    assert (refused.value.code, refused.value.sw) == ("chip.ca_failed", int(answer, 16))


def test_a_command_too_long_is_told_as_that() -> None:
    spki, _ = curve_key(12)
    choice = choose_chip_authentication(dg14(info(oid("3.2.1"), number(1)), info(oid("1.2"), spki)))
    assert choice is not None
    answers = iter([H("6700"), H("6D00")])
    with pytest.raises(ChipError) as refused:
        drive(authenticate_chip(choice), lambda _: next(answers))
    assert refused.value.sw == 0x6700


def test_another_card_agrees_on_something_else() -> None:
    spki, _ = curve_key(12)
    _, copy = curve_key(12)
    choice = choose_chip_authentication(dg14(info(oid("3.2.2"), number(1)), info(oid("1.2"), spki)))
    assert choice is not None
    keys = drive(authenticate_chip(choice), copy)
    assert copy.secret is not None
    assert keys.mac != derive_key(AES128, copy.secret, FOR_MAC)

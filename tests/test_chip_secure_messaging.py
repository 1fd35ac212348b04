"""Secure messaging, the terminal's side: the worked example, published AES messages, every bit tampered with."""

from __future__ import annotations

import pickle

import pytest

from edged.core.emrtd.apdu import Command, Response
from edged.core.emrtd.secure_messaging import SecureMessaging, protected_room
from edged.core.emrtd.session_keys import SessionKeys
from edged.core.emrtd.suites import AES128, AES192, AES256, DES3
from edged.errors import ChipError, IdentityLeakError
from tests.chip_wrap import Wrap, join

SUITES = {suite.name: suite for suite in (DES3, AES128, AES192, AES256)}


def worked_example() -> SecureMessaging:
    """Doc 9303-11 App. D.3: the session keys and the counter after BAC."""
    keys = ("979EC13B1CBFE9DCD01AB0FED307EAE5", "F1CB1F1FB5ADF208806B89DC579DC1F8")
    return SecureMessaging(SessionKeys(DES3, *map(bytes.fromhex, keys), 0x887022120C06C226))


WORKED_EXAMPLE = [
    (
        "00A4020C02011E",
        "0CA4020C158709016375432908C044F68E08BF8B92D635FF24F800",
        "990290008E08FA855A5D4C50A8ED9000",
        "",
    ),
    (
        "00B0000004",
        "0CB000000D9701048E08ED6705417E96BA5500",
        "8709019FF0EC34F9922651990290008E08AD55CC17140B2DED9000",
        "60145F01",
    ),
    (
        "00B0000412",
        "0CB000040D9701128E082EA28A70F3C7B53500",
        "871901FB9235F4E4037F2327DCC8964F1F9B8C30F42C8E2FFF224A990290008E08C8B2787EAEA07D749000",
        "04303130365F36063034303030305C026175",
    ),
]
"""Doc 9303-11 App. D.4, as printed: command, protected command, protected response, data."""


def test_worked_example() -> None:
    sm = worked_example()
    for plain, protected, answer, data in WORKED_EXAMPLE:
        assert sm.protect(Command.decode(bytes.fromhex(plain))).encode().hex().upper() == protected
        assert sm.unprotect(Response.decode(bytes.fromhex(answer))) == (bytes.fromhex(data), 0x9000)
    assert sm.counter == 0x887022120C06C22C


def test_aes_command_as_published() -> None:
    """MSE:Set AT under AES-128, an exchange that gmrtd/gmrtd publishes (secure_messaging_test.go)."""
    keys = ("cc86415f2ed7e8fd663b754265695ae1", "581e84b8ee06c4d3eee30461498d7fb3")
    sm = SecureMessaging(SessionKeys(AES128, *map(bytes.fromhex, keys), 0xBA))
    command = Command(0x22, 0x41, 0xA4, bytes.fromhex("800a04007f000702020302028401c3"))
    assert sm.protect(command).encode() == bytes.fromhex(
        "0c2241a41d871101980953d37f67558690045d78a853b18a8e08929767a2cef172e200"
    )


def test_aes_response_as_published() -> None:
    """One block of a file under AES-128, likewise: its checksum holds and 223 octets come out."""
    keys = ("a8e85e938514ec67ae33cda3d43d3c48", "27f1adeb705a049a305b0c619b14b9b3")
    sm = SecureMessaging(SessionKeys(AES128, *map(bytes.fromhex, keys), 0x0B))
    answer = bytes.fromhex(
        "8781e1012fabf9e0655d7e987fd28a8aeb19c9cadd990d49399799ed1fe465bcea56da9ba3024291d40d23d7f1e00485d71f"
        "addc6d8c1382e8028dd22efdcc72ed47663d56d20dd6c4b867956fe0507313083ae7fc54fb46133f184febbe13ad6fd3e261"
        "6a1f4a829e75ada1a0e443ca738288f6014be8a7745d8259b089e6bee35bcc4bf5b63db5fdd84244f67eca099213b70a861b"
        "4487225aa68af684278fceb4cb809de42be3ee95b0e0d72bcdb0ed47cb56efc264e04a9397a90e81ad1d81efa2d14b2ca8ec"
        "7bd997f4b1c1fd344d5dee8589c38b227ca4cb35810060a7cc76403e990290008e083eb47ef4fa82afc99000"
    )
    data, sw = sm.unprotect(Response.decode(answer))
    assert (len(data), data[:4].hex(), data[-4:].hex(), sw) == (223, "a729901d", "b91e82a3", 0x9000)


# Against a card side of its own.


def pair(name: str, counter: int = 0x41) -> tuple[SecureMessaging, Wrap]:
    suite = SUITES[name]
    encryption, mac = (bytes((7 * n + salt) & 0xFF for n in range(suite.key_octets)) for salt in (1, 99))
    return (
        SecureMessaging(SessionKeys(suite, encryption, mac, counter)),
        Wrap(encryption, mac, counter, aes=suite.aes),
    )


@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize(
    "command",
    [
        Command(0xA4, 0x04, 0x0C, bytes.fromhex("A0000002471001")),
        Command(0xB0, 0x12, 0x34, ne=256),
        Command(0xB0, 0x00, 0x00, ne=4),
        Command(0xB0, 0x00, 0x00, ne=257),
        Command(0xB0, 0x00, 0x00, ne=65536),
        Command(0xB1, 0x00, 0x00, bytes.fromhex("54028000"), 231),
        Command(0xB1, 0x00, 0x00, bytes.fromhex("5403010000"), 4000),
        Command(0x86, 0x00, 0x00, bytes(range(200)) + bytes(100), 256, cla=0x10),
        Command(0x88, 0x00, 0x00, bytes(8), 256),
        Command(0xB0, 0x00, 0x00),
    ],
    ids=lambda command: f"{command.ins:02X}-{len(command.data)}-{command.ne}",
)
def test_a_card_understands(name: str, command: Command) -> None:
    sm, card = pair(name)
    for _ in range(2):
        apdu = sm.protect(command).encode()
        assert card.open(apdu) == (
            bytes((command.cla, command.ins, command.p1, command.p2)),
            command.data,
            command.ne,
        )
        answer = bytes(range(256))[: command.ne]
        assert sm.unprotect(Response.decode(card.close(answer, 0x9000, odd=bool(command.ins & 1)))) == (
            answer,
            0x9000,
        )
        assert sm.counter == card.counter


@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize("octets", [0, 1, 7, 8, 15, 16, 17, 223, 231, 256, 4096])
def test_answers_of_every_length(name: str, octets: int) -> None:
    sm, card = pair(name)
    card.open(sm.protect(Command(0xB0, ne=65536)).encode())
    data = bytes(n & 0xFF for n in range(octets))
    assert sm.unprotect(Response.decode(card.close(data, 0x6282))) == (data, 0x6282)


def asked(name: str) -> tuple[SecureMessaging, Wrap]:
    """Both sides after READ BINARY: the card may answer."""
    sm, card = pair(name)
    card.open(sm.protect(Command(0xB0, ne=32)).encode())
    return sm, card


@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize("data", [b"", b"\x60\x14\x5f\x01" * 5], ids=["status", "data"])
def test_every_bit_of_an_answer_is_watched(name: str, data: bytes) -> None:
    _, card = asked(name)
    answer = card.close(data, 0x9000)
    for bit in range(8 * len(answer)):
        changed = bytearray(answer)
        changed[bit // 8] ^= 0x80 >> bit % 8
        sm, _ = asked(name)
        with pytest.raises(ChipError) as caught:
            sm.unprotect(Response.decode(bytes(changed)))
        assert caught.value.code in {"sm.bad_mac", "sm.malformed", "sm.status_differs", "sm.unprotected"}


@pytest.mark.parametrize("name", ["3DES", "AES-256"])
def test_cut_lengthened_and_replayed_answers(name: str) -> None:
    _, card = asked(name)
    answer = card.close(b"\x01" * 20, 0x9000)
    for wrong in [
        *(answer[:keep] + b"\x90\x00" for keep in range(len(answer) - 2)),
        *(answer[cut:] for cut in range(1, len(answer) - 1)),
        b"\x99\x02\x90\x00" + answer,
        answer[:-2] + b"\x00\x90\x00",
        answer[:-2] + answer,
    ]:
        sm, _ = asked(name)
        with pytest.raises(ChipError):
            sm.unprotect(Response.decode(wrong))
    sm, _ = asked(name)
    sm.unprotect(Response.decode(answer))
    sm.protect(Command(0xB0, ne=32))
    with pytest.raises(ChipError, match=r"sm\.bad_mac"):
        sm.unprotect(Response.decode(answer))


def forged(card: Wrap, *objects: bytes, sw: int = 0x9000) -> Response:
    """An answer with these objects and a checksum over them that is right."""
    card.counter += 1
    covered = b"".join(objects)
    checksum = card.mac(card._ssc() + covered)
    return Response(covered + join(0x8E, checksum), sw)


@pytest.mark.parametrize("name", ["3DES", "AES-128"])
def test_right_checksums_over_wrong_objects(name: str) -> None:
    status = join(0x99, b"\x90\x00")
    block = bytes(16)
    for objects, sw, code in [
        ([], 0x9000, "sm.malformed"),
        ([join(0x87, b"\x01" + block)], 0x9000, "sm.malformed"),  # no DO'99'
        ([status, status], 0x9000, "sm.malformed"),
        ([status, join(0x87, b"\x01" + block)], 0x9000, "sm.malformed"),  # order
        ([join(0x87, b"\x01" + block), join(0x87, b"\x01" + block), status], 0x9000, "sm.malformed"),
        ([join(0x85, block), status], 0x9000, "sm.malformed"),  # an even instruction has no DO'85'
        ([join(0x87, b"\x02" + block), status], 0x9000, "sm.malformed"),
        ([join(0x87, b""), status], 0x9000, "sm.malformed"),
        ([join(0x81, b"clear"), status], 0x9000, "sm.malformed"),
        ([join(0x99, b"\x90")], 0x9000, "sm.malformed"),
        ([status], 0x6A82, "sm.status_differs"),
        ([join(0x99, b"\x6a\x82")], 0x9000, "sm.status_differs"),
        ([join(0x87, b"\x01" + block[:-1]), status], 0x9000, "sm.bad_block"),
        ([join(0x87, b"\x01"), status], 0x9000, "sm.bad_padding"),
        ([join(0x87, b"\x01" + block), status], 0x9000, "sm.bad_padding"),
    ]:
        sm, card = asked(name)
        with pytest.raises(ChipError) as caught:
            sm.unprotect(forged(card, *objects, sw=sw))
        assert caught.value.code == code, objects


@pytest.mark.parametrize("name", ["3DES", "AES-128"])
def test_padding_is_of_one_block_at_most(name: str) -> None:
    sm, card = asked(name)
    card.counter += 1
    hidden = card._cbc().encryptor().update(b"\x01\x80" + bytes(card.block * 2 - 2))
    card.counter -= 1
    with pytest.raises(ChipError, match=r"sm\.bad_padding"):
        sm.unprotect(forged(card, join(0x87, b"\x01" + hidden), join(0x99, b"\x90\x00")))


@pytest.mark.parametrize("name", ["3DES", "AES-128"])
def test_what_is_said_in_clear(name: str) -> None:
    for said in (
        b"\x90\x00",
        b"\x61\x10",
        b"\x60\x14\x5f\x01\x90\x00",
        b"\x5f\x01\x00\x6a\x82",
        b"\x00\x62\x82",
    ):
        sm, _ = asked(name)
        with pytest.raises(ChipError) as caught:
            sm.unprotect(Response.decode(said))
        assert caught.value.code in {"sm.unprotected", "sm.malformed"}
    sm, card = pair(name)
    before = sm.counter
    apdu = sm.protect(Command(0xB0, ne=4000))
    assert apdu.extended
    assert sm.unprotect(Response(b"", 0x6700)) == (b"", 0x6700)
    assert sm.unprotected
    assert sm.counter == before, "the chip never saw the command: its next one has the same number"
    card.open(sm.protect(Command(0xB0, ne=200)).encode())
    assert sm.unprotect(Response.decode(card.close(b"x", 0x9000))).data == b"x"
    assert not sm.unprotected


@pytest.mark.parametrize("name", ["3DES", "AES-128"])
def test_counter_overflows_to_zero(name: str) -> None:
    block = SUITES[name].block
    sm, card = pair(name, (1 << 8 * block) - 2)
    card.open(sm.protect(Command(0xB0, ne=4)).encode())
    card.counter = -1
    assert sm.unprotect(Response.decode(card.close(b"data", 0x9000))).data == b"data"
    assert sm.counter == 0


@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize(
    "octets", [64, 127, 128, 129, 141, 142, 143, 144, 145, 256, 271, 272, 273, 1000, 4096]
)
def test_room_is_what_an_answer_of_that_length_holds(name: str, octets: int) -> None:
    suite = SUITES[name]
    room = protected_room(suite, octets)

    def length(data: int) -> int:
        _, card = asked(name)
        return len(card.close(bytes(data), 0x9000)) - 2

    assert length(room) <= octets < length(room + 1)


def test_room_in_a_short_answer() -> None:
    assert [protected_room(suite, 256) for suite in (DES3, AES128, AES256)] == [231, 223, 223]


def test_nothing_of_it_can_be_written_out() -> None:
    sm, _ = pair("3DES")
    assert repr(sm) == "<SecureMessaging: identity withheld>"
    with pytest.raises(IdentityLeakError):
        pickle.dumps(sm)

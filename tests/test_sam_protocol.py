"""The SAM protocol without a port: frames as documented, noise, the order of questions, every status octet."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged import messages
from edged.drivers import sam_session
from edged.drivers.sam_frame import MAX_LENGTH, PREAMBLE, Broken, Response, ResponseParser, request
from edged.drivers.sam_presence import Presence
from edged.drivers.sam_session import (
    SIMULATED_SAM,
    STATUS_CODES,
    Answer,
    Ask,
    CardContent,
    Session,
    T,
    find,
    identify,
    read_card,
    sam_number,
)
from edged.emulator.id_cards import id_cards
from edged.emulator.sam_module import OPERATIONS, SamModule, frame
from edged.errors import DeviceError, DeviceGoneError
from edged.events import IdCardPlaced, IdCardRemoved

BEGIN = "AA AA AA 96 69 "
CARDS = id_cards()

REQUESTS = {
    "reset": "00 03 10 FF EC",
    "status": "00 03 11 FF ED",
    "sam-id": "00 03 12 FF EE",
    "rf-size": "00 04 61 FF 50 CA",
    "find": "00 03 20 01 22",
    "select": "00 03 20 02 21",
    "read": "00 03 30 01 32",
    "read-fingerprints": "00 03 30 10 23",
    "read-address": "00 03 30 03 30",
}
"""As the protocol's data sheet and its users print them."""

WRONG_FIND = "00 03 20 01 21"
"""In circulation with the check of another command."""

SAM_ID = "00 14 00 00 90 05 00 01 00 09 B8 32 01 05 BE 12 00 AD C5 B1 11 63"


def octets(text: str) -> bytes:
    return bytes.fromhex(BEGIN + text)


def parsed(data: bytes) -> list[Response | Broken]:
    return ResponseParser().feed(data)


def one(data: bytes) -> Response:
    (found,) = parsed(data)
    assert isinstance(found, Response)
    return found


# --- frames -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", REQUESTS)
def test_requests_are_the_documented_octets(operation: str) -> None:
    more = b"\x50" if operation == "rf-size" else b""
    assert request(*OPERATIONS[operation], more) == octets(REQUESTS[operation])


@pytest.mark.parametrize("operation", REQUESTS)
def test_the_emulated_module_takes_every_documented_request(operation: str) -> None:
    module = SamModule(card=CARDS["citizen"])
    for before in ("find", "select"):
        module.hear(octets(REQUESTS[before]))
    (answer,) = module.hear(octets(REQUESTS[operation]))
    assert one(answer).sw3 in {0x90, 0x9F}
    assert module.heard[-1] == operation


def test_the_wrong_frame_in_circulation_is_refused() -> None:
    module = SamModule(card=CARDS["citizen"])
    (answer,) = module.hear(octets(WRONG_FIND))
    assert one(answer).sw3 == 0x10
    assert module.heard == ["refused"]


@pytest.mark.parametrize(
    ("text", "sw3", "data"),
    [
        ("00 04 00 00 90 94", 0x90, 0),
        ("00 08 00 00 9F 00 00 00 00 97", 0x9F, 4),
        ("00 0C 00 00 90 00 00 00 00 00 00 00 00 9C", 0x90, 8),
        (SAM_ID, 0x90, 16),
    ],
)
def test_documented_answers(text: str, sw3: int, data: int) -> None:
    found = one(octets(text))
    assert (found.sw1, found.sw2, found.sw3, len(found.data)) == (0, 0, sw3, data)


def test_the_emulated_module_answers_with_the_documented_octets() -> None:
    numbers = (5, 1, 20101129, 1228293, 296863149)
    module = SamModule(numbers=numbers, card=CARDS["citizen"])
    said = [module.hear(octets(REQUESTS[name]))[0] for name in ("status", "sam-id", "find", "select")]
    assert said == [
        octets("00 04 00 00 90 94"),
        octets(SAM_ID),
        octets("00 08 00 00 9F 00 00 00 00 97"),
        octets("00 0C 00 00 90 00 00 00 00 00 00 00 00 9C"),
    ]
    assert len(module.hear(octets(REQUESTS["read"]))[0]) == 1295


@pytest.mark.parametrize(("prints", "length"), [(1024, 2321), (512, 1809), (0, 1297)])
def test_the_emulated_module_answers_as_long_as_documented(prints: int, length: int) -> None:
    module = SamModule(fingerprints=prints, card=CARDS["citizen"])
    for name in ("find", "select"):
        module.hear(octets(REQUESTS[name]))
    (answer,) = module.hear(octets(REQUESTS["read-fingerprints"]))
    assert len(answer) == length
    assert len(one(answer).data) == length - 11


def test_the_number_of_a_module_is_told_as_its_label_has_it() -> None:
    assert sam_number(bytes(one(octets(SAM_ID)).data)) == "05.01-20101129-0001228293-0296863149"
    (answer,) = SamModule().hear(octets(REQUESTS["sam-id"]))
    assert sam_number(bytes(one(answer).data)) == SIMULATED_SAM


@given(
    status=st.integers(0, 255),
    data=st.binary(max_size=1300),
    noise=st.binary(max_size=40).filter(lambda noise: PREAMBLE[:1] not in noise),
    pieces=st.integers(1, 60),
)
@settings(max_examples=150, deadline=None)
def test_frames_are_found_in_pieces_and_behind_noise(
    status: int, data: bytes, noise: bytes, pieces: int
) -> None:
    wire = noise + frame(status, data) + noise + frame(0x90)
    parser = ResponseParser()
    found = [item for at in range(0, len(wire), pieces) for item in parser.feed(wire[at : at + pieces])]
    assert [(item.sw3, bytes(item.data)) for item in found if isinstance(item, Response)] == [
        (status, data),
        (0x90, b""),
    ]


@given(
    wire=st.lists(
        st.one_of(st.binary(max_size=60), st.just(PREAMBLE), st.just(frame(0x90, b"abc"))), max_size=30
    )
)
@settings(max_examples=300, deadline=None)
def test_any_octets_are_taken_and_the_pieces_do_not_matter(wire: list[bytes]) -> None:
    whole = b"".join(wire)
    once, piecemeal = ResponseParser(), ResponseParser()
    first = once.feed(whole)
    second = [item for at in range(len(whole)) for item in piecemeal.feed(whole[at : at + 1])]
    assert [described(item) for item in first] == [described(item) for item in second]


def described(item: Response | Broken) -> object:
    return item if isinstance(item, Broken) else (item.sw3, bytes(item.data))


@pytest.mark.parametrize("at", [0, 3, 5, 6, 7, 9, 12, 700, 1294])
def test_a_damaged_frame_is_told_and_the_next_one_found(at: int) -> None:
    damaged = bytearray(frame(0x90, bytes(1284)))
    assert len(damaged) == 1295
    damaged[at] ^= 0x40
    found = parsed(bytes(damaged) + frame(0x9F, b"next") * 4)
    good = [item for item in found if isinstance(item, Response)]
    assert all(item.sw3 == 0x9F for item in good)
    assert good or at in {5, 6}, "a length that has grown swallows what follows, until the time is up"


@pytest.mark.parametrize("length", [0, 3, MAX_LENGTH + 1, 0xFFFF])
def test_a_length_that_no_answer_has(length: int) -> None:
    found = parsed(PREAMBLE + length.to_bytes(2, "big") + frame(0x80))
    assert [described(item) for item in found] == [Broken.LENGTH, (0x80, b"")]


def test_what_was_held_is_overwritten() -> None:
    canary = "CANARY".encode("utf-16-le")
    parser = ResponseParser()
    (found,) = parser.feed(frame(0x90, canary))
    assert canary not in bytes(parser._held)
    parser.feed(frame(0x90, canary)[:-1])
    assert canary in bytes(parser._held)
    parser.reset()
    assert canary not in bytes(parser._held)
    assert isinstance(found, Response)
    found.wipe()
    assert found.data == bytes(len(canary))
    assert "CANARY" not in repr(found)


def test_the_buffer_is_bounded_whatever_comes() -> None:
    parser = ResponseParser()
    noise = random.Random(7).randbytes(200_000) + PREAMBLE + MAX_LENGTH.to_bytes(2, "big")
    for at in range(0, len(noise), 997):
        parser.feed(noise[at : at + 997])
    assert len(parser._held) == 7 + MAX_LENGTH


# --- sessions ---------------------------------------------------------------------------------------------------


def run(session: Session[T], answer: Callable[[bytes], Answer]) -> T:
    """Drive a session; `answer` is the wire."""
    try:
        ask = next(session)
        while True:
            assert isinstance(ask, Ask)
            ask = session.send(answer(ask.octets))
    except StopIteration as stop:
        value: T = stop.value
        return value


def wire(module: SamModule) -> Callable[[bytes], Answer]:
    def answer(asked: bytes) -> Answer:
        (found,) = parsed(module.hear(asked)[0])
        return found

    return answer


def lossy(module: SamModule, losses: Iterable[Answer | str]) -> Callable[[bytes], Answer]:
    """The module's answers, but these in place of the first ones; "" for the answer itself."""
    waiting, honest = list(losses), wire(module)

    def answer(asked: bytes) -> Answer:
        found = honest(asked)
        instead = waiting.pop(0) if waiting else ""
        return found if isinstance(instead, str) else instead

    return answer


def with_card(name: str = "resident-2023", **more: object) -> SamModule:
    return SamModule(card=CARDS[name], **more)  # type: ignore[arg-type]


def test_a_card_is_found_selected_and_read() -> None:
    module = with_card()
    content = run(read_card(), wire(module))
    assert (bytes(content.text), bytes(content.photo)) == (module.card.text, module.card.photo)  # type: ignore[union-attr]
    assert content.additional_address == b""
    assert module.heard == ["find", "select", "read"]
    content.wipe()
    assert not any((*content.text, *content.photo))


@pytest.mark.parametrize(("name", "known"), [("citizen", True), ("resident-2023", False)])
def test_the_additional_address_is_read_where_it_is_asked_for(name: str, known: bool) -> None:
    module = with_card(name)
    content = run(read_card(additional_address=True), wire(module))
    assert bytes(content.additional_address) == (CARDS[name].additional_address or b"")
    assert bool(content.additional_address) == known
    assert module.heard == ["find", "select", "read", "read-address"]


@pytest.mark.parametrize("code", sorted(set(range(256)) - {0x90, 0x9F}))
@pytest.mark.parametrize("operation", ["find", "select", "read"])
def test_every_status_of_every_step_has_its_own_sentence(operation: str, code: int) -> None:
    if operation == "find" and code == 0x80:
        return  # a module that finds no card is asked to select it all the same
    module = with_card(broken={operation: code})
    with pytest.raises(DeviceError) as refused:
        run(read_card(), wire(module))
    expected = STATUS_CODES.get(code, "idcard.unknown_status")
    assert refused.value.code == expected
    assert refused.value.detail == f"SW3 {code:02X}"
    assert messages.known(expected)


def test_each_documented_status_has_a_code_of_its_own() -> None:
    documented = bytes.fromhex("10 11 21 23 24 31 32 33 40 41 47 60 66 80 81 91")
    assert set(STATUS_CODES) == set(documented)
    assert len(set(STATUS_CODES.values())) == len(documented)
    catalogue = Path(messages.__file__).with_name("id_card.toml")
    sentences = tomllib.loads(catalogue.read_text(encoding="utf-8"))
    for lang in messages.LANGUAGES:
        assert len({sentences[code][lang] for code in STATUS_CODES.values()}) == len(documented)


@pytest.mark.parametrize("code", [0x24, 0x31, 0x32, 0x33, 0x41, 0x47, 0x81])
def test_what_may_pass_is_tried_once_more(code: int) -> None:
    operation = "select" if code == 0x81 else "read"
    module = with_card(faults={operation: [code]})
    assert isinstance(run(read_card(), wire(module)), CardContent)
    assert module.heard.count("find") == 2


@pytest.mark.parametrize("code", [0x10, 0x21, 0x23, 0x40, 0x60, 0x66, 0x91])
def test_what_does_not_pass_is_not(code: int) -> None:
    module = with_card(faults={"read": [code]})
    with pytest.raises(DeviceError):
        run(read_card(), wire(module))
    assert module.heard == ["find", "select", "read"]


@pytest.mark.parametrize(
    ("first", "then", "code"),
    [
        (0x32, 0x32, "idcard.card_not_genuine"),
        (0x33, 0x33, "idcard.data_not_genuine"),
        (0x32, 0x41, "idcard.card_unreadable"),
        (0x41, 0x32, "idcard.card_unreadable"),
        (0x33, 0x32, "idcard.card_unreadable"),
        (0x41, 0x31, "idcard.module_refused"),
    ],
)
def test_only_what_is_said_twice_speaks_against_a_card(first: int, then: int, code: str) -> None:
    with pytest.raises(DeviceError) as refused:
        run(read_card(), wire(with_card(faults={"read": [first, then]})))
    assert refused.value.code == code


def test_a_card_that_is_lifted_in_between_is_not_said_to_be_false() -> None:
    module = with_card(faults={"read": [0x32]})

    def answer(asked: bytes) -> Answer:
        found = wire(module)(asked)
        if module.heard[-1] == "read":
            module.lift()
        return found

    with pytest.raises(DeviceError) as refused:
        run(read_card(), answer)
    assert refused.value.code == "idcard.card_unreadable"


def test_no_card_and_a_card_that_was_read_are_one_sentence() -> None:
    module = with_card()
    run(read_card(), wire(module))
    for _ in range(2):
        with pytest.raises(DeviceError) as refused:
            run(read_card(), wire(module))
        assert refused.value.code == "idcard.no_card"
        module.lift()


def test_a_module_that_finds_a_card_once_only_is_read_all_the_same() -> None:
    module = with_card(faults={"find": [0x80]})
    assert isinstance(run(read_card(), wire(module)), CardContent)


@pytest.mark.parametrize("damage", [Broken.CHECK, Broken.LENGTH])
def test_content_that_is_damaged_on_its_way_must_be_lifted(damage: Broken) -> None:
    module = with_card()
    with pytest.raises(DeviceError) as refused:
        run(read_card(), lossy(module, ["", "", damage]))
    assert refused.value.code == "idcard.answer_damaged"
    again = with_card(reads_once=False)
    assert isinstance(run(read_card(), lossy(again, ["", "", damage])), CardContent)


@pytest.mark.parametrize(
    "data", ["", "0100", "01000400", "0100 0401" + "00" * 1280, "0100 0400" + "00" * 1281]
)
def test_content_whose_lengths_are_wrong_is_damaged(data: str) -> None:
    module = with_card()
    false = Response(b"\0\0\x90", bytearray.fromhex(data))
    with pytest.raises(DeviceError) as refused:
        run(read_card(), lossy(module, ["", "", false, "", "", false]))
    assert refused.value.code == "idcard.answer_damaged"
    assert not any(false.data), "and overwritten"


def test_silence_is_a_module_that_is_gone() -> None:
    for losses in ([None, None], ["", None, None], ["", "", None]):
        with pytest.raises(DeviceGoneError) as gone:
            run(read_card(), lossy(with_card(), losses))
        assert gone.value.code == "idcard.mute"
    assert isinstance(run(read_card(), lossy(with_card(), [None, "", None])), CardContent), (
        "once is no silence"
    )


def test_a_late_answer_is_not_taken_for_another_questions() -> None:
    content = Response(b"\0\0\x90", bytearray(b"late" * 320))
    assert run(find(), lossy(with_card(), [content])) is True
    assert not any(content.data)


@pytest.mark.parametrize("code", [0x80, 0x40, 0x41])
def test_nothing_that_could_be_read_lies_there(code: int) -> None:
    assert run(find(), wire(SamModule(broken={"find": code}))) is False


def test_a_module_is_identified_and_reset_once_when_it_reports_a_fault() -> None:
    module = SamModule(numbers=(5, 1, 20101129, 1228293, 296863149), faults={"status": [0x60]})
    assert run(identify(), wire(module)) == "05.01-20101129-0001228293-0296863149"
    assert module.heard == ["status", "reset", "status", "sam-id"]


@pytest.mark.parametrize(
    ("code", "said"), [(0x60, "idcard.self_test_failed"), (0x66, "idcard.not_authorised")]
)
def test_a_module_that_can_not_work_says_why(code: int, said: str) -> None:
    with pytest.raises(DeviceError) as refused:
        run(identify(), wire(SamModule(broken={"status": code})))
    assert refused.value.code == said


def test_a_number_of_another_length_is_none() -> None:
    short = Response(b"\0\0\x90", bytearray(8))
    with pytest.raises(DeviceError) as refused:
        run(identify(), lossy(SamModule(), ["", short]))
    assert refused.value.code == "idcard.answer_damaged"


def test_fingerprints_are_never_asked_for() -> None:
    commands = {
        value for name, value in vars(sam_session).items() if isinstance(value, tuple) and len(value) == 2
    }
    assert OPERATIONS["read"] in commands
    assert OPERATIONS["read-fingerprints"] not in commands


# --- presence ---------------------------------------------------------------------------------------------------


def test_presence_of_a_card_that_is_laid_and_lifted() -> None:
    presence = Presence()
    assert presence.looked(False) == ()
    assert presence.looked(True) == (IdCardPlaced(),)
    assert presence.unread
    assert presence.looked(True) == ()
    assert presence.looked(False) == (), "once is a dead spot"
    assert presence.looked(True) == ()
    assert presence.looked(False) == ()
    assert presence.looked(False) == (IdCardRemoved(),)
    assert not presence.unread


def test_presence_of_a_card_that_was_read() -> None:
    presence = Presence()
    assert presence.was_read() == (IdCardPlaced(),), "laid down since the module was asked last"
    assert not presence.unread
    assert presence.looked(True) == (), "a module that goes on finding it: the same card"
    assert not presence.unread
    assert presence.looked(False) == (IdCardRemoved(),)
    assert presence.looked(True) == (IdCardPlaced(),)
    assert presence.unread
    assert presence.gone() == (IdCardRemoved(),)
    assert presence.gone() == ()

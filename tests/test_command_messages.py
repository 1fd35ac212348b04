"""Commands and answers as messages: who may say what to whom, until when, in which form, and nothing else."""

from __future__ import annotations

import base64
import json
import random
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import SignatureRefusedError
from edged.uplink import sign
from edged.uplink.command import (
    ARGUMENTS,
    MAX_ATTACHMENT,
    MAX_LIFE_S,
    MAX_RESULT,
    NAMES,
    PART,
    SKEW_S,
    TYP_COMMAND,
    TYP_REPLY,
    Reply,
    Signed,
    due,
    joined,
    open_command,
    open_reply,
    seal_command,
    seal_reply,
)
from edged.uplink.fields import encode
from edged.uplink.names import Role
from tests.broker import NOW, Town
from tests.command_bench import DEVICE, START, command, sealed, signed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


def opened(place: Town, compact: str | bytes, name: str = "status", **changes: Any) -> Signed:
    arguments: dict[str, Any] = {"anchor": place.anchor, "at": NOW, "device": DEVICE, "name": name}
    return open_command(compact, **(arguments | changes))


def refused(code: str, *arguments: Any, **keywords: Any) -> None:
    with pytest.raises(SignatureRefusedError) as caught:
        opened(*arguments, **keywords)
    assert caught.value.code == code


@pytest.mark.parametrize("name", NAMES)
def test_a_command_is_understood_with_its_defaults(place: Town, name: str) -> None:
    order = due(opened(place, sealed(place, name), name), START)
    assert order.name == name
    assert order.args == {argument: taken.default for argument, taken in ARGUMENTS[order.name].items()}


@pytest.mark.parametrize(
    ("role", "who"),
    [(Role.DEVICE, DEVICE), (Role.PRIVACY, "officer"), (Role.HELPDESK, "desk"), (Role.COLLECTOR, "centre")],
)
def test_only_an_admin_commands(place: Town, role: Role, who: str) -> None:
    signer = place.signer(role, who)
    with pytest.raises(SignatureRefusedError):
        seal_command(command(iss=who), signer)
    refused("cert.wrong_role", place, signer.sign(TYP_COMMAND, encode(command(iss=who))))


def test_a_command_is_for_one_box_one_fleet_one_topic(place: Town, tmp_path: Path) -> None:
    refused("command.wrong_device", place, sealed(place, device="box-2"))
    refused("command.wrong_name", place, sealed(place, "restart"), "status")
    signer = place.signer(Role.ADMIN, "ops")
    refused("command.wrong_issuer", place, signer.sign(TYP_COMMAND, encode(command(iss="other"))))
    refused("command.wrong_issuer", place, signer.sign(TYP_COMMAND, encode(command(fleet="south"))))
    refused("cert.unknown_issuer", place, sealed(Town(tmp_path)))
    refused("jws.wrong_type", place, signer.sign("config+jws", encode(command())))
    refused("cert.expired", place, sealed(place), at=NOW + timedelta(days=4000))


@pytest.mark.parametrize(
    ("changes", "now", "code"),
    [
        ({}, 601, "command.expired"),
        ({}, -SKEW_S - 1, "command.not_yet_valid"),
        ({"exp": START + MAX_LIFE_S + 1}, 0, "command.lives_too_long"),
        ({"exp": START}, 0, "command.lives_too_long"),
        ({"name": "format-disk"}, 0, "command.unknown"),
        ({"args": {"seconds": 5}}, 0, "command.bad_argument"),
        ({"name": "identify", "args": {"seconds": 61}}, 0, "command.bad_argument"),
        ({"name": "identify", "args": {"seconds": True}}, 0, "command.bad_argument"),
        ({"name": "identify", "args": {"seconds": "5"}}, 0, "command.bad_argument"),
    ],
)
def test_a_command_that_is_not_to_be_obeyed(changes: dict[str, Any], now: int, code: str) -> None:
    with pytest.raises(SignatureRefusedError) as caught:
        due(Signed(command(**changes), ""), START + now)
    assert caught.value.code == code


def test_bounds_of_a_commands_life() -> None:
    longest = Signed(command(exp=START + MAX_LIFE_S), "")
    assert due(longest, START - SKEW_S).name == "status"
    assert due(longest, START + MAX_LIFE_S).name == "status"


def test_an_oversized_command_is_not_looked_at(place: Town) -> None:
    refused("command.too_large", place, sealed(place) + "A" * 20_000)


def test_another_spelling_of_a_command_is_none(place: Town) -> None:
    signer = place.signer(Role.ADMIN, "ops")
    data = encode(command())
    for other in (
        data + b" ",
        data.replace(b"{", b'{"iss":"ops",', 1),
        data[:-1] + b',"more":1}',
        b"[]",
        b"\xff",
    ):
        refused("command.malformed", place, signer.sign(TYP_COMMAND, other))


def schema(name: str) -> jsonschema.Draft202012Validator:
    path = Path(__file__).parent.parent / "docs/schemas" / f"{name}.schema.json"
    return jsonschema.Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


def test_the_published_schemas_fit_what_is_sent(place: Town) -> None:
    payload = json.loads(sign.unverified_payload(sealed(place, "identify", args={"seconds": 5}).encode()))
    schema("command").validate(payload)
    for compact in (*replies(place), *replies(place, attachment=bytes(PART + 1))):
        schema("reply").validate(json.loads(sign.unverified_payload(compact.encode())))
    for change in ({"id": "A"}, {"args": {"a": [1]}}, {"more": 1}, {"exp": -1}, {"args": {"a": "x" * 200}}):
        assert not schema("command").is_valid(payload | change)


def replies(place: Town, **changes: Any) -> list[str]:
    content: dict[str, Any] = {"code": "ok", "result": {"state": "ready"}, "iat": START}
    return seal_reply(signed(), signer=place.signer(Role.DEVICE, DEVICE), **(content | changes))


def heard(place: Town, compact: str | bytes, device: str = DEVICE) -> Reply:
    return open_reply(compact, anchor=place.anchor, at=NOW, device=device)


def test_an_answer_comes_back(place: Town) -> None:
    (compact,) = replies(place)
    reply = heard(place, compact)
    assert (reply.id, reply.command_sha256, reply.result) == ("c-1", "0" * 64, {"state": "ready"})
    with pytest.raises(SignatureRefusedError, match=r"reply\.wrong_issuer"):
        heard(place, compact, "box-2")
    with pytest.raises(SignatureRefusedError, match=r"jws\.wrong_type"):
        heard(place, sealed(place))


def test_only_the_box_itself_answers(place: Town) -> None:
    for role, who in ((Role.ADMIN, "ops"), (Role.DEVICE, "box-2")):
        with pytest.raises(SignatureRefusedError):
            seal_reply(signed(), code="ok", result={}, iat=START, signer=place.signer(role, who))
    forged = place.signer(Role.DEVICE, "box-2").sign(
        TYP_REPLY, sign.unverified_payload(replies(place)[0].encode())
    )
    with pytest.raises(SignatureRefusedError, match=r"reply\.wrong_issuer"):
        heard(place, forged)


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 5 * PART, MAX_ATTACHMENT])
def test_a_file_comes_in_parts_that_each_fit(place: Town, size: int) -> None:
    whole = random.Random(size).randbytes(size)
    made = replies(place, attachment=whole)
    assert len(made) == max(-(-size // PART), 1)
    assert max(map(len, made)) < sign.MAX_COMPACT - 12 * 1024, "room for the longest certificates"
    found = [heard(place, one) for one in made]
    random.Random(1).shuffle(found)
    assert joined(found) == whole
    if len(found) > 1:
        with pytest.raises(SignatureRefusedError, match=r"reply\.incomplete"):
            joined(found[1:])


def test_parts_of_two_files_are_not_one(place: Town) -> None:
    one = [heard(place, part) for part in replies(place, attachment=b"a" * (PART + 1))]
    two = [heard(place, part) for part in replies(place, attachment=b"b" * (PART + 1))]
    with pytest.raises(SignatureRefusedError, match=r"reply\.incomplete"):
        joined([one[0], two[1]])
    last = one[1].part
    assert last is not None
    changed = msgspec.structs.replace(last, data=base64.b64encode(b"c").decode())
    with pytest.raises(SignatureRefusedError, match=r"reply\.incomplete"):
        joined([one[0], msgspec.structs.replace(one[1], part=changed)])


def test_what_is_too_large_is_not_sent(place: Town) -> None:
    for changes in ({"result": {"a": "x" * MAX_RESULT}}, {"attachment": bytes(MAX_ATTACHMENT + 1)}):
        with pytest.raises(SignatureRefusedError, match=r"reply\.too_large"):
            replies(place, **changes)
    with pytest.raises(SignatureRefusedError, match=r"reply\.malformed"):
        replies(place, code="not a code")


@pytest.mark.parametrize(
    "result",
    [b'{"a":1e400}', b'{"a":' + b"9" * 5000 + b"}", b'{"a":1.0e1}', b"{" + b'"a":{' * 2000, b'{"a":1,"a":2}'],
)
def test_an_answer_that_nobody_could_write_is_refused(place: Town, result: bytes) -> None:
    payload = sign.unverified_payload(replies(place)[0].encode())
    assert b'{"state":"ready"}' in payload
    forged = place.signer(Role.DEVICE, DEVICE).sign(TYP_REPLY, payload.replace(b'{"state":"ready"}', result))
    with pytest.raises(SignatureRefusedError):
        heard(place, forged)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    fields=st.dictionaries(st.sampled_from(command().__struct_fields__), JSON), junk=st.binary(max_size=40)
)
def test_whatever_an_admin_signs_is_a_command_or_refused(
    place: Town, fields: dict[str, Any], junk: bytes
) -> None:
    signer = place.signer(Role.ADMIN, "ops")
    payload = msgspec.json.encode(msgspec.to_builtins(command()) | _storable(fields))
    for data in (payload, payload[: len(junk)] + junk, junk or b"-"):
        try:
            due(opened(place, signer.sign(TYP_COMMAND, data)), START)
        except SignatureRefusedError as error:
            assert error.code


def _storable(fields: dict[str, Any]) -> dict[str, Any]:
    """What msgspec can write; the rest (an integer of 70 bits) no admin could send by it."""
    kept = {}
    for name, value in fields.items():
        try:
            msgspec.json.encode(value)
        except (OverflowError, ValueError):
            continue
        kept[name] = value
    return kept


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=200), cut=st.integers(0, 3000), at=st.integers(0, 3000))
def test_strangers_bytes_are_refused_and_nothing_else(place: Town, data: bytes, cut: int, at: int) -> None:
    good = sealed(place).encode()
    for bytes_ in (data, good[:at] + data + good[cut:], good[:cut]):
        if bytes_ != good:
            with pytest.raises(SignatureRefusedError):
                opened(place, bytes_)
            with pytest.raises(SignatureRefusedError):
                heard(place, bytes_)

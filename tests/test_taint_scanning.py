"""Whatever a canary is hidden in, it is found, alone and among hundreds; and nothing is found where nothing is."""

from __future__ import annotations

import base64
import json
import random

import pytest

from tests.taint.canaries import PLAIN, canary, scanner
from tests.taint.planting import ENCODINGS

PERSON = canary(2)
ONE = scanner([PERSON])
MANY = scanner(canary(number) for number in range(60))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("many", [False, True])
def test_every_value_in_every_encoding(encoding: str, many: bool) -> None:
    search = MANY if many else ONE
    for kind, value in PERSON.texts():
        if sum(map(str.isalnum, value)) < 8:
            continue
        told = json.dumps({"x": "before " + ENCODINGS[encoding](value) + " after"}, ensure_ascii=False)
        assert kind in {one.kind for one in search.scan(told.encode())}, (kind, encoding)


def test_a_value_at_every_alignment() -> None:
    for before in range(6):
        said = "z" * before + PERSON.surname
        for way in (base64.b64encode(said.encode()).decode(), ENCODINGS["base45"](said)):
            assert ONE.scan(b"a: " + way.encode() + b" b"), before


def test_every_layout_has_its_canaries() -> None:
    assert {canary(number).format for number in range(len(PLAIN))} == set(PLAIN)
    assert all(
        len(value) >= 8
        for number in range(50)
        for kind, value in canary(number).texts()
        if kind != "optional_data"
    )


def test_no_false_alarm_among_hundreds() -> None:
    noise = random.Random(5)
    data = b"\n".join(
        json.dumps(
            {
                "sha256": noise.randbytes(32).hex(),
                "n": noise.randrange(10**8),
                "jti": base64.b64encode(noise.randbytes(300)).decode(),
            }
        ).encode()
        for _ in range(200)
    )
    assert MANY.scan(data) == []
    assert MANY.scan(noise.randbytes(100_000)) == []

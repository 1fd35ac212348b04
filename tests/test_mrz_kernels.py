"""The Cython kernels agree with the slow, obvious oracle, on specimens, mutations and garbage."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.core import _fastmrz
from edged.core.layouts import FORMATS, KERNEL, LAYOUTS, SHAPES, MrzFormat, alphabet, classify
from edged.errors import DecodeError
from tests import mrz_oracle as oracle
from tests.mrz_specimens import SPECIMENS
from tests.mrz_texts import mrz_texts


def failing_names(code: int, failing: int) -> set[str]:
    checks = LAYOUTS[FORMATS[code - 1]].checks
    return {check.name for index, check in enumerate(checks) if failing >> index & 1}


def seen(code: int, failing: int) -> tuple[str | None, set[str]]:
    return (None, set()) if code <= 0 else (str(FORMATS[code - 1]), failing_names(code, failing))


@settings(max_examples=1000)
@given(mrz_texts())
def test_one_mrz_as_the_oracle_judges_it(lines: list[str]) -> None:
    code, failing, _ = KERNEL.check("".join(lines).encode())
    assert seen(code, failing) == oracle.judge(lines)


@settings(max_examples=300)
@given(mrz_texts())
def test_misplaced_fields_as_the_alphabets_say(lines: list[str]) -> None:
    text = "".join(lines)
    code, _, misplaced = KERNEL.check(text.encode())
    if not code:
        return
    format_ = FORMATS[code - 1]
    expected = 0
    allowed = [characters for line in alphabet(format_) for characters in line]
    for index, field in enumerate(LAYOUTS[format_].fields):
        if any(text[at] not in allowed[at] for at in range(field.start, field.stop)):
            expected |= 1 << index
    assert misplaced == expected


@settings(max_examples=200)
@given(st.lists(mrz_texts(), max_size=20), st.booleans())
def test_many_in_one_call(records: list[list[str]], last_newline: bool) -> None:
    data = "\n".join("".join(lines) for lines in records) + ("\n" if last_newline and records else "")
    found = KERNEL.check_many(data.encode())
    pairs = [seen(found[at], found[at + 1]) for at in range(0, len(found), 2)]
    assert pairs == oracle.judge_many(records)


@given(st.binary(max_size=400))
def test_many_from_any_bytes(data: bytes) -> None:
    found = KERNEL.check_many(data)
    records = data.split(b"\n")
    if not records[-1]:
        records.pop()
    assert len(found) == 2 * len(records)
    for at, record in enumerate(records):
        code, failing, _ = KERNEL.check(record)
        assert (found[2 * at], found[2 * at + 1]) == (max(code, 0), failing)


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda s: s["name"])
def test_every_bad_byte_is_refused(specimen: dict) -> None:
    text = bytearray("".join(specimen["lines"]).encode())
    for bad in (
        0,
        ord("a"),
        ord(" "),
        ord("\n"),
        ord("="),
        ord(";"),
        ord("@"),
        ord("["),
        ord("/"),
        0x80,
        0xFF,
    ):
        for at in (7, len(text) // 2, len(text) - 1):  # behind what classifies
            changed = text.copy()
            changed[at] = bad
            assert KERNEL.check(bytes(changed)) == (-1, 0, 0)


@given(st.text(oracle.ALPHABET, max_size=200))
def test_check_digit(text: str) -> None:
    assert _fastmrz.check_digit(text.encode()) == int(oracle.check_digit(text))


@given(st.binary(max_size=60))
def test_check_digit_of_any_bytes(data: bytes) -> None:
    legible = all(chr(byte) in oracle.VALUES for byte in data)
    expected = int(oracle.check_digit(data.decode())) if legible else -1
    assert _fastmrz.check_digit(data) == expected


def test_the_kernel_takes_bytes_alone() -> None:
    for wrong in ("P<UTO", None, bytearray(b"P<UTO"), memoryview(b"P<UTO")):
        with pytest.raises(TypeError):
            _fastmrz.check_digit(wrong)
        with pytest.raises(TypeError):
            KERNEL.check(wrong)
        with pytest.raises(TypeError):
            KERNEL.check_many(wrong)


@pytest.mark.parametrize("format_", list(MrzFormat))
def test_layouts_have_no_gaps_and_every_check_digit_a_place(format_: MrzFormat) -> None:
    layout = LAYOUTS[format_]
    assert SHAPES[format_] == oracle.SHAPES[format_]
    at = 0
    for field in layout.fields:
        assert field.start == at
        assert len(field.alphabets) == field.stop - field.start
        at = field.stop
    assert at == layout.lines * layout.width
    assert {check.position for check in layout.checks} == {
        field.start for field in layout.fields if field.name.endswith("_check")
    }


@settings(max_examples=300)
@given(mrz_texts())
def test_classify_as_the_oracle_does(lines: list[str]) -> None:
    expected = oracle.classify(lines)
    if expected is not None:
        assert classify(lines) == expected
    else:
        with pytest.raises(DecodeError):
            classify(lines)


def test_a_kernel_refuses_tables_it_has_no_room_for() -> None:
    fine = ([(0, 0)] * 30, [(29, 0, ((0, 29),), (0, 0))])
    _fastmrz.Kernel(["A"], [fine] * 9)
    for bad in (
        ([(0, 0)] * 91, []),
        ([(32, 0)], []),
        ([(0, 32)], []),
        ([(0, 0)] * 30, [(30, 0, ((0, 29),), (0, 0))]),
        ([(0, 0)] * 30, [(29, 0, ((0, 31),), (0, 0))]),
        ([(0, 0)] * 30, [(29, 0, ((9, 3),), (0, 0))]),
        ([(0, 0)] * 30, [(29, 0, ((0, 1),) * 5, (0, 0))]),
        ([(0, 0)] * 30, [(29, 0, (), (0, 0))] * 9),
    ):
        with pytest.raises(ValueError):
            _fastmrz.Kernel(["A"], [bad] * 9)
    with pytest.raises(ValueError):
        _fastmrz.Kernel(["A"], [fine] * 8)
    with pytest.raises(ValueError):
        _fastmrz.Kernel(["A"] * 33, [fine] * 9)


def test_threads_share_the_kernel() -> None:
    data = "\n".join("".join(s["lines"]) for s in SPECIMENS for _ in range(200)).encode()
    expected = KERNEL.check_many(data)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(KERNEL.check_many(data))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4
    assert set(expected[1::2]) == {0}

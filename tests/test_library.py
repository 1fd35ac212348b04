"""edged.core for others: light to import, takes files and arrays, and its documented example is true."""

from __future__ import annotations

import datetime
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from edged import core, messages
from edged.core.image import MAX_BYTES, decode_image, page_image
from edged.errors import DecodeError

ROOT = Path(__file__).parents[1]
SPECIMENS = ROOT / "edged" / "specimens"
TODAY = datetime.date(2026, 6, 15)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789<"
PASSPORT = (SPECIMENS / "passport.jpg").read_bytes()


def read_in_a_new_process(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=60)


def test_importing_it_loads_neither_arrays_nor_opencv(tmp_path):
    code = (
        "import sys, edged.core as core\n"
        "assert core.check_digit('L898902C3') == 6\n"
        "print([m for m in ('numpy', 'cv2', 'asyncio', 'aiomqtt', 'sqlite3') if m in sys.modules])"
    )
    assert read_in_a_new_process(code, tmp_path).stdout == "[]\n"


def test_the_documented_example_prints_what_the_page_says(tmp_path):
    section = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8").partition("## As a library")[2]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    shown = re.search(r"```text\n(.*?)```", section, re.DOTALL)
    assert code
    assert shown
    shutil.copy(SPECIMENS / "passport.jpg", tmp_path)
    done = read_in_a_new_process(code[1], tmp_path)
    assert done.stderr == ""
    assert done.stdout == shown[1]


def test_the_documented_example_is_typed(tmp_path):
    section = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8").partition("## As a library")[2]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert code
    (tmp_path / "example.py").write_text(
        code[1] + "\nreading.no_such_attribute\nread_page(page)\n", encoding="utf-8"
    )
    cache = str(ROOT / ".mypy_cache" / "library")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports", "silent", "--cache-dir", cache]
    told = subprocess.run(
        [*command, "example.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
    ).stdout
    assert re.findall(r"example.py:\d+: error: .*\[([a-z-]+)\]", told) == ["attr-defined", "call-arg"], told


@cache
def forms() -> dict[str, object]:
    image = decode_image(PASSPORT)
    frozen = image.copy()
    frozen.flags.writeable = False
    return {
        "bytes": PASSPORT,
        "bytearray": bytearray(PASSPORT),
        "memoryview": memoryview(PASSPORT),
        "BGR": image,
        "BGRA": np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]),
        "turned view": image[::-1, ::-1],
        "every second of a larger one": np.repeat(np.repeat(image, 2, 0), 2, 1)[::2, ::2],
        "Fortran's order": np.asfortranarray(image),
        "read-only": frozen,
    }


@pytest.mark.parametrize("form", list(forms()))
def test_a_picture_in_any_form_is_read(form):
    given = forms()[form]
    before = given.copy() if isinstance(given, np.ndarray) else None
    reading = core.read_page(given, today=TODAY)
    assert reading.valid
    assert reading.mrz.document_number.reveal() == "L898902C3"
    if before is not None:
        assert np.array_equal(given, before), "what is read stays as it was"


def test_grey_comes_as_it_is_and_in_one_channel():
    grey = np.ascontiguousarray(decode_image(PASSPORT)[:, :, 1])
    for form in (grey, grey[:, :, None]):
        assert core.read_page(form, today=TODAY).valid


def test_what_is_clear_is_white():
    clear = np.zeros((30, 40, 4), np.uint8)
    assert page_image(clear).min() == 255


def test_a_plain_picture_is_not_copied():
    image = decode_image(PASSPORT)
    assert page_image(image) is image


IMAGE = np.zeros((30, 40, 3), np.uint8)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (None, "image.wrong_type"),
        ("passport.jpg", "image.wrong_type"),
        ([[0, 1], [1, 0]], "image.wrong_type"),
        (Path("passport.jpg"), "image.wrong_type"),
        (IMAGE.astype(np.float64), "image.wrong_type"),
        (IMAGE.astype(np.uint16), "image.wrong_type"),
        (IMAGE.astype(bool), "image.wrong_type"),
        (IMAGE.astype(object), "image.wrong_type"),
        (IMAGE.view([("sample", np.uint8)]), "image.wrong_type"),
        (np.zeros((2, 2), "M8[s]"), "image.wrong_type"),
        (np.zeros((), np.uint8), "image.wrong_shape"),
        (np.zeros(40, np.uint8), "image.wrong_shape"),
        (np.zeros((30, 40, 2), np.uint8), "image.wrong_shape"),
        (np.zeros((3, 30, 40), np.uint8), "image.wrong_shape"),
        (np.zeros((30, 40, 0), np.uint8), "image.wrong_shape"),
        (np.zeros((2, 30, 40, 3), np.uint8), "image.wrong_shape"),
        (np.zeros((0, 40, 3), np.uint8), "image.empty"),
        (np.zeros((30, 0), np.uint8), "image.empty"),
        (np.zeros((2, 40_000), np.uint8), "image.too_large"),
        (np.broadcast_to(np.uint8(0), (20_000, 20_000)), "image.too_large"),
        (memoryview(bytes(MAX_BYTES + 1)), "image.too_large"),
        (b"", "image.empty"),
        (b"hello", "image.not_an_image"),
        (PASSPORT[:5000], "image.truncated"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_code(given, code):
    with pytest.raises(DecodeError) as refused:
        core.read_page(given, today=TODAY)
    assert refused.value.code == code
    assert messages.known(code)


def printed(lines: list[str]) -> np.ndarray:
    """Lines of text in an even face, as wide as an MRZ of 44."""
    page = np.full((40 + 36 * len(lines), 940, 3), 235, np.uint8)
    for row, line in enumerate(lines):
        for place, character in enumerate(line):
            at = (25 + 20 * place, 50 + 36 * row)
            cv2.putText(page, character, at, cv2.FONT_HERSHEY_SIMPLEX, 0.85, (20, 20, 20), 2, cv2.LINE_AA)
    return page


@cache
def adversarial() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(11)
    places = np.indices((900, 1300))
    passport = decode_image(PASSPORT)
    rows = passport[-int(0.23 * len(passport)) :]
    return {
        "one row": np.zeros((1, 30_000), np.uint8),
        "one column": np.zeros((30_000, 1), np.uint8),
        "one pixel": np.zeros((1, 1, 3), np.uint8),
        "black": np.zeros((900, 1300), np.uint8),
        "white": np.full((900, 1300), 255, np.uint8),
        "noise": rng.integers(0, 256, (900, 1300), np.uint8),
        "noise in a thin strip": rng.integers(0, 256, (30, 880), np.uint8),
        "noise, long": rng.integers(0, 256, (300, 8000), np.uint8),
        "finest checks": (places.sum(0) % 2 * 255).astype(np.uint8),
        "checks as large as characters": ((places // 12).sum(0) % 2 * 255).astype(np.uint8),
        "stripes": (places[1] // 8 % 2 * 255).astype(np.uint8),
        "the same MRZ ten times": np.vstack([rows] * 10),
        "two documents": np.vstack([passport, passport]),
        "two documents side by side": np.hstack([passport, passport]),
        "two documents head to head": np.vstack([passport, passport[::-1, ::-1]]),
        "rows like an MRZ's": printed(["".join(rng.choice(list(ALPHABET), 44)) for _ in range(30)]),
        "running text": printed(["THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG"] * 20),
        "nothing but fillers": printed(["<" * 44] * 30),
        "a page full of fillers": np.vstack([np.hstack([rows[-60:, 700:1100]] * 3)] * 12),
    }


@pytest.mark.parametrize("name", list(adversarial()))
def test_adversarial_pages_are_refused_with_a_reason(name):
    reading = core.read_page(adversarial()[name], today=TODAY)
    assert not reading.valid
    assert reading.reasons
    assert all(messages.known(reason.code) for reason in reading.reasons)

"""Broken bytes for everything that reads a chip: an answer each, in bounded work and memory, and no other exception.

A few seconds here; `EDGED_FUZZ_MINUTES` says for how long the slow test goes on.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edged.core.emrtd import tlv
from edged.core.emrtd.portrait_file import decode_portrait, find_portrait
from edged.errors import DecodeError
from tests import chip_fuzz, chip_mutations, chip_seeds, lds_files
from tests.chip_fuzz import CRASHES, case, outcome
from tests.chip_targets import TARGETS, Target

ROOT = Path(__file__).parents[1]
A_SLICE = 40
"""Cases of each target in the usual run: six seconds of a processor."""


def in_a_small_process(first: int, count: int, *names: str, timeout: float = 100) -> dict[str, object]:
    command = [sys.executable, "-m", "tests.chip_fuzz", str(first), str(count), *names]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=timeout
    )
    last = re.findall(r"^[a-z0-9A-Z ]+ \d+$", done.stderr, re.MULTILINE)[-1:]
    assert done.returncode == 0, f"{last} ended it ({done.returncode}): {done.stderr[-1500:]}"
    return json.loads(done.stdout)


def within_bounds(seen: dict[str, object]) -> None:
    assert seen["work"] < 1, seen["work_at"]
    assert seen["memory"] < 1, seen["memory_at"]


def test_broken_inputs_are_answered():
    seen = in_a_small_process(0, A_SLICE)
    within_bounds(seen)
    assert seen["cases"] == A_SLICE * len(TARGETS)
    assert set(seen["outcomes"]) == set(TARGETS)
    for name, codes in seen["outcomes"].items():
        assert sum(codes.values()) == A_SLICE
        never_refuses = not TARGETS[name].refusals or name in {"image header", "point"}
        assert len(codes) > 1 or never_refuses or name == "answer", f"{name}: {codes}"


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_broken_inputs_are_answered_for_long():
    ends = time.monotonic() + 60 * float(os.environ.get("EDGED_FUZZ_MINUTES", "5"))
    first = random.SystemRandom().randrange(1_000_000, 1_000_000_000)
    while time.monotonic() < ends:
        within_bounds(in_a_small_process(first, 200, timeout=900))
        first += 200


@pytest.mark.parametrize("name", TARGETS)
def test_whole_inputs_are_read_and_cost_little(name):
    """The line that broken inputs must stay below is well above what whole ones need."""
    for data in chip_fuzz.whole(name):
        outcome(name, data)
    for data in TARGETS[name].seeds().values():
        limit = TARGETS[name].limit(data)
        with chip_fuzz.Measured(limit) as measured:
            code = outcome(name, data)
        assert measured.calls < limit / 3
        if name not in {"tlv", "answer", "file reading", "secured file reading"}:
            assert code == "read"


def crashes() -> list[Path]:
    return sorted(CRASHES.glob("*.bin"))


@pytest.mark.parametrize("path", crashes(), ids=lambda path: path.stem)
def test_what_once_broke(path):
    name = path.stem.partition("--")[0].replace("_", " ")
    data = path.read_bytes()
    with chip_fuzz.Measured(TARGETS[name].limit(data)):
        code = outcome(name, data)
    if name == "dg2":
        assert code == "image.too_large"


def test_every_kept_input_has_a_target():
    assert {path.stem.partition("--")[0].replace("_", " ") for path in crashes()} <= set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("tag", ["30", "24", "7F61"])
def test_the_deep_and_the_wide_and_the_long(name, tag):
    """Two thousand levels, with lengths and without, ten thousand empty objects, a length of four gigabytes."""
    octets = bytes.fromhex(tag)
    inputs = [
        chip_mutations.nested(b"", octets, 2000),
        (octets + b"\x80") * 2000,
        octets + b"\x84\xff\xff\xff\xff" + bytes(100),
        tlv.encode(int(tag, 16), (octets + b"\x00") * 10_000),
        b"\xff" * 10_000,
        b"",
    ]
    for data in inputs:
        with chip_fuzz.Measured(TARGETS[name].limit(data)):
            outcome(name, data)


def test_a_case_is_always_the_same_and_breaking_breaks():
    for name in TARGETS:
        assert case(name, 5) == case(name, 5)
        whole = chip_fuzz.whole(name)
        assert sum(case(name, number) not in whole for number in range(20)) > 15


def test_the_harness_sees_what_it_is_for(monkeypatch):
    def endless(_: bytes) -> None:
        while True:
            len(b"")

    def leaks(_: bytes) -> None:
        raise DecodeError("dg1", "tlv.cut", chip_seeds.SECRETS[0])

    def breaks(data: bytes) -> None:
        data.index(b"never there")

    read = Target(breaks, lambda: {"": b"x"})
    monkeypatch.setitem(TARGETS, "com", read)
    with pytest.raises(ValueError, match="not found"):
        outcome("com", b"x")
    monkeypatch.setitem(TARGETS, "com", read._replace(read=leaks))
    with pytest.raises(AssertionError, match="identity"):
        outcome("com", b"x")
    monkeypatch.setitem(TARGETS, "com", read._replace(read=endless))
    with pytest.raises(chip_fuzz.TooMuchWorkError), chip_fuzz.Measured(10_000):
        outcome("com", b"x")
    monkeypatch.setitem(TARGETS, "com", read._replace(read=lambda data: bytearray(50_000_000)))
    assert chip_fuzz.run([("com", 0, b"x")])["memory"] > 1


def test_portraits_that_are_found_are_decoded_or_refused():
    """Behind the measuring: the decoder itself, on broken portraits whose header was believed."""
    decoded = 0
    for number in range(400):
        try:
            decoded += decode_portrait(find_portrait(case("dg2", number))) is not None
        except DecodeError as error:
            assert error.what in {"portrait", "image"}
    assert decoded > 20


def test_trees_are_put_together_again():
    for name, data in chip_seeds.files().items():
        nodes = chip_mutations.tree(data)
        assert nodes, name
        assert chip_mutations.assembled(nodes) == data
    assert chip_mutations.tree(lds_files.images()["jpeg"]) is None

"""The boot loader: power cut at every write and erasure, what it refuses, and the library it checks signatures with."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from edged.drivers import head_image
from tests.head_boot import FIRMWARE, KEY, NEW, OLD, make

VENDORED = FIRMWARE / "vendor" / "bearssl"

ENOUGH = 1500
"""Runs of an exhaustive test: about two hundred operations, torn in eight ways."""


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Board, load address, key and the two images, as the C tests take them."""
    directory, chance = tmp_path_factory.mktemp("images"), random.Random(7)
    (directory / "key").write_bytes(head_image.point(KEY.public_key()))
    for name, version, security, size in (("old", OLD, 1, 30_000), ("new", NEW, 2, 40_001)):
        payload = chance.randbytes(size)
        data = head_image.build(
            payload, board="host", version=version, security_version=security, load_address=0, key=KEY
        )
        (directory / name).write_bytes(data)
    make("boot-test")
    return ["host", "0", *(str(directory / name) for name in ("key", "old", "new"))]


def run(program: str, *words: str) -> str:
    """Run one of the C tests, built with ASan and UBSan; what it says at its end."""
    done = subprocess.run(
        [FIRMWARE / "build" / "boot" / program, *words], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.strip()


@pytest.mark.parametrize("way", ["once", "unhealthy", "failing"])
def test_power_cut_at_every_write_and_erasure(words: list[str], way: str) -> None:
    assert int(run("boot_cuts", way, *words)) >= ENOUGH


@pytest.mark.slow
def test_power_cut_twice(words: list[str]) -> None:
    assert int(run("boot_cuts", "twice", *words)) >= ENOUGH


def test_whatever_is_not_ours_is_refused(words: list[str]) -> None:
    assert run("boot_refusals", *words) == "refused"


def test_a_strangers_flash_and_octets_start_nothing() -> None:
    if shutil.which("clang") is None:
        pytest.skip("libFuzzer needs clang: apt install clang libclang-rt-14-dev")
    make("build/boot/fuzz_boot")
    # libFuzzer measures the peak of a process, and a child begins with its parent's: only one allocation is bounded.
    run("fuzz_boot", "-runs=15000", "-seed=1", "-max_len=4096", "-rss_limit_mb=0", "-malloc_limit_mb=64")


def test_the_vendored_library_is_untouched() -> None:
    listed = dict(reversed(line.split("  ")) for line in (VENDORED / "SHA256SUMS").read_text().splitlines())
    there = {
        str(path.relative_to(VENDORED)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDORED.rglob("*")
        if path.is_file() and path.name not in ("SHA256SUMS", "VERSION")
    }
    assert there == listed
    assert "bearssl 0.6+dfsg.1-3" in (VENDORED / "VERSION").read_text()
    assert "MIT" in (VENDORED / "VERSION").read_text()
    assert "Thomas Pornin" in (VENDORED / "LICENSE.txt").read_text()


def test_a_loader_is_never_built_without_a_key(tmp_path: Path) -> None:
    for key in ((), ("BOOT_KEY=04",), ("BOOT_KEY=" + "ff" * 65,)):
        built = ["make", "-s", "-C", FIRMWARE, f"BUILD={tmp_path}", f"{tmp_path}/mps2-an385/boot_key.h", *key]
        done = subprocess.run(built, capture_output=True, check=False, text=True)
        assert done.returncode != 0
        assert "BOOT_KEY" in done.stderr
        assert not (tmp_path / "mps2-an385" / "boot_key.h").exists()


# --- the tests of the tests ---

BREAKS = {
    "a trial is written down before it is started": (
        "boot_choose.c",
        "state->slot[slot] = good ? BOOT_TRIAL_BEGUN : BOOT_BAD;",
        "state->slot[slot] = good ? BOOT_TRIAL_ASKED : BOOT_BAD;",
        ("boot_cuts", "unhealthy"),
    ),
    "a torn record doesn't count": (
        "boot_journal.c",
        "crc32(record, AT_CRC) != get32(record + AT_CRC)",
        "false",
        ("boot_cuts", "once"),
    ),
    "the sector with the record that counts is not erased": (
        "boot_journal.c",
        "place.sector = (place.sector + 1) % BOOT_JOURNALS;",
        "",
        ("boot_cuts", "once"),
    ),
    "the counter is raised when the image is confirmed": (
        "boot_update.c",
        "next.floor = image.security > next.floor ? image.security : next.floor;",
        "",
        ("boot_cuts", "once"),
    ),
    "nothing is changed without a record": (
        "boot_update.c",
        "    if (!update->known) {\n        return answer(BOOT_FLASH_FAILED);\n    }\n",
        "",
        ("boot_cuts", "failing"),
    ),
    "an older image is refused": (
        "boot_image.c",
        "image->security < floor ? BOOT_REASON_OLDER : BOOT_REASON_NONE",
        "floor == 0xFFFFFFFFu ? BOOT_REASON_OLDER : BOOT_REASON_NONE",
        ("boot_refusals",),
    ),
    "what runs is what was checked": (
        "boot_choose.c",
        "boot_digest_equal(&choice->copy, digest, choice->image.digest);",
        "boot_digest_equal(&choice->copy, digest, digest);",
        ("boot_refusals",),
    ),
    "right before the jump all is looked at again": (
        "boot_choose.c",
        "boot_is_good(&choice->verdict) && boot_is_good(&choice->copy) &&",
        "boot_is_good(&choice->verdict) &&",
        ("boot_refusals",),
    ),
    "the counter is raised to what was signed": (
        "boot_update.c",
        "return verdict.first == BOOT_GOOD;",
        "return true;",
        ("boot_refusals",),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_loader_is_noticed(words: list[str], tmp_path: Path, name: str) -> None:
    file, old, new, (program, *way) = BREAKS[name]
    shutil.copytree(FIRMWARE, tmp_path / "firmware", ignore=shutil.ignore_patterns("build"))
    source = tmp_path / "firmware" / "boot" / file
    text = source.read_text()
    assert text.count(old) == 1
    source.write_text(text.replace(old, new))
    subprocess.run(["make", "-s", "-C", tmp_path / "firmware", "boot-test"], check=True, capture_output=True)
    broken = [tmp_path / "firmware" / "build" / "boot" / program, *way, *words]
    assert subprocess.run(broken, capture_output=True, check=False).returncode != 0

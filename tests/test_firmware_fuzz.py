"""The firmware against octets, hosts and hands that mean no good: libFuzzer; and the analysers of its source."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parents[1] / "firmware"
TARGETS = ("frame", "link", "head")
RUNS = {"frame": 40_000, "link": 20_000, "head": 2000}
"""Two seconds each on an idle machine."""


def _without() -> str | None:
    if any(shutil.which(name) is None for name in ("make", "clang")):
        return "make or clang isn't installed: tools/setup.sh all"
    if not list(Path("/usr/lib").glob("llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a")):
        return "clang's libFuzzer isn't installed: tools/setup.sh all"
    return None


pytestmark = [
    pytest.mark.hardware,
    pytest.mark.timeout(0),  # libFuzzer has limits of its own
    pytest.mark.skipif(_without() is not None, reason=str(_without())),
]


def build(directory: Path, sources: Path, *targets: str) -> None:
    programs = [str(directory / "fuzz" / f"fuzz-{target}") for target in targets]
    subprocess.run(
        ["make", "-s", "-C", str(FIRMWARE), f"BUILD={directory}", f"FUZZ_SOURCES={sources}", *programs],
        check=True,
        timeout=300,
    )


def fuzz(directory: Path, target: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What the target says to the kept corpus, and to what comes beside it."""
    found = directory / "found"
    found.mkdir(exist_ok=True)
    program = directory / "fuzz" / f"fuzz-{target}"
    corpus = FIRMWARE / "fuzz" / "corpus" / target
    # libFuzzer measures the peak of a process, and a child begins with its parent's: only one allocation is bounded.
    memory = ("-rss_limit_mb=0", "-malloc_limit_mb=64")
    command = [program, *arguments, *memory, "-timeout=60", f"-artifact_prefix={directory}/", found, corpus]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=540 if len(arguments) < 4 else None
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("fuzz")
    build(directory, FIRMWARE / "src", *TARGETS)
    return directory


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_that_was_ever_found_breaks_it_nor_does_a_moment_of_chance(built: Path, target: str) -> None:
    done = fuzz(built, target, f"-runs={RUNS[target]}", "-seed=1", "-max_len=1024")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "INITED" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_breaks_it_for_as_long_as_one_says(built: Path, target: str) -> None:
    """`EDGED_FUZZ_MINUTES` for each target."""
    seconds = int(float(os.environ.get("EDGED_FUZZ_MINUTES", "0.2")) * 60)
    done = fuzz(built, target, f"-max_total_time={seconds}", "-max_len=2048")
    assert done.returncode == 0, done.stderr[-3000:]


BREAKS = {
    "the decoder checks the CRC": (
        "frame",
        "frame.c",
        "crc32_of(octets, covered) != get_32(octets + covered)",
        "false",
    ),
    "the decoder stops at its buffer's end": (
        "frame",
        "frame.c",
        "decoder->used < sizeof decoder->octets",
        "true",
    ),
    "a block of COBS ends within what came": ("frame", "frame.c", "block > stuffed - from", "false"),
    "a lamp is lit no oftener than it may": (
        "head",
        "limits.c",
        ".duty_per_mille = 100}",
        ".duty_per_mille = 130}",
    ),
    "the open cover keeps UV off": (
        "head",
        "head.c",
        "head->pins.cover_open && illumination_needs_cover(&head->illumination)",
        "false",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_the_one_line_that_breaks_it_is_noticed(tmp_path: Path, name: str) -> None:
    target, file, line, instead = BREAKS[name]
    shutil.copytree(FIRMWARE / "src", tmp_path / "src")
    source = tmp_path / "src" / file
    text = source.read_text()
    assert text.count(line) == 1, "the source has changed: quote the line as it is now"
    source.write_text(text.replace(line, instead))
    build(tmp_path, tmp_path / "src", target)
    assert fuzz(tmp_path, target, "-runs=20000", "-seed=1", "-max_len=1024").returncode != 0


# --- static analysis ---------------------------------------------------------------------------------------------


def analyse(firmware: Path, build_into: Path) -> subprocess.CompletedProcess[str]:
    command = ["make", "-s", "-C", str(firmware), f"BUILD={build_into}", "analyse"]
    return subprocess.run(command, capture_output=True, text=True)


needs_analysers = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("cppcheck", "gcc", "arm-none-eabi-gcc")),
    reason="cppcheck, gcc or arm-none-eabi-gcc isn't installed: tools/setup.sh all",
)


@needs_analysers
def test_the_analysers_find_nothing(tmp_path: Path) -> None:
    done = analyse(FIRMWARE, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@needs_analysers
@pytest.mark.parametrize(
    ("planted", "found"),
    [
        (
            "int planted(const int *of);\nint planted(const int *of) { return of == 0 ? *of : 1; }",
            "-Werror=analyzer-",
        ),
        (
            "int planted(int of);\nint planted(int of) { if (of > 3) { of = 2; } else { of = 2; } return of; }",
            "cppcheck",
        ),
    ],
    ids=["gcc", "cppcheck"],
)
def test_the_analysers_find_what_is_planted(tmp_path: Path, planted: str, found: str) -> None:
    """A null that is followed; branches that are the same."""
    firmware = tmp_path / "firmware"
    shutil.copytree(FIRMWARE, firmware, ignore=shutil.ignore_patterns("build", "corpus"))
    with (firmware / "src" / "crc32.c").open("a") as file:
        file.write(planted + "\n")
    done = analyse(firmware, tmp_path / "build")
    assert done.returncode != 0
    assert found in done.stderr

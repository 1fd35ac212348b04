"""Files that are written whole: who may read them, two writers at once, and what a kill leaves."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from edged.fleet.ceremony import IGNORED
from edged.fleet.state import write_text
from edged.whole_file import SUFFIX, replacing

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_text_of_the_state_is_readable_as_the_umask_says(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "devices/box-1.toml", "a = 1\n")
    finally:
        os.umask(before)
    assert (tmp_path / "devices/box-1.toml").stat().st_mode & 0o777 == mode


def test_a_secret_is_nobody_elses_from_the_start(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with replacing(tmp_path / "key") as stream:
            (part,) = tmp_path.iterdir()
            assert part.stat().st_mode & 0o777 == 0o600
            stream.write(b"secret")
    finally:
        os.umask(before)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_two_that_write_at_once_leave_one_of_both(tmp_path: Path) -> None:
    """A command that is interrupted writes its last word while a thread of it still writes the one before."""
    path = tmp_path / "r.json"
    words = ["a" * 100_000, "b" * 100_000]
    problems: list[BaseException] = []

    def write(word: str) -> None:
        try:
            for _ in range(10):
                write_text(path, word)
        except BaseException as error:  # noqa: BLE001  # looked at below
            problems.append(error)

    threads = [threading.Thread(target=write, args=(word,)) for word in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert path.read_text() in words
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_leaves_is_nothing_for_git(tmp_path: Path) -> None:
    with replacing(tmp_path / "fleet.toml"):
        (part,) = tmp_path.iterdir()
    assert part.name.startswith(".")
    assert part.name.endswith(SUFFIX)
    assert f".*{SUFFIX}" in IGNORED.split()

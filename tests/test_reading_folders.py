"""`edged read --crop` and `--debug`: what is written, for whose eyes, and that nothing is written over."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edged.cli import main
from edged.commands import _read_folder
from edged.commands._read_folder import PrivateFolder
from edged.core.image import decode_image
from tests import pdf_files

SPECIMENS = Path(__file__).parents[1] / "edged" / "specimens"
PASSPORT = SPECIMENS / "passport.jpg"


def answers(capsys, *arguments):
    code = main(["read", "--json", "--lang", "en", *map(str, arguments)])
    told = capsys.readouterr()
    return code, [json.loads(line) for line in told.out.splitlines()], told.err


def codes(answer):
    return [reason["code"] for reason in answer["reasons"]]


def modes(folder):
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["passport.jpg", "upside-down.jpg", "sideways.jpg", "permit-one-line.jpg"])
def test_the_mrz_is_cut_out_upright(capsys, tmp_path, name):
    folder = tmp_path / "crops"
    code, (answer,), _ = answers(capsys, SPECIMENS / name, "--crop", folder)
    assert code == os.EX_OK
    assert answer["written"][0] == str(folder / f"{Path(name).stem}.mrz.png")
    zone = cv2.imread(answer["written"][0])
    assert zone.shape[1] > 4 * zone.shape[0]
    # On paper around it, what was cut out reads the same without being turned.
    page = cv2.copyMakeBorder(zone, 300, 100, 200, 200, cv2.BORDER_REPLICATE)
    (tmp_path / "zone.png").write_bytes(cv2.imencode(".png", page)[1].tobytes())
    _, (again,), _ = answers(capsys, tmp_path / "zone.png")
    assert again["lines"] == answer["lines"]
    assert again["rotation"] == 0


def test_the_portrait_is_cut_out_upright(capsys, tmp_path):
    page = decode_image(PASSPORT.read_bytes())
    crops = []
    for quarters in range(4):
        cv2.imwrite(str(tmp_path / f"{quarters}.png"), np.ascontiguousarray(np.rot90(page, quarters)))
        _, (answer,), _ = answers(capsys, tmp_path / f"{quarters}.png", "--crop", tmp_path / "crops")
        assert answer["written"][1] == str(tmp_path / "crops" / f"{quarters}.portrait.png")
        portrait = cv2.imread(answer["written"][1], cv2.IMREAD_GRAYSCALE)
        assert 1.1 < portrait.shape[0] / portrait.shape[1] < 1.3
        crops.append(cv2.resize(portrait, (70, 80), interpolation=cv2.INTER_AREA).ravel())
    assert np.corrcoef(crops).min() > 0.9
    assert np.corrcoef(crops[0], crops[0][::-1])[0, 1] < 0.9, "a picture that was turned would be seen"


def test_what_it_saw(capsys, tmp_path):
    folder = tmp_path / "seen"
    code, (answer,), _ = answers(capsys, PASSPORT, "--debug", folder)
    assert code == os.EX_OK
    assert set(modes(folder)) == {f"passport.{end}" for end in ("page.png", "line1.png", "line2.png", "json")}
    facts = json.loads((folder / "passport.json").read_text())
    assert facts["lines"] == answer["lines"]
    for line, row in zip(facts["lines"], facts["rows"], strict=True):
        sure = "".join(
            character["best"][0][0] for character in row["characters"] if character["presence"] > 0.5
        )
        assert sure == line
        assert all(0 <= share <= 1 for character in row["characters"] for _, share in character["best"])
    page, drawn = decode_image(PASSPORT.read_bytes()), cv2.imread(str(folder / "passport.page.png"))
    assert page.shape == drawn.shape
    marked = np.abs(page.astype(int) - drawn).max(axis=2) > 60
    assert marked[int(0.7 * len(page)) :].sum() > 1000, "the rows are drawn in, where the MRZ stands"


def test_pages_without_an_mrz_have_something_to_see_and_no_mrz_to_cut(capsys, tmp_path):
    code, (answer,), _ = answers(
        capsys, SPECIMENS / "driving-licence.jpg", "--crop", tmp_path / "c", "--debug", tmp_path / "d"
    )
    assert code == os.EX_OK
    assert not list((tmp_path / "c").glob("*.mrz.png"))
    assert [Path(name).name for name in answer["written"] if ".portrait." not in name] == [
        "driving-licence.page.png",
        "driving-licence.json",
    ]


def test_only_their_owner_can_look_at_them_and_a_warning_says_why(capsys, tmp_path):
    umask = os.umask(0)
    try:
        _, _, told = answers(capsys, PASSPORT, "--crop", tmp_path / "c", "--debug", tmp_path / "d")
    finally:
        os.umask(umask)
    for folder in (tmp_path / "c", tmp_path / "d"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert set(modes(folder).values()) == {0o600}
        assert f"Warning: {folder} will show raw identity" in told


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_folder_open_to_others_is_not_written_into(capsys, tmp_path, mode):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    code, found, told = answers(capsys, PASSPORT, "--crop", folder)
    assert (code, found) == (os.EX_CANTCREAT, [])
    assert "chmod 700" in told
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_none(capsys, tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "no" / "folder", tmp_path / "zero\0byte"):
        code, found, told = answers(capsys, PASSPORT, "--debug", path)
        assert (code, found) == (os.EX_CANTCREAT, [])
        assert "can't be made or opened" in told


def test_nothing_is_written_over(capsys, tmp_path):
    folder = tmp_path / "crops"
    folder.mkdir(mode=0o700)
    (folder / "passport.mrz.png").write_text("mine")
    elsewhere = tmp_path / "elsewhere"
    (folder / "visa-b.mrz.png").symlink_to(elsewhere)
    code, found, _ = answers(
        capsys, PASSPORT, SPECIMENS / "visa-b.jpg", SPECIMENS / "visa-a.jpg", "--crop", folder
    )
    assert code == os.EX_CANTCREAT
    assert [codes(answer) for answer in found] == [["reading.file_exists"], ["reading.file_exists"], []]
    assert all(answer["valid"] for answer in found)
    assert (folder / "passport.mrz.png").read_text() == "mine"
    assert not elsewhere.exists()
    assert (folder / "visa-a.mrz.png").exists()


def test_files_of_the_same_name_and_pages_get_names_of_their_own(capsys, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(PASSPORT, tmp_path / name)
    (tmp_path / "two.pdf").write_bytes(pdf_files.scanned([PASSPORT.read_bytes()] * 2))
    folder = tmp_path / "crops"
    names = [tmp_path / "a", tmp_path / "b", tmp_path / "two.pdf"]
    assert answers(capsys, *names, "--crop", folder)[0] == os.EX_OK
    assert {name for name in modes(folder) if ".portrait." not in name} == {
        "passport.mrz.png",
        "passport-2.mrz.png",
        "two-p1.mrz.png",
        "two-p2.mrz.png",
    }


@pytest.mark.parametrize(
    ("file", "name"),
    [("-", "stdin"), ("../../etc/passwd", "passwd"), ("..", "page"), ("/tmp/.hidden.png", "hidden"),
     ("a b\n\x1b[2J.png", "a_b_2J"), ("x" * 300 + ".png", "x" * 60), ("护照.png", "_"),
     (os.fsdecode(b"caf\xe9.jpg"), "caf_")],
)  # fmt: skip
def test_names_are_plain(tmp_path, file, name):
    with PrivateFolder(tmp_path / "f") as folder:
        assert folder.name_for(file, None) == name
        assert folder.name_for(file, 3) == f"{name}-p3"


def test_a_full_disk_is_said_and_leaves_nothing_half_written(capsys, tmp_path, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            os.close(self.descriptor)

        def write(self, _data):
            raise OSError(28, "No space left on device")

    def opened(descriptor, _mode):
        full = Full()
        full.descriptor = descriptor
        return full

    monkeypatch.setattr(_read_folder.os, "fdopen", opened)
    code, (answer,), _ = answers(capsys, PASSPORT, "--crop", tmp_path / "c")
    assert (code, codes(answer), answer["written"]) == (os.EX_CANTCREAT, ["reading.not_written"], [])
    assert list((tmp_path / "c").iterdir()) == []


def test_what_was_written_is_named_for_people(capsys, tmp_path):
    assert main(["read", str(PASSPORT), "--crop", str(tmp_path / "c")]) == os.EX_OK
    assert f"→ {tmp_path / 'c' / 'passport.mrz.png'}" in capsys.readouterr().out


def test_nothing_is_written_anywhere_else(tmp_path):
    (tmp_path / "two.pdf").write_bytes(pdf_files.scanned([PASSPORT.read_bytes(), None]))
    before = set(tmp_path.rglob("*"))
    command = [sys.executable, "-m", "edged", "read", "two.pdf", str(PASSPORT), "--crop", "c", "--debug", "d"]
    places = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"), str(tmp_path))
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **places}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == os.EX_OK, done.stderr
    made = {path.relative_to(tmp_path) for path in set(tmp_path.rglob("*")) - before}
    assert {path.parts[0] for path in made} == {"c", "d"}
    assert "ERIKSSON" not in done.stderr

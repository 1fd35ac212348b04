"""`edged optical`: features out, thresholds in a file, no identity anywhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import pytest

from edged.cli import main
from edged.commands.optical import FrameSet, group
from tests import lamps


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    where = tmp_path_factory.mktemp("frames")
    for name, frame in (("one", lamps.white()), ("one-ir", lamps.infrared()), ("oneUV", lamps.ultraviolet())):
        cv2.imwrite(str(where / f"{name}.png"), frame)
    return where


def samples(folder: Path, count: int) -> Path:
    """As many captures as asked for, made from one measured set by changing its numbers a little."""
    path = folder / f"samples-{count}.jsonl"
    one = {
        "format": "TD3", "mrz_white": 0.7, "mrz_ir": 0.6, "mrz_ir_least": 0.5, "viz_ir": 0.2, "portrait_ir": 0.7,
        "uv_paper": 0.05, "uv_blue": 0.01,
    }  # fmt: skip
    lines = [
        json.dumps(one | {"issuer": f"A{'ABCDEFG'[i % 7]}A", "mrz_ir": 0.6 + i / 10000}) for i in range(count)
    ]
    path.write_text("\n".join(lines))
    return path


def test_frames_become_one_line_of_numbers(folder, capsys):
    assert main(["optical", "measure", *map(str, sorted(folder.glob("one*.png")))]) == os.EX_OK
    out = capsys.readouterr().out
    (line,) = out.splitlines()
    found = json.loads(line)
    assert found["format"] == "TD3"
    assert found["issuer"] == "UTO"
    assert found["mrz_ir"] > 0.6
    assert found["uv_paper"] < 0.05
    assert {type(v) for k, v in found.items() if k not in ("format", "issuer")} == {float}
    assert "one" not in out


def test_a_manifest_names_the_frames_too(folder, capsys):
    manifest = folder / "frames.jsonl"
    manifest.write_text('{"white": "one.png", "ir": "one-ir.png"}\n\n{"white": "one.png"}\n')
    assert main(["optical", "measure", "--manifest", str(manifest)]) == os.EX_OK
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert "mrz_ir" in first
    assert "mrz_ir" not in second
    manifest.write_text('{"white": "one.png", "name": "x"}')
    assert main(["optical", "measure", "--manifest", str(manifest)]) == os.EX_DATAERR


def test_files_are_grouped_by_light():
    def names(*files: str) -> list[FrameSet]:
        return group([Path(file) for file in files])

    assert names("a.jpg", "aIR.jpg", "a_uv.png") == [
        FrameSet(Path("a.jpg"), Path("aIR.jpg"), Path("a_uv.png"))
    ]
    assert names("b-white.jpg", "b-ir.jpg") == [FrameSet(Path("b-white.jpg"), Path("b-ir.jpg"))]
    assert names("pair.jpg", "x/c.jpg", "y/c-ir.jpg") == [
        FrameSet(Path("pair.jpg")),
        FrameSet(Path("x/c.jpg")),
        FrameSet(Path("y/c-ir.jpg")),
    ]


def test_fit_writes_thresholds_and_show_says_what_they_rest_on(folder, capsys):
    out = folder / "reader-1.optical.json"
    arguments = ["optical", "fit", "--model", "reader-1", "--out", str(out), str(samples(folder, 80))]
    assert main([*arguments, "--lang", "zh-CN"]) == os.EX_OK
    assert "80 个样本，来自 7 个签发国" in capsys.readouterr().out
    assert main(["optical", "show", str(out), "--lang", "en"]) == os.EX_OK
    said = capsys.readouterr().out
    assert "reader-1: 80 captures of documents of 7 states" in said
    assert "suspicious below 0.600" in said
    assert main(["optical", "show", str(out), "--json"]) == os.EX_OK
    assert json.loads(capsys.readouterr().out)["captures"] == 80
    assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []


def test_too_few_captures_are_said_to_be_too_few(folder, capsys):
    out = folder / "few.json"
    assert (
        main(
            ["optical", "fit", "--model", "few", "--out", str(out), str(samples(folder, 12)), "--lang", "en"]
        )
        == 0
    )
    assert "at least 59 captures" in capsys.readouterr().out
    assert json.loads(out.read_text())["bounds"] == []


def test_what_is_wrong_is_said_and_the_rest_is_measured(folder, capsys):
    (folder / "bad.png").write_bytes(b"no image")
    cv2.imwrite(str(folder / "blank.png"), lamps.white()[:300, :300])
    files = [str(folder / name) for name in ("bad.png", "blank.png", "one.png")]
    assert main(["optical", "measure", *files]) == os.EX_DATAERR
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1
    assert len(said.err.splitlines()) == 2
    assert main(["optical", "measure", str(folder / "absent.png")]) == os.EX_OSERR
    assert main(["optical", "show", str(folder / "bad.png")]) == os.EX_DATAERR
    assert main(["optical", "fit", "--model", "x", str(folder / "bad.png")]) == os.EX_DATAERR
    assert main(["optical", "measure"]) == os.EX_USAGE
    with pytest.raises(SystemExit) as ended:
        main(["optical", "fit", "--model", "No Such/Model", str(folder / "bad.png")])
    assert ended.value.code == os.EX_USAGE

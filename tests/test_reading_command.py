"""`edged read`: what it prints and how it exits."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import zxingcpp

from edged.cli import main
from edged.commands._read_answer import describe, human
from edged.commands._read_extras import add_extras, human_extras
from edged.core.card_numbers import find_card_number
from edged.core.layouts import MrzFormat
from edged.core.mrz import format_mrz, parse_mrz
from edged.core.printed_number import CardReading
from edged.core.reading import read_page
from edged.core.vision import cv2
from tests.mrz_specimens import RUSSIAN_PASSPORT

SPECIMENS = Path(__file__).parents[1] / "edged" / "specimens"


def read(capsys, *arguments):
    code = main(["read", "--json", *map(str, arguments)])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_one_line_of_json_for_each_file(capsys):
    code, (answer,) = read(capsys, SPECIMENS / "passport.jpg")
    assert code == os.EX_OK
    assert answer["format"] == "TD3"
    assert len(answer["lines"]) == 2
    assert answer["valid"] is True
    assert answer["reasons"] == []
    assert answer["fields"]["document_number"] == {"value": "L898902C3", "check": "successful"}
    assert answer["fields"]["surname"]["value"] == "ERIKSSON"
    assert answer["fields"]["birth_date"]["value"] == "1974-08-12"
    assert answer["ms"] > 0


def test_what_else_the_page_shows(capsys):
    _, (answer,) = read(capsys, SPECIMENS / "passport.jpg")
    assert answer["document"] == "Passport"
    assert answer["fields"]["issuing_state"]["name"] == "Utopia (specimen)"
    assert answer["quality"]["advice"] is None
    assert 200 < answer["quality"]["mrz"]["dpi"] < 400
    assert len(answer["portrait"]["corners"]) == 4
    assert {one["check"] for one in answer["visual_zone"].values()} == {"successful"}
    assert answer["barcodes"] == []
    assert "card_number" not in answer
    _, (answer,) = read(capsys, SPECIMENS / "blurred.jpg")
    assert answer["quality"]["advice"]["code"] == "reading.blurred"
    assert answer["card_number"]["value"] is None
    assert answer["card_number"]["check"] == "undetermined"


def test_the_mrz_alone_when_nothing_else_is_wanted(capsys):
    _, (all_of_it,) = read(capsys, SPECIMENS / "passport.jpg")
    _, (answer,) = read(capsys, SPECIMENS / "passport.jpg", "--mrz-only")
    assert set(all_of_it) - set(answer) == {"quality", "portrait", "barcodes", "visual_zone"}
    assert answer["fields"] == all_of_it["fields"]


def licence_page():
    data = "@\n\x1e\rANSI 636000100002DL00410278ZV03190008DLDAQT64235789"
    code = zxingcpp.create_barcode(data, zxingcpp.BarcodeFormat.PDF417)
    symbol = np.array(code.to_image(scale=4), np.uint8)
    page = np.full((900, 1500, 3), 20, np.uint8)
    page[100:800, 150:1350] = 235
    page[300 : 300 + symbol.shape[0], 200 : 200 + symbol.shape[1]] = symbol[..., None]
    return page


def test_a_licence_is_told_by_its_barcode_and_what_it_says_is_in_the_json_alone(capsys, tmp_path):
    cv2.imwrite(str(tmp_path / "licence.png"), licence_page())
    _, (answer,) = read(capsys, tmp_path / "licence.png")
    assert [reason["code"] for reason in answer["reasons"]][:1] == ["mrz.driving_licence"]
    (code,) = answer["barcodes"]
    assert code["symbology"] == "PDF417"
    assert "T64235789" in code["content"]
    assert "card_number" not in answer
    main(["read", str(tmp_path / "licence.png")])
    said = capsys.readouterr().out
    assert "barcodes: PDF417" in said
    assert "T64235789" not in said


def test_a_card_number_stands_for_a_card_without_an_mrz(monkeypatch):
    number = find_card_number("931586198001010028")
    seen = CardReading(number, (0.99,) * 18, None, "")
    monkeypatch.setattr("edged.core.printed_number.read_card_number", lambda _: seen)
    page = np.full((900, 1500, 3), 20, np.uint8)
    page[100:800, 150:1350] = 235
    reading = read_page(page, today=date(2026, 6, 15))
    answer = describe(reading, "zh-CN")
    add_extras(answer, page, reading, "zh-CN")
    assert answer["document"] == "外国人永久居留身份证"
    assert answer["card_number"]["check"] == "successful"
    assert f"证件号码: {number.number.reveal()}" in human_extras(answer, "zh-CN")


def test_a_russian_internal_passport_is_told_in_cyrillic():
    mrz = parse_mrz(format_mrz(MrzFormat.TD3, RUSSIAN_PASSPORT), today=date(2026, 6, 15))
    reading = SimpleNamespace(
        mrz=mrz, valid=True, confidence=1.0, reasons=(), rotation=0, timings_ms={"total": 1.0}
    )
    answer = describe(reading, "en")
    assert answer["document"] == "Russian internal passport"
    assert answer["russian_passport"] == {
        "surname": "ЩУКИНА",
        "given_names": "ЮЛИЯ ЭДУАРДОВНА",
        "document_number": "4507123456",
        "issue_date": "2015-06-20",
        "department": "770-001",
    }
    shown = human({"file": "x"} | answer, "en")
    assert f"surname: {answer['russian_passport']['surname']}" in shown


def test_wrong_check_digits_are_shown_with_the_reason(capsys):
    code, (answer,) = read(capsys, SPECIMENS / "wrong-check-digit.jpg")
    assert code == os.EX_OK
    expected = json.loads((SPECIMENS / "wrong-check-digit.json").read_text())["expected"]["lines"]
    assert answer["lines"] == expected
    assert answer["valid"] is False
    assert "failed" in {field["check"] for field in answer["fields"].values()}
    assert "mrz.check_digit_wrong" in {reason["code"] for reason in answer["reasons"]}
    assert all(reason["text"] for reason in answer["reasons"])


def test_a_page_without_an_mrz_says_why(capsys):
    code, (answer,) = read(capsys, SPECIMENS / "driving-licence.jpg")
    assert code == os.EX_OK
    assert "lines" not in answer
    assert answer["reasons"]


def test_folders_globs_and_standard_input(capsys, tmp_path, monkeypatch):
    for name in ("passport.jpg", "visa-b.jpg"):
        shutil.copy(SPECIMENS / name, tmp_path)
    (tmp_path / "notes.txt").write_text("no image")
    assert [Path(a["file"]).name for a in read(capsys, tmp_path)[1]] == ["passport.jpg", "visa-b.jpg"]
    assert len(read(capsys, tmp_path / "v*.jpg")[1]) == 1
    data = (tmp_path / "visa-b.jpg").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    code, (answer,) = read(capsys, "-")
    assert (code, answer["file"], answer["format"]) == (os.EX_OK, "-", "MRVB")


def test_bad_files_are_named_and_the_others_still_read(capsys, tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "cut.jpg").write_bytes((SPECIMENS / "passport.jpg").read_bytes()[:20_000])
    code, answers = read(capsys, tmp_path / "empty.jpg", tmp_path / "cut.jpg", SPECIMENS / "visa-a.jpg")
    assert code == os.EX_DATAERR
    assert [a["reasons"][0]["code"] for a in answers[:2]] == ["image.empty", "image.truncated"]
    assert answers[2]["valid"] is True
    assert read(capsys, tmp_path / "absent.jpg")[0] == os.EX_NOINPUT


@pytest.mark.parametrize(("lang", "words"), [("en", "Valid"), ("zh-CN", "有效")])
def test_people_get_sentences(capsys, lang, words):
    assert main(["read", "--lang", lang, str(SPECIMENS / "passport.jpg")]) == os.EX_OK
    assert words in capsys.readouterr().out


def test_an_empty_folder_is_said_to_be_one(capsys, tmp_path):
    code, (answer,) = read(capsys, tmp_path)
    assert code == os.EX_NOINPUT
    assert [reason["code"] for reason in answer["reasons"]] == ["reading.folder_empty"]


@pytest.mark.parametrize(
    "name", ["n" * 300 + ".jpg", "n" * 300 + "*", os.fsdecode(b"caf\xe9.jpg"), "a\x1b[2Jb", "zero\0byte"]
)
def test_any_name_is_answered(capsys, name):
    code, (answer,) = read(capsys, name)
    assert code == os.EX_NOINPUT
    assert answer["file"].isprintable()
    assert main(["read", name]) == os.EX_NOINPUT
    assert "\x1b" not in capsys.readouterr().out


def test_a_name_of_other_bytes_is_read(capsys, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    shutil.copy(SPECIMENS / "visa-b.jpg", path)
    code, (answer,) = read(capsys, tmp_path)
    assert (code, answer["valid"]) == (os.EX_OK, True)
    assert Path(answer["file"]).name == "caf\\udce9.jpg"


def test_an_output_that_knows_ascii_only_gets_escapes():
    done = subprocess.run(
        [sys.executable, "-m", "edged", "read", "--lang", "zh-CN", str(SPECIMENS / "visa-b.jpg")],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == os.EX_OK
    assert rb"\u6709\u6548" in done.stdout


def test_no_more_of_a_file_is_read_than_is_accepted(capsys, tmp_path):
    endless = tmp_path / "endless.jpg"
    with endless.open("wb") as file:
        file.truncate(1 << 40)
    code, (answer,) = read(capsys, endless)
    assert code == os.EX_DATAERR
    assert answer["reasons"][0]["code"] == "image.too_large"

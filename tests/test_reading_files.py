"""`edged read` on files of several pages, folders in folders, and many files."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from edged.cli import main
from edged.commands import _read_pages, _read_pdf, read
from edged.core.image import MAX_BYTES, decode_image
from tests import pdf_files

SPECIMENS = Path(__file__).parents[1] / "edged" / "specimens"
PASSPORT = SPECIMENS / "passport.jpg"
VISA = SPECIMENS / "visa-b.jpg"


def answers(capsys, *arguments):
    code = main(["read", "--json", *map(str, arguments)])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def codes(answer):
    return [reason["code"] for reason in answer["reasons"]]


@pytest.fixture
def dossier(tmp_path):
    """A passport, an empty page, a visa."""
    path = tmp_path / "dossier.pdf"
    path.write_bytes(pdf_files.scanned([PASSPORT.read_bytes(), None, VISA.read_bytes()]))
    return path


def test_pages_of_a_pdf(capsys, dossier):
    code, (passport, empty, visa) = answers(capsys, dossier)
    assert code == os.EX_OK
    assert [a["page"] for a in (passport, empty, visa)] == [1, 2, 3]
    assert passport["valid"]
    assert passport["fields"]["document_number"]["value"] == "L898902C3"
    assert codes(empty) == ["reading.no_document"]
    assert visa["format"] == "MRVB"


def test_one_page_of_a_pdf(capsys, dossier):
    code, (answer,) = answers(capsys, f"{dossier}#3")
    assert (code, answer["file"], answer["page"], answer["format"]) == (os.EX_OK, str(dossier), 3, "MRVB")
    code, (answer,) = answers(capsys, f"{dossier}#4")
    assert (code, codes(answer)) == (os.EX_DATAERR, ["reading.no_such_page"])
    assert main(["read", f"{dossier}#1"]) == os.EX_OK
    assert f"{dossier}#1" in capsys.readouterr().out


def test_a_name_that_looks_like_a_page_is_a_name_first(capsys, tmp_path):
    path = tmp_path / "dossier.pdf#3"
    shutil.copy(VISA, path)
    (tmp_path / "dossier.pdf").write_bytes(b"%PDF-1.7 nothing")
    code, (answer,) = answers(capsys, path)
    assert (code, answer["file"]) == (os.EX_OK, str(path))
    assert "page" not in answer


def test_a_pdf_on_standard_input(capsys, dossier, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(dossier.read_bytes())))
    code, found = answers(capsys, "-")
    assert (code, [(a["file"], a["page"]) for a in found]) == (os.EX_OK, [("-", 1), ("-", 2), ("-", 3)])


LOCKED = b"/Encrypt << /Filter /Standard /V 1 /R 2 /O <%s> /U <%s> /P -4 >> /ID [<00><00>]" % (
    b"41" * 32,
    b"42" * 32,
)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("locked", "pdf.encrypted"),
        ("cut", "pdf.broken"),
        ("junk", "pdf.broken"),
        ("no pages", "pdf.broken"),
    ],
)
def test_pdf_files_that_cannot_be_read_say_why_and_the_others_are_read(capsys, tmp_path, name, code):
    whole = pdf_files.scanned([PASSPORT.read_bytes()])
    data = {
        "locked": pdf_files.scanned([PASSPORT.read_bytes()], trailer=LOCKED),
        "cut": whole[: len(whole) // 3],
        "junk": b"%PDF-1.7\n" + bytes(range(256)) * 20,
        "no pages": pdf_files.document(pdf_files.of_pages([], [], (9, 9), [])),
    }[name]
    (tmp_path / "bad.pdf").write_bytes(data)
    exit_code, (bad, good) = answers(capsys, tmp_path / "bad.pdf", VISA)
    assert (exit_code, codes(bad)) == (os.EX_DATAERR, [code])
    assert good["valid"]


def test_a_page_that_takes_too_long_ends_there(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(_read_pdf, "PAGE_SECONDS", 1)
    curves = b" ".join(
        b"%d %d %d %d %d %d c" % tuple(i * n % 590 for n in (7, 13, 17, 3, 11, 29)) for i in range(20_000)
    )
    slow = (b"0 0 m " + curves + b" f*\n") * 60
    objects = pdf_files.of_pages([b"", slow, b""], [b""] * 3, (595, 842), [])
    (tmp_path / "slow.pdf").write_bytes(pdf_files.document(objects))
    code, (empty, slow_page) = answers(capsys, tmp_path / "slow.pdf")
    assert codes(empty) == ["reading.no_document"]
    assert (code, slow_page["page"], codes(slow_page)) == (os.EX_DATAERR, 2, ["pdf.too_slow"])


def test_a_pdf_gets_no_more_memory_than_it_may(capsys, dossier, monkeypatch):
    monkeypatch.setattr(_read_pdf, "MEMORY", 40 << 20)
    code, found = answers(capsys, dossier)
    assert code == os.EX_DATAERR
    assert {c for answer in found for c in codes(answer)} <= {"pdf.broken", "pdf.page_broken"}


@pytest.mark.parametrize(
    "size", [(14_400, 14_400), (20_000, 3), (0.001, 0.001), (1e30, 1e30), (0, 0), (-5, 9)]
)
def test_paper_of_any_size_is_drawn_within_bounds(tmp_path, size):
    data = pdf_files.document(pdf_files.of_pages([b"0 0 9 9 re f"], [b""], size, []))
    for number, found in _read_pdf.pages(data, 1, 9):
        assert number == 1
        assert isinstance(found, str) or max(found.shape) <= 5001


def test_what_is_larger_than_a_pdf_may_be_is_not_drawn(capsys, tmp_path):
    path = tmp_path / "large.pdf"
    path.write_bytes(b"%PDF-1.7\n")
    with path.open("ab") as file:
        file.truncate(MAX_BYTES + 2)
    code, (answer,) = answers(capsys, path)
    assert (code, codes(answer)) == (os.EX_DATAERR, ["pdf.too_large"])


def test_an_image_with_a_pdf_in_its_comment_is_an_image(capsys, tmp_path):
    data = VISA.read_bytes()
    path = tmp_path / "both.jpg"
    path.write_bytes(data[:2] + b"\xff\xfe\x00\x0b%PDF-1.7\n" + data[2:])
    code, (answer,) = answers(capsys, path)
    assert (code, answer["valid"]) == (os.EX_OK, True)


def test_without_the_library_it_is_said_what_to_install(capsys, dossier, monkeypatch):
    monkeypatch.setattr(_read_pdf, "available", lambda: False)
    code, (pdf, visa) = answers(capsys, dossier, VISA)
    assert (code, codes(pdf)) == (os.EX_UNAVAILABLE, ["pdf.no_library"])
    assert "pip install" in pdf["reasons"][0]["text"]
    assert visa["valid"]


def test_nobody_who_reads_no_pdf_loads_the_library():
    code = "import sys; from edged.cli import main; main(['read', sys.argv[1]]); print('pypdfium2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, VISA], capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("False\n")
    assert done.stderr == ""


def test_pages_of_a_tiff_and_not_too_many(capsys, tmp_path, monkeypatch):
    pictures = [decode_image(path.read_bytes()) for path in (PASSPORT, VISA)]
    path = tmp_path / "fax.tiff"
    path.write_bytes(cv2.imencodemulti(".tiff", [*pictures, pictures[1]])[1].tobytes())
    monkeypatch.setattr(_read_pages, "MAX_PAGES", 2)
    code, (first, second, third) = answers(capsys, path)
    assert [a["page"] for a in (first, second, third)] == [1, 2, 3]
    assert [a["format"] for a in (first, second)] == ["TD3", "MRVB"]
    assert (code, codes(third)) == (os.EX_DATAERR, ["reading.too_many_pages"])
    assert answers(capsys, f"{path}#3")[1][0]["format"] == "MRVB"
    assert codes(answers(capsys, f"{path}#4")[1][0]) == ["reading.no_such_page"]


def test_too_many_pages_of_a_pdf(capsys, dossier, monkeypatch):
    monkeypatch.setattr(_read_pages, "MAX_PAGES", 1)
    code, (first, second) = answers(capsys, dossier)
    assert first["valid"]
    assert (code, second["page"], codes(second)) == (os.EX_DATAERR, 2, ["reading.too_many_pages"])
    assert answers(capsys, f"{dossier}#3")[1][0]["format"] == "MRVB"


def test_folders_in_folders_when_asked_for(capsys, tmp_path):
    deep = tmp_path / "2026" / "11"
    deep.mkdir(parents=True)
    shutil.copy(VISA, deep)
    shutil.copy(VISA, tmp_path / "top.jpg")
    (deep / "back").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    assert len(answers(capsys, tmp_path)[1]) == 1
    assert [Path(a["file"]).name for a in answers(capsys, "--recursive", tmp_path)[1]] == [
        "visa-b.jpg",
        "top.jpg",
    ]
    assert len(answers(capsys, tmp_path / "**" / "*.jpg")[1]) == 2


def test_the_day_is_taken_from_the_command_line(capsys):
    assert (
        answers(capsys, PASSPORT, "--today", "2026-06-15")[1][0]["fields"]["birth_date"]["value"]
        == "1974-08-12"
    )
    assert (
        answers(capsys, PASSPORT, "--today", "2090-06-15")[1][0]["fields"]["birth_date"]["value"]
        == "2074-08-12"
    )
    with pytest.raises(SystemExit) as ended:
        main(["read", str(PASSPORT), "--today", "yesterday"])
    assert ended.value.code == os.EX_USAGE
    assert "a day is needed" in capsys.readouterr().err


def test_the_exit_code_is_that_of_the_first_problem(capsys, tmp_path):
    (tmp_path / "empty.jpg").touch()
    names = [VISA, tmp_path / "absent.jpg", tmp_path / "empty.jpg"]
    assert answers(capsys, *names)[0] == os.EX_NOINPUT
    assert answers(capsys, *reversed(names))[0] == os.EX_DATAERR


def test_several_files_are_summed_up_for_people(capsys, tmp_path):
    (tmp_path / "empty.jpg").touch()
    names = [VISA, SPECIMENS / "wrong-check-digit.jpg", SPECIMENS / "nothing.jpg", tmp_path / "empty.jpg"]
    main(["read", *map(str, names), "--lang", "en"])
    told = capsys.readouterr().err
    assert told == "Read: 3 (valid 1, not valid 1, without an MRZ 1). Could not be read: 1.\n"
    main(["read", str(VISA), "--lang", "en"])
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_and_nowhere_else(capsys, tmp_path, monkeypatch):
    for number in range(5):
        (tmp_path / f"{number}.jpg").touch()
    main(["read", str(tmp_path), "--json"])
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    main(["read", str(tmp_path), "--json"])
    shown = terminal.getvalue()
    assert "1/5" in shown
    assert "5/5" in shown
    assert "left" in shown
    assert "Could not be read: 5" in shown


def test_reading_again_and_again_takes_no_more_memory(tmp_path):
    code = (
        "import resource, sys, io\n"
        "from edged.cli import main\n"
        "sys.stdout = io.StringIO()\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "main(['read', '--json', *[sys.argv[1]] * 4])\n"
        "before = peak()\n"
        "main(['read', '--json', *[sys.argv[1]] * 15])\n"
        "print(peak() - before, file=sys.__stdout__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, VISA], capture_output=True, text=True, timeout=110)
    assert int(done.stdout) < 6 * 1024, "KiB more, of pictures of 4 MB each"


def test_too_little_memory_is_an_answer(capsys, monkeypatch):
    def full(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(_read_pages, "_of_image", full)
    code, (answer,) = answers(capsys, VISA)
    assert (code, codes(answer)) == (os.EX_OSERR, ["reading.no_memory"])


def test_help_says_what_exit_codes_mean(capsys):
    with pytest.raises(SystemExit):
        main(["read", "--help", "--lang", "en"])
    shown = " ".join(capsys.readouterr().out.split())
    for number in (
        os.EX_DATAERR,
        os.EX_NOINPUT,
        os.EX_UNAVAILABLE,
        os.EX_CANTCREAT,
        os.EX_USAGE,
        os.EX_OSERR,
    ):
        assert f"{number} " in shown
    assert read.__doc__

"""`edged slip …`: slips in every form against the fleet's directory, and papers that say what was never signed."""

from __future__ import annotations

import io
import json
import re
from argparse import ArgumentTypeError
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from reportlab.pdfgen.canvas import Canvas

from edged.cli import main
from edged.commands import _daemon, _slip_given, _slip_lists
from edged.commands._slip_common import number
from edged.errors import ConfigError
from edged.slip import pdf, picture
from edged.slip.content import lines, watermark
from edged.slip.faces import installed
from edged.slip.facts import SlipFacts
from edged.slip.finding import find
from edged.slip.looking import Look, look
from edged.uplink.names import Role
from edged.uplink.slip_status import DeviceSlips, Superseded, seal_status
from edged.verdict import Kind, Result
from tests.broker import NOW, Town
from tests.directories import Made
from tests.photographs import careful, photograph, usual
from tests.slip_paper import DAY, Signed, T, facts, needs_fonts, page, printed, signed

pytestmark = needs_fonts


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


@pytest.fixture(scope="module")
def slip(place: Town) -> Signed:
    return signed(place, facts())


@pytest.fixture(scope="module")
def files(place: Town, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a web server gives out."""
    where = tmp_path_factory.mktemp("files")
    made = Made(place)
    (where / "directory").mkdir()
    (where / "directory" / "head.jws").write_bytes(made.head)
    for sha256, data in zip(made.payload.pages, made.pages, strict=True):
        (where / "directory" / f"{sha256}.json").write_bytes(data)
    return where


def status_of(place: Town, *, life: timedelta = timedelta(days=2), **listed: Any) -> bytes:
    known = {"box-1": DeviceSlips(**({"heard": T, "withdrawn": {}, "superseded": {}} | listed))}
    return seal_status(known, now=NOW, signer=place.signer(Role.COLLECTOR, "centre"), life=life).encode()


def verify(place: Town, files: Path, *source: str, more: tuple[str, ...] = ()) -> int:
    given = ["--ca", str(place.fleet.ca), "--directory", str(files), "--json", *more]
    return main(["slip", "verify", *source, *given])


def drawn(place: Town, slip: Signed, to: Path, said: SlipFacts | None = None) -> str:
    """The slip's PDF; `said`: another text beside its genuine code."""
    to.write_bytes(pdf.pdf(page(slip, "a6", installed(), said), installed()))
    return str(to)


def other(slip: Signed, **changes: Any) -> SlipFacts:
    import msgspec

    return msgspec.structs.replace(slip.facts, **changes)


def test_every_form_of_a_genuine_slip_is_genuine(
    place: Town,
    slip: Signed,
    files: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "text").write_text(slip.url + "\n")
    (tmp_path / "slip.png").write_bytes(picture.png(page(slip, "a6", installed()), installed()))
    photo = photograph(printed(slip, 58), careful(rng := np.random.default_rng(4)), rng)
    cv2.imwrite(str(tmp_path / "photo.jpg"), photo)
    drawn(place, slip, tmp_path / "slip.pdf")
    monkeypatch.chdir(tmp_path)
    Path("AB0").write_text(slip.url)  # a file, though its name could be a (very short) slip
    for source in (
        "AB0",
        slip.url,
        *(str(tmp_path / name) for name in ("text", "slip.png", "photo.jpg", "slip.pdf")),
    ):
        assert verify(place, files, source) == 0, source
        answer = json.loads(capsys.readouterr().out)
        assert (answer["verdict"], answer["signed"]) == ("genuine", True)
        seen = {line["seen"] for line in answer["lines"]}
        assert seen <= (
            {"not_looked"} if source in (slip.url, "AB0", str(tmp_path / "text")) else {"same", "unsure"}
        ), source


@pytest.mark.parametrize("kind", [Kind.TEST, Kind.TRAINING])
def test_a_script_takes_no_test_for_a_live_slip(
    place: Town, files: Path, kind: Kind, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(place, files, signed(place, facts(kind=kind)).url) == 7
    assert json.loads(capsys.readouterr().out)["verdict"] == "genuine"


def test_people_read_the_signed_lines(
    place: Town, slip: Signed, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for lang, words in (("en", "Slip number"), ("zh-CN", "滨江支行一号柜台")):
        main(
            [
                "slip",
                "verify",
                slip.url,
                "--ca",
                str(place.fleet.ca),
                "--directory",
                str(files),
                "--lang",
                lang,
            ]
        )
        said = capsys.readouterr().out
        assert "L8*****C3" in said
        assert not re.search(r"slip(_command)?\.[a-z]", said)
        assert "7K3M 9QXA 04TZ" in said
        assert words in said or lang == "en"


def test_a_pdf_that_says_something_else_is_altered(
    place: Town, slip: Signed, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for changes, key in (({"name": "A*"}, "name"), ({"document_number": "L8*****C8"}, "document_number")):
        assert verify(place, files, drawn(place, slip, tmp_path / "x.pdf", other(slip, **changes))) == 1
        answer = json.loads(capsys.readouterr().out)
        wrong = {
            line["key"]: line["seen"] for line in answer["lines"] if line["seen"] in {"differs", "missing"}
        }
        assert key in wrong
        assert {reason["code"] for reason in answer["reasons"]} & {"slip_command.text_differs"}


def test_text_that_is_in_a_pdf_and_not_to_be_seen_on_its_page_counts_as_unseen(
    place: Town, slip: Signed, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The genuine words are there, invisible; what people see is a white page with a genuine code."""
    made, faces, said = page(slip, "a6", installed()), installed(), io.BytesIO()
    names = [pdf._registered(font) for font in faces.files]
    canvas = Canvas(said, (made.width * pdf._POINT, made.height * pdf._POINT), initialFontName=names[0])
    for text in made.texts:
        pdf._text(canvas, made, text, names, mode=3)
    pdf._code(canvas, made, made.code)
    canvas.showPage()
    canvas.rect(100, 100, 50, 50, fill=1)
    canvas.save()
    (tmp_path / "x.pdf").write_bytes(said.getvalue())
    verify(place, files, str(tmp_path / "x.pdf"))
    answer = json.loads(capsys.readouterr().out)
    assert {line["seen"] for line in answer["lines"]} == {"unsure"}
    told = {reason["code"] for reason in answer["reasons"]}
    assert {"slip_command.not_our_drawing", "slip_command.more_pages"} <= told


def test_of_two_slips_in_one_picture_neither_is_called_genuine(
    place: Town, slip: Signed, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = signed(place, facts(number="00000000000A", result=Result.FAILED))
    both = [np.pad(printed(one, 58)[-700:], ((0, 0), (24, 24))) for one in (slip, second)]
    cv2.imwrite(str(tmp_path / "both.png"), np.where(np.hstack(both), 0, 255).astype(np.uint8))
    assert verify(place, files, str(tmp_path / "both.png")) == 6
    answer = json.loads(capsys.readouterr().out)
    assert [reason["code"] for reason in answer["reasons"]] == ["slip_command.several_codes"]


def test_a_photograph_of_another_result_is_altered(
    place: Town, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = signed(place, facts(result=Result.FAILED))
    rng = np.random.default_rng(3)
    for shot in (careful(rng), usual(rng)):
        photo = photograph(printed(failed, 58, facts()), shot, rng)
        cv2.imwrite(str(tmp_path / "photo.png"), photo)
        assert verify(place, files, str(tmp_path / "photo.png")) == 1
        answer = json.loads(capsys.readouterr().out)
        assert answer["reasons"][0]["code"] == "slip_command.looks_different"
        assert "differs" in {line["seen"] for line in answer["lines"] if line["key"] == "result"}


def test_genuine_photographs_raise_no_alarm_and_a_code_alone_none_either(slip: Signed) -> None:
    rng = np.random.default_rng(1)
    dots = printed(slip, 58)
    said = lines(slip.facts)
    for shot in (usual(rng), careful(rng)):
        photo = photograph(dots, shot, rng)
        seen = look(photo, find(photo)[0], said, watermark(slip.facts), installed())
        assert seen.media == "58"
        assert not seen.differing
        assert Look.SAME in seen.looks.values()
    top = round(page(slip, "58", installed()).code.y * 8) - 20
    code = np.where(np.pad(dots[top:], 24), 0, 255).astype(np.uint8)
    alone = look(code, find(code)[0], said, watermark(slip.facts), installed())
    assert set(alone.looks.values()) == {Look.UNSURE}


@pytest.mark.parametrize(
    ("listed", "life", "code"),
    [
        ({}, 2, 0),
        ({"withdrawn": {"7K3M9QXA04TZ": T + DAY}}, 2, 3),
        ({"superseded": {"7K3M9QXA04TZ": Superseded("7K3M9QXA04TW", T + DAY)}}, 2, 4),
    ],
)
def test_lists_are_asked(
    place: Town, slip: Signed, files: Path, tmp_path: Path, listed: dict[str, Any], life: int, code: int
) -> None:
    status = tmp_path / "status.jws"
    status.write_bytes(status_of(place, life=timedelta(days=life), **listed))
    assert verify(place, files, slip.url, more=("--status", str(status))) == code
    late = (NOW + timedelta(days=3)).isoformat()
    expected = {0: 6}.get(code, code)  # a list that is too old says nothing, but for what it withdrew
    assert verify(place, files, slip.url, more=("--status", str(status), "--at", late)) == expected


def test_what_isn_t_the_fleet_s_is_unknown_or_undetermined(
    place: Town, slip: Signed, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["slip", "verify", slip.url, "--ca", str(place.fleet.ca), "--json"]) == 6
    for at in range(-9, 0):  # of the signature, among them the characters of an escape
        broken = (
            slip.url[:at] + ("A" if slip.url[at] != "A" else "B") + (slip.url[at + 1 :] if at != -1 else "")
        )
        assert verify(place, files, broken) in {1, 2}
    not_base45 = ":::"
    not_the_fragment_of_a_slip = "%2A"
    not_of_the_alphabet = "\N{CJK UNIFIED IDEOGRAPH-5355}"
    for added in (not_base45, not_the_fragment_of_a_slip, not_of_the_alphabet):
        assert verify(place, files, slip.url + added) == 2
        (tmp_path / "text").write_text(slip.url + added)
        assert verify(place, files, str(tmp_path / "text")) == 2
    white = tmp_path / "white.png"
    cv2.imwrite(str(white), np.full((300, 300), 255, np.uint8))
    capsys.readouterr()
    assert verify(place, files, str(white)) == 6
    assert json.loads(capsys.readouterr().out)["reasons"][0]["code"] == "slip_command.no_code"
    later = (NOW + timedelta(days=91)).isoformat()
    assert verify(place, files, slip.url, more=("--at", later)) == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--directory", "http://example.org/"], "https"),
        (["--directory", "/nowhere"], "can't be read"),
        (["--status", "/nowhere"], "can't be read"),
    ],
)
def test_lists_that_can_t_be_had_say_so(
    place: Town, slip: Signed, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["slip", "verify", slip.url, "--ca", str(place.fleet.ca), "--lang", "en", *arguments]) == 78
    assert words in capsys.readouterr().err


def test_a_web_server_that_keeps_its_list_back_makes_no_slip_genuine(
    place: Town,
    slip: Signed,
    files: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def got(where: str, _most: int) -> bytes | None:
        path = files / where.removeprefix("https://verify.example.cn/")
        return path.read_bytes() if path.exists() else None

    assert not (files / "status.jws").exists()
    assert verify(place, files, slip.url) == 0  # offline, and it says so
    monkeypatch.setattr(_slip_lists, "_get", got)
    capsys.readouterr()
    where = ("--ca", str(place.fleet.ca), "--directory", "https://verify.example.cn/", "--json")
    assert main(["slip", "verify", slip.url, *where]) == 6
    assert json.loads(capsys.readouterr().out)["reasons"][0]["code"] == "slip.status_missing"


def test_a_redirection_never_leaves_https() -> None:
    handler = _slip_lists._HttpsOnly()
    assert handler.redirect_request(None, None, 302, "", {}, "http://example.org/status.jws") is None


class Camera:
    """What OpenCV makes of a camera: nothing at first, then a slip."""

    def __init__(self, pictures: list[Any]) -> None:
        self.pictures = pictures
        self.released = False

    def isOpened(self) -> bool:
        return bool(self.pictures)

    def read(self) -> tuple[bool, Any]:
        return (True, self.pictures.pop(0)) if self.pictures else (False, None)

    def release(self) -> None:
        self.released = True


def test_a_camera_is_looked_through_until_a_slip_is_seen(
    slip: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    blank = np.full((400, 400, 3), 200, np.uint8)
    seen = cv2.cvtColor(np.where(np.pad(printed(slip, 58), 16), 0, 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    for pictures, text in (([blank, seen], slip.url), ([], None)):
        camera = Camera(list(pictures))
        monkeypatch.setattr(cv2, "VideoCapture", lambda number, camera=camera: camera)
        if text is None:
            with pytest.raises(ConfigError, match=r"slip_command\.no_camera"):
                _slip_given.from_camera(0)
        else:
            assert _slip_given.from_camera(0).text == text
        assert camera.released


def test_the_box_s_own_slips(
    slip: Signed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    answers = {
        "slip_list": {"slips": [{"number": slip.facts.number, "issued": T, "expires": T + DAY, "copies": 2,
                       "status": "superseded", "superseded_by": "ZZZZZZZZZZZZ"}]},
        "slip_get": {"number": slip.facts.number, "copy": 3, "url": slip.url},
        "slip_print": {"number": slip.facts.number, "copy": 4},
        "slip_withdraw": {"number": slip.facts.number},
    }  # fmt: skip

    def call(args: object, method: str, **params: Any) -> Any:
        asked.append((method, params))
        return answers[method]

    monkeypatch.setattr(_daemon, "call", call)
    for name in ("pdf", "png"):
        assert main(["slip", "save", f"--{name}", str(tmp_path / name)]) == 0
    assert (tmp_path / "pdf").read_bytes().startswith(b"%PDF")
    assert [one.text for one in find(cv2.imread(str(tmp_path / "png"), cv2.IMREAD_GRAYSCALE))] == [slip.url]
    assert main(["slip", "show", "7k3m-9qxa-o4tz"]) == 0
    said = capsys.readouterr().out
    assert "L8*****C3" in said
    assert slip.url in said
    assert "▀" in said
    assert main(["slip", "list"]) == 0
    assert "ZZZZ ZZZZ ZZZZ" in capsys.readouterr().out
    assert main(["slip", "print", "7K3M 9QXA 04TZ"]) == 0
    assert main(["slip", "withdraw", "7K3M9QXA04TZ", "--reason", "judged_again"]) == 0
    assert asked == [
        ("slip_get", {"output": "pdf"}),
        ("slip_get", {"output": "png"}),
        ("slip_get", {"output": "screen", "number": "7K3M9QXA04TZ"}),
        ("slip_list", {"limit": 20}),
        ("slip_print", {"number": "7K3M9QXA04TZ"}),
        ("slip_withdraw", {"number": "7K3M9QXA04TZ", "reason": "judged_again"}),
    ]
    asked.clear()
    assert main(["slip", "save", "--pdf", str(tmp_path / "nowhere" / "x.pdf")]) == 73
    assert asked == []  # no copy is counted of what can't be written
    for wrong in ("", "7K3M9QXA04T", "7K3M9QXA04TU!", "７K3M9QXA04TZ"):
        with pytest.raises(ArgumentTypeError):
            number(wrong)

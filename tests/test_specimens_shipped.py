"""The shipped specimens: complete, small, and expecting what the vocabulary and the MRZ parser say."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import pytest

from edged import specimens
from edged.core.mrz import parse_mrz
from edged.errors import ConfigError
from edged.specimens import FIXED_TODAY, Expected, Specimen, load_folder, shipped
from edged.verdict import CHECKS, CheckClass, JudgedCheck, Result, overall

FOLDER = Path(specimens.__file__).parent
MANDATORY = ("document_detected", "mrz_read", "mrz_check_digits", "mrz_fields", "expiry")
SCENES = {"bank", "hotel", "telecom", "hospital", "transport", "government", "kiosk"}
MOST_BYTES_EACH = 250_000
MOST_BYTES = 3_500_000  # they travel in the wheel
SET = shipped()
WITH_LINES = [specimen for specimen in SET if specimen.expected and specimen.expected.lines]


def expected(specimen: Specimen) -> Expected:
    assert specimen.expected is not None
    return specimen.expected


def by_name(specimen: Specimen) -> str:
    return specimen.name


def test_set_is_complete_and_named_once() -> None:
    names = [specimen.name for specimen in SET]
    assert len(names) == len(set(names)) >= 16
    assert {specimen.scene for specimen in SET} == SCENES
    formats = {expected(specimen).format for specimen in SET}
    assert formats == {"TD1", "TD2", "TD3", "MRVA", "MRVB", "PRC_PERMIT", "PRC_CARD", None}


def test_every_image_belongs_to_one_specimen_and_the_set_is_small() -> None:
    sides = [side for specimen in SET for side in specimen.sides]
    assert sorted(sides) == sorted(FOLDER.glob("*.jpg"))
    sizes = [side.stat().st_size for side in sides]
    assert max(sizes) <= MOST_BYTES_EACH
    assert sum(sizes) <= MOST_BYTES


@pytest.mark.parametrize("specimen", SET, ids=by_name)
def test_images_are_two_megapixel_captures_with_words_in_both_languages(specimen: Specimen) -> None:
    for side in specimen.sides:
        image = cv2.imread(str(side))
        assert image is not None
        assert image.shape == (1200, 1600, 3)
    assert set(specimen.title) == {"en", "zh-CN"}
    assert all(specimen.title.values())
    assert specimen.purpose


@pytest.mark.parametrize("specimen", SET, ids=by_name)
def test_expected_result_follows_from_the_expected_checks(specimen: Specimen) -> None:
    expectation = expected(specimen)
    if expectation.outcome != "committed":
        assert (expectation.result, expectation.checks, expectation.lines) == (None, {}, None)
        assert expectation.reason
        return
    assert expectation.reason is None
    assert set(expectation.checks) == set(MANDATORY) <= set(CHECKS)
    judged = [JudgedCheck(name, CheckClass.MANDATORY, result) for name, result in expectation.checks.items()]
    assert expectation.result is overall(judged)
    assert (expectation.lines is not None) == (expectation.checks["mrz_read"] is Result.SUCCESSFUL)
    assert (expectation.format is not None) == (expectation.lines is not None)


@pytest.mark.parametrize("specimen", WITH_LINES, ids=by_name)
def test_expected_lines_parse_to_what_is_expected(specimen: Specimen) -> None:
    expectation = expected(specimen)
    mrz = parse_mrz(expectation.lines or (), today=FIXED_TODAY)
    assert mrz.format == expectation.format
    assert mrz.document_class == expectation.document_class
    assert mrz.expiry_date is not None
    expiry = mrz.expiry_date.date
    assert expiry is not None
    assert expectation.checks == {
        "document_detected": Result.SUCCESSFUL,
        "mrz_read": Result.SUCCESSFUL,
        "mrz_check_digits": Result.SUCCESSFUL if mrz.check_digits_ok else Result.FAILED,
        "mrz_fields": Result.SUCCESSFUL if mrz.fields_ok else Result.FAILED,
        "expiry": Result.SUCCESSFUL if expiry >= FIXED_TODAY else Result.FAILED,
    }


def find(name: str) -> Specimen:
    return next(specimen for specimen in SET if specimen.name == name)


def test_awkward_ones_are_what_their_titles_say() -> None:
    wrong = parse_mrz(expected(find("wrong-check-digit")).lines or (), today=FIXED_TODAY)
    assert [check.name for check in wrong.check_digits if check.result is Result.FAILED] == [
        "document_number"
    ]
    month = parse_mrz(expected(find("unknown-birth-month")).lines or (), today=FIXED_TODAY)
    assert month.birth_date is not None
    assert (month.birth_date.year, month.birth_date.month, month.birth_date.day) == (1958, None, None)
    assert parse_mrz(expected(find("long-name")).lines or (), today=FIXED_TODAY).name_may_be_truncated
    number = parse_mrz(expected(find("long-number")).lines or (), today=FIXED_TODAY).document_number
    assert number.reveal() == "D23145890734"
    assert len(find("permit-two-sides").sides) == 2


def test_order_of_the_demo_starts_plain_and_ends_with_nothing() -> None:
    assert (SET[0].name, SET[-1].name) == ("passport", "nothing")
    assert expected(SET[-1]).reason == "inspection.no_document"


def test_unknown_key_in_a_description_is_refused() -> None:
    text = (FOLDER / "passport.json").read_bytes().replace(b'"outcome"', b'"outcom"')
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=specimens._Description)


def test_folder_gives_every_image_file_in_order(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "c.tiff", "notes.json", ".hidden.png"):
        (tmp_path / name).write_bytes(b"not opened here")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "b.ir.png").touch()  # b.JPG's side in infrared
    (tmp_path / "lonely.ir.png").touch()  # nobody's: a picture like any other
    found = load_folder(tmp_path, scene="hotel", purpose="check in")
    assert [specimen.name for specimen in found] == ["a.png", "b.JPG", "c.tiff", "lonely.ir.png"]
    assert found[0].sides == (tmp_path / "a.png",)
    assert (found[0].scene, found[0].purpose, found[0].expected) == ("hotel", "check in", None)


def test_folder_without_images_or_no_folder_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.no_images"):
        load_folder(tmp_path)
    with pytest.raises(ConfigError, match=r"config\.unreadable"):
        load_folder(tmp_path / "missing")

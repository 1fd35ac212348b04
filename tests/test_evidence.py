"""What a side's pictures say beyond the MRZ, and that none of it can take an inspection along."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from structlog.testing import capture_logs

from edged import evidence
from edged.core import barcode, viz
from edged.core.image import decode_image
from edged.core.optical_fit import VERSION, Bound, Thresholds, confidence_of, rank_of
from edged.core.reading import read_page
from edged.events import Frame, Light
from edged.evidence import Evidence, gather
from edged.side import ReadSide
from edged.specimens import FIXED_TODAY, shipped
from edged.verdict import CHECKS, NEVER_MANDATORY, Check, Reason, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

VISUAL = {"viz_birth_date", "viz_expiry_date", "viz_document_number"}


def picture(name: str) -> NDArray[np.uint8]:
    return decode_image(next(one for one in shipped() if one.name == name).sides[0].read_bytes())


def side(page: NDArray[np.uint8], **others: NDArray[np.uint8]) -> ReadSide:
    frames = {Light.WHITE: page} | {Light(light): other for light, other in others.items()}
    reading = read_page(page, today=FIXED_TODAY)
    return ReadSide(reading, {light: Frame(image, light) for light, image in frames.items()}, Light.WHITE)


def look(*sides: ReadSide, **more: Any) -> Evidence:
    reading = next((one.reading for one in sides if one.reading.mrz is not None), sides[-1].reading)
    return gather(sides, reading, today=FIXED_TODAY, **more)


def told(found: Evidence) -> dict[str, tuple[Result, str | None]]:
    return {one.name: (one.result, one.reasons[0].code if one.reasons else None) for one in found.checks}


@pytest.fixture(scope="module")
def passport() -> ReadSide:
    page = picture("passport")
    return side(page, ir=page, uv=np.zeros_like(page))


@pytest.fixture(scope="module")
def nothing() -> ReadSide:
    return side(picture("nothing"))


@pytest.fixture(scope="module")
def blank() -> ReadSide:
    """A white card without a word on it."""
    page = np.full((1000, 1600, 3), 20, np.uint8)
    page[200:800, 300:1300] = 230
    return side(page)


def test_print_that_says_what_the_mrz_says_is_successful(passport: ReadSide) -> None:
    white = ReadSide(passport.reading, {Light.WHITE: passport.frames[Light.WHITE]}, Light.WHITE)
    found = told(look(white))
    assert set(found) == VISUAL
    assert {result for result, _ in found.values()} == {Result.SUCCESSFUL}


def test_an_empty_window_shows_nothing_to_look_at(nothing: ReadSide) -> None:
    assert look(nothing) == Evidence()


@pytest.mark.parametrize("name", ["two-documents", "half-out"])
def test_what_is_certainly_no_card_is_not_searched_for_its_number(name: str) -> None:
    assert look(side(picture(name))) == Evidence()


def test_a_card_without_a_number_is_undetermined(blank: ReadSide) -> None:
    assert told(look(blank)) == {"card_number": (Result.UNDETERMINED, "card.no_number")}


def test_a_driving_licence_is_refused_for_what_it_is(
    blank: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"@\n\x1e\rANSI 636000100002DL00410278"
    code = barcode.Barcode("PDF417", np.zeros((4, 2)), content)
    monkeypatch.setattr(barcode, "find_barcodes", lambda _: (code,))
    assert look(blank) == Evidence((), Reason("mrz.driving_licence"))


def test_a_number_on_either_side_counts(blank: ReadSide, monkeypatch: pytest.MonkeyPatch) -> None:
    from edged.core import printed_number

    said = [
        Check("card_number", Result.UNDETERMINED, (Reason("card.number_unsure"),)),
        Check("card_number", Result.SUCCESSFUL),
        Check("card_number", Result.UNDETERMINED, (Reason("card.no_number"),)),
    ]
    for answers, expected in ((said[::-1], said[1]), ([said[2], said[0]], said[0]), (said[:1] * 2, said[0])):
        left = iter(answers)
        monkeypatch.setattr(
            printed_number, "read_card_number", lambda _, left=left: SimpleNamespace(check=next(left))
        )
        assert look(*[blank] * len(answers)).checks == (expected,)


def test_white_light_alone_makes_no_optical_check(passport: ReadSide, blank: ReadSide) -> None:
    white = ReadSide(passport.reading, {Light.WHITE: passport.frames[Light.WHITE]}, Light.WHITE)
    assert "optical_security" not in told(look(white)) | told(look(blank))
    assert told(look(white, thresholds=bounds(0.5)))["optical_security"] == (
        Result.UNDETERMINED,
        "optical.no_frame",
    )


def bounds(least_ir: float) -> Thresholds:
    limits = (
        Bound(feature, high, least_ir if feature.startswith("mrz") else 1.0 if high else -1.0, 59, rank_of(59),
              confidence_of(59, 1))
        for feature, high in (
            ("mrz_ir", False), ("mrz_ir_least", False), ("viz_ir", True), ("uv_paper", True), ("uv_blue", True),
            ("portrait_ir", False), ("portrait_ir", True),
        )
    )  # fmt: skip
    return Thresholds(VERSION, "test", 59, 5, "", tuple(limits))


def test_infrared_is_measured_logged_in_numbers_and_judged(passport: ReadSide) -> None:
    with capture_logs() as lines:
        uncalibrated = told(look(passport))
        found = told(look(passport, thresholds=bounds(1.0)))
    assert uncalibrated["optical_security"][0] is Result.UNDETERMINED
    assert found["optical_security"] == (Result.FAILED, "optical.mrz_ir_faint")
    line = lines[-1]
    assert line["features"]["mrz_ir"] > 0.3
    assert line["checks"]["optical_mrz_ir"] == "failed"
    assert all(isinstance(value, float) for value in line["features"].values())
    mrz = passport.reading.mrz
    assert mrz is not None
    assert mrz.issuing_state not in json.dumps(lines)


def test_rows_of_an_infrared_picture_are_not_taken_for_those_in_white_light(passport: ReadSide) -> None:
    moved = {
        Light.WHITE: Frame(np.zeros_like(passport.frames[Light.WHITE].image()), Light.WHITE),
        Light.IR: passport.frames[Light.IR],
    }
    found = told(look(ReadSide(passport.reading, moved, Light.IR), thresholds=bounds(0.1)))
    assert found["optical_security"] == (Result.UNDETERMINED, "optical.no_frame")


def test_what_goes_wrong_costs_the_check_and_is_logged_without_its_text(
    passport: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ValueError("ERIKSSON")

    monkeypatch.setattr(viz, "read_visual_zone", broken)
    monkeypatch.setattr("edged.core.optical.measure", broken)
    with capture_logs() as lines:
        found = told(look(passport))
    assert set(found) == VISUAL | {"optical_security"}
    assert set(found.values()) == {(Result.UNDETERMINED, "evidence.failed")}
    from edged.log import describe

    errors = [describe(line["exc_info"]) for line in lines if line["log_level"] == "error"]
    assert [error["type"] for error in errors] == ["ValueError", "ValueError"]
    assert "ERIKSSON" not in json.dumps(errors)


@pytest.mark.parametrize("code", ["evidence.too_large", "evidence.no_time"])
def test_pictures_and_time_are_bounded(
    code: str, passport: ReadSide, blank: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(100))
    clock: Callable[[], float] = lambda: 0.0  # noqa: E731
    if code == "evidence.no_time":
        clock = lambda: float(next(ticks))  # noqa: E731
    else:
        monkeypatch.setattr(evidence, "MAX_PIXELS", 1000)
    for one in (passport, blank):
        assert set(told(look(one, clock=clock)).values()) == {(Result.UNDETERMINED, code)}


def test_a_picture_that_was_too_large_to_keep_is_too_large_to_look_at(passport: ReadSide) -> None:
    found = told(look(ReadSide(passport.reading, {}, Light.WHITE)))
    assert set(found.values()) == {(Result.UNDETERMINED, "evidence.too_large")}


def test_no_evidence_may_ever_decide(passport: ReadSide) -> None:
    assert {check.name for check in look(passport).checks} <= NEVER_MANDATORY < set(CHECKS)


def test_what_comes_out_holds_no_identity(passport: ReadSide) -> None:
    mrz = passport.reading.mrz
    assert mrz is not None
    told_all = msgspec.json.encode(look(passport)).decode()
    assert mrz.document_number.reveal() not in told_all
    assert mrz.surname.reveal() not in told_all

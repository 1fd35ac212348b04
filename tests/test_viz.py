"""The visual zone against the MRZ, on shipped specimens and on lines made up for the occasion."""

from __future__ import annotations

import datetime
import importlib.util
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edged.core.reading import PageReading, read_page
from edged.core.vision import cv2
from edged.core.viz import CHECK_NAMES, VisualZone, read_visual_zone, visual_zone_checks
from edged.errors import IdentityLeakError
from edged.messages import known
from edged.verdict import Result
from tests.corpus import CORPUS, needs_corpus
from tests.printed import line

if TYPE_CHECKING:
    from edged.core.print_reader import PrintLine

ROOT = Path(__file__).parents[1]
TODAY = datetime.date(2026, 6, 15)


@cache
def specimen(name: str) -> tuple[PageReading, VisualZone | None]:
    image = cv2.imread(str(ROOT / "edged" / "specimens" / f"{name}.jpg"))
    reading = read_page(image, today=TODAY)
    return reading, read_visual_zone(image, reading)


def outcome(reading: PageReading, *zones: VisualZone | None) -> dict[str, Result]:
    checks = visual_zone_checks(reading, zones)
    assert tuple(check.name for check in checks) == CHECK_NAMES
    assert all(known(reason.code) for check in checks for reason in check.reasons)
    assert all(check.reasons for check in checks if check.result is not Result.SUCCESSFUL)
    return {check.name.removeprefix("viz_"): check.result for check in checks}


def made_up(*lines: PrintLine, inside: bool = True) -> VisualZone:
    return VisualZone(lines, (inside,) * len(lines))


@pytest.mark.parametrize(
    "name", ["passport", "identity-card", "upside-down", "sideways", "visa-a", "residence-card"]
)
def test_a_specimen_agrees_with_itself(name: str) -> None:
    reading, zone = specimen(name)
    assert set(outcome(reading, zone).values()) == {Result.SUCCESSFUL}


def test_a_specimen_never_agrees_with_another() -> None:
    reading, _ = specimen("passport")
    _, other = specimen("upside-down")
    assert Result.SUCCESSFUL not in outcome(reading, other).values()


def test_the_mrz_is_not_its_own_witness() -> None:
    image = cv2.imread(str(ROOT / "edged" / "specimens" / "passport.jpg"))
    reading = read_page(image, today=TODAY)
    top = min(row.y - row.cap for row in reading.rows)
    image[: int(top)] = 128  # what is printed above it is gone
    zone = read_visual_zone(image, reading)
    assert Result.SUCCESSFUL not in outcome(reading, zone).values()


def test_without_an_mrz_or_print_nothing_is_decided() -> None:
    blank = np.full((400, 600), 200, np.uint8)
    reading = read_page(blank, today=TODAY)
    assert read_visual_zone(blank, reading) is None
    assert set(outcome(reading, None).values()) == {Result.UNDETERMINED}
    reading, _ = specimen("passport")
    assert set(outcome(reading, made_up()).values()) == {Result.UNDETERMINED}


def test_an_unknown_date_is_not_compared() -> None:
    reading, zone = specimen("unknown-birth-month")
    assert outcome(reading, zone)["birth_date"] is Result.UNDETERMINED


def differing(
    *, sure: float = 0.999, above: str = "", caption: str = "DATE OF BIRTH", y: float = 30.0
) -> VisualZone:
    """A caption with another date than the passport's under it, and perhaps a line above it."""
    lines = [line(caption, y=0.0), line("12 AUG 1979", y=y, sure=sure)]
    if above:
        lines.insert(0, line(above, y=-30.0))
    return made_up(*lines)


def test_another_date_under_its_caption_is_a_contradiction() -> None:
    reading, _ = specimen("passport")
    assert outcome(reading, differing())["birth_date"] is Result.FAILED
    beside = made_up(line("DATE OF BIRTH 12 AUG 1979"))
    assert outcome(reading, beside)["birth_date"] is Result.FAILED


@pytest.mark.parametrize(
    "zone",
    [
        differing(sure=0.9),  # not beyond doubt
        differing(caption="PLACE OF BIRTH"),
        differing(caption="SURNAME"),
        differing(y=90.0),  # too far below
        differing(above="11 MAY 1970"),  # the caption may be that one's
        made_up(line("12 AUG 1979")),  # nobody says what it is
        made_up(line("DATE OF BIRTH 12.8.1979")),  # a figure may be lost
        made_up(line("DATE OF BIRTH 12.08.79")),
        made_up(line("DATE OF BIRTH 15 APR 2031")),  # the MRZ's other date
        made_up(line("DATE OF BIRTH 12 AUG 1979"), inside=False),  # beside the document
        made_up(line("BIRTH 01.02.74 SINCE 12 AUG 1979")),  # behind another value
        made_up(line("BIRTH 01.02.74", y=0.0), line("12 AUG 1979", y=30.0)),
        made_up(
            line("DATE OF BIRTH RESIDENT SINCE"), line("12 AUG 1979", x=230.0, y=30.0)
        ),  # the second caption's
        made_up(line("DATE OF BIRTH 12 AUG 1979"), line("12.08.1974")),  # the right one stands there too
    ],
)
def test_anything_less_is_no_contradiction(zone: VisualZone) -> None:
    reading, _ = specimen("passport")
    assert outcome(reading, zone)["birth_date"] is not Result.FAILED


def test_an_unsure_mrz_contradicts_nothing() -> None:
    reading, _ = specimen("passport")
    unsure = read_page(np.full((400, 600), 200, np.uint8), today=TODAY)
    unsure.mrz = reading.mrz
    assert outcome(unsure, differing())["birth_date"] is Result.UNDETERMINED


@pytest.mark.parametrize(
    ("text", "sure", "result"),
    [
        ("L898902C3", 0.99, Result.SUCCESSFUL),
        ("L 898902 C3", 0.99, Result.SUCCESSFUL),
        ("PASSPORT NO. L898902C3", 0.7, Result.SUCCESSFUL),
        ("LB989O2C3", 0.99, Result.SUCCESSFUL),  # 8 and B, 0 and O look alike in many faces
        ("L898902C3", 0.4, Result.UNDETERMINED),
        ("L898907C3", 0.999, Result.FAILED),
        ("L898907C3", 0.9, Result.UNDETERMINED),
        ("L898907C34", 0.999, Result.UNDETERMINED),  # part of a longer one
        ("K123456X7", 0.999, Result.UNDETERMINED),  # some other number
        ("L898", 0.99, Result.UNDETERMINED),
    ],
)
def test_the_document_number(text: str, sure: float, result: Result) -> None:
    reading, _ = specimen("passport")
    assert outcome(reading, made_up(line(text, sure=sure)))["document_number"] is result


def test_a_year_far_from_its_month_is_put_together() -> None:
    reading, _ = specimen("passport")
    first = line("12 AUG /AUG")
    zone = made_up(first, line("74", x=first.row.length + 60.0))
    assert outcome(reading, zone)["birth_date"] is Result.SUCCESSFUL


def test_what_was_read_is_identity() -> None:
    _, zone = specimen("passport")
    assert zone is not None
    assert repr(zone) == "<VisualZone: identity withheld>"
    assert "L898" not in repr(zone.lines)
    with pytest.raises(IdentityLeakError):
        str(zone.lines[0])


@needs_corpus
def test_no_genuine_specimen_is_contradicted() -> None:
    spec = importlib.util.spec_from_file_location("visual_zone", ROOT / "benchmarks" / "visual_zone.py")
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    counts = benchmark.counts(benchmark.examine(CORPUS, runs=1))
    assert all(found["failed"] == 0 for found in counts.values())
    assert counts["viz_document_number"]["successful"] >= 30
    assert counts["viz_birth_date"]["successful"] >= 20
    assert counts["viz_expiry_date"]["successful"] >= 20

"""The renderer of the specimens: its MRZ arithmetic against published lines and its drawings as shipped."""

from __future__ import annotations

import importlib.util

import cv2
import msgspec
import numpy as np
import pytest

from edged.specimens import shipped
from tools.render_specimens import mrz

# mean absolute difference in grey levels that JPEG, and another FreeType or OpenCV, may cause
TOLERANCE = 2.0


def test_td3_is_the_specimen_of_doc_9303() -> None:
    lines = mrz.td3("UTO", "ERIKSSON<<ANNA<MARIA", "L898902C3", "UTO", "740812", "F", "120415", "ZE184226B")
    assert lines[1] == "L898902C36UTO7408122F1204159ZE184226B<<<<<10"
    assert lines[0] == mrz.pad("P<UTOERIKSSON<<ANNA<MARIA", 44)


def test_td2_is_the_specimen_of_doc_9303() -> None:
    lines = mrz.td2("UTO", "ERIKSSON<<ANNA<MARIA", "D23145890", "UTO", "740812", "F", "120415")
    assert lines[1] == "D231458907UTO7408122F1204159<<<<<<<6"


@pytest.mark.parametrize(
    ("number", "lines"),
    [
        ("D23145890", ("I<UTOD231458907<<<<<<<<<<<<<<<", "7408122F1204159UTO<<<<<<<<<<<6")),
        ("D23145890734", ("I<UTOD23145890<7349<<<<<<<<<<<", "3407127M9507122UTO<<<<<<<<<<<2")),
    ],
)
def test_td1_is_the_specimen_of_doc_9303(number: str, lines: tuple[str, str]) -> None:
    birth, sex, expiry = lines[1][:6], lines[1][7], lines[1][8:14]
    assert mrz.td1("UTO", "STEVENSON<<PETER", number, "UTO", birth, sex, expiry)[:2] == lines


def test_visas_are_the_specimens_of_doc_9303() -> None:
    args = ("UTO", "ERIKSSON<<ANNA<MARIA", "L8988901C", "XXX", "400907", "F", "961210")
    assert mrz.visa(44, *args, "6ZE184226B")[1] == "L8988901C4XXX4009078F96121096ZE184226B<<<<<<"
    assert mrz.visa(36, *args)[1] == "L8988901C4XXX4009078F9612109<<<<<<<<"


def test_prc_permits_are_the_published_specimens() -> None:
    assert mrz.prc_one_line("CS", "C00000000", "240420", "810803") == ("CSC000000004<2404200<8108038<6",)
    name, pinyin = "NGKELMPONBPJLBLO" + "AAB", "ZHENG<JIAN<<YANG<BEN"
    assert mrz.prc_card("CR", "H12345678", "00", "221211", "F", "810803", name, "A123456784", pinyin) == (
        "CRH1234567830002212119F8108038",
        "NGKELMPONBPJLBLOAABA1234567842",
        "ZHENG<JIAN<<YANG<BEN<<<<<<<<<<",
    )
    permit = mrz.prc_card("CT", "00000000", "02", "200608", "F", "810803", name, "R000000000", pinyin, "3500")
    assert permit == (
        "CT00000000<00262006084F8108038",
        "NGKELMPONBPJLBLOAABR0000000001",
        "ZHENG<JIAN<<YANG<BEN<<<<<<3500",
    )


def need_the_drawing_tools() -> None:
    """Skip where the tools of a rebuild are not installed; edged itself needs none of them."""
    if importlib.util.find_spec("PIL") is None:
        pytest.skip("Pillow, a tool for redrawing the specimens, is not installed")
    from tools.render_specimens import fonts

    if missing := fonts.missing():
        pytest.skip(f"fonts for redrawing the specimens are not installed: {', '.join(missing)}")


def test_descriptions_are_those_of_the_catalogue() -> None:
    need_the_drawing_tools()
    from tools.render_specimens.catalogue import plans

    described = [plan.describe(place) for place, plan in enumerate(plans(), 1)]
    assert [one["name"] for one in described] == [specimen.name for specimen in shipped()]
    for one, specimen in zip(described, shipped(), strict=True):
        text = (specimen.sides[0].parent / f"{specimen.name}.json").read_bytes()
        assert msgspec.json.decode(text) == msgspec.json.decode(msgspec.json.encode(one))


@pytest.mark.parametrize("name", ["residence-card", "permit-two-sides", "nothing"])
def test_redrawing_gives_the_shipped_pictures(name: str) -> None:
    need_the_drawing_tools()
    from tools.render_specimens.catalogue import plans

    plan = next(plan for plan in plans() if plan.name == name)
    specimen = next(specimen for specimen in shipped() if specimen.name == name)
    for drawn, side in zip(plan.render(), specimen.sides, strict=True):
        picture = cv2.imread(str(side))
        assert picture is not None
        assert np.abs(drawn.astype(np.int16) - picture).mean() < TOLERANCE


def test_a_page_of_ones_own_is_drawn_the_same_every_time() -> None:
    need_the_drawing_tools()
    from tools.render_specimens import render_page

    lines = mrz.td1("UTO", "ERIKSSON<<ANNA<MARIA", "D23145890", "UTO", "740812", "F", "310415")
    page = render_page("TD1", lines, angle=3.0, seed=5)
    assert (page.shape, page.dtype) == ((1200, 1600, 3), np.uint8)
    assert np.array_equal(page, render_page("TD1", lines, angle=3.0, seed=5))
    assert not np.array_equal(page, render_page("TD1", lines, angle=3.0, seed=6))
    blank = render_page("TD1", (), angle=3.0, seed=5)
    assert (page < 70).mean() > (blank < 70).mean()

"""The drawn pages that measure reading: their zones are right, and they are the same every time."""

from __future__ import annotations

import datetime
import importlib.util
import random

import numpy as np
import pytest

from edged.core.mrz import parse_mrz
from tools.render_pages import documents, mrztext, names
from tools.render_pages.mrztext import Holder

TODAY = datetime.date(2026, 11, 21)
ANNA = Holder("P", "UTO", "ERIKSSON", "ANNA MARIA", "L898902C3", "UTO", "740812", "F", "120415", "ZE184226B")


def drawing():
    """Skip where pages can't be drawn."""
    if importlib.util.find_spec("PIL") is None:
        pytest.skip("pillow is not installed")
    from tools.render_pages import ink

    if ink.missing():
        pytest.skip(f"fonts are not installed: apt-get install {ink.PACKAGES}")


# Published specimens (Doc 9303; GA/T 704.14's cards; national specimens) and the fields they are made of.
PUBLISHED = (
    (
        mrztext.two_lines(ANNA, 44),
        "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<< L898902C36UTO7408122F1204159ZE184226B<<<<<10",
    ),
    (
        mrztext.two_lines(ANNA._replace(code="I", number="D23145890", optional=""), 36),
        "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<< D231458907UTO7408122F1204159<<<<<<<6",
    ),
    (
        mrztext.two_lines(
            Holder("VC", "D", "MUSTERMANN", "OLGA", "123456789", "RUS", "740918", "F", "180809", "<M400630"),
            36,
        ),
        "VCD<<MUSTERMANN<<OLGA<<<<<<<<<<<<<<< 1234567897RUS7409185F1808096<M400630",
    ),
    (
        mrztext.td1(
            Holder("I", "UTO", "STEVENSON", "PETER JOHN", "D23145890734", "UTO", "340712", "M", "950712")
        ),
        "I<UTOD23145890<7349<<<<<<<<<<< 3407127M9507122UTO<<<<<<<<<<<2 STEVENSON<<PETER<JOHN<<<<<<<<<",
    ),
    (
        mrztext.td1(
            Holder(
                "ID",
                "BEL",
                "SPECIMEN",
                "SPECIMEN",
                "600001795015",
                "BEL",
                "130101",
                "F",
                "231120",
                "",
                "13010198739",
            ),
            filler_counts=False,
        ),
        "IDBEL600001795<0152<<<<<<<<<<< 1301014F2311207BEL130101987398 SPECIMEN<<SPECIMEN<<<<<<<<<<<<",
    ),
    (
        mrztext.french_card(
            ANNA._replace(surname="BERTHIER", given="CORINNE", birth="651206", optional=""),
            "9409",
            "923",
            "10285",
        ),
        "IDFRABERTHIER<<<<<<<<<<<<<<<<<<<<<<< 9409923102854CORINNE<<<<<<<6512068F4",
    ),
    (
        mrztext.prc_permit(ANNA._replace(code="CS", number="C00000000", expiry="240420", birth="810803")),
        "CSC000000004<2404200<8108038<6",
    ),
    (
        mrztext.prc_card(
            Holder(
                "CR",
                "CHN",
                "ZHENG JIAN",
                "YANG BEN",
                "H12345678",
                "CHN",
                "810803",
                "F",
                "221211",
                "A123456784",
            ),
            "证件样本",
            "00",
            "B",
            "",
        ),
        "CRH1234567830002212119F8108038 NGKELMPONBPJLBLOAABA1234567842 ZHENG<JIAN<<YANG<BEN<<<<<<<<<<",
    ),
    (
        mrztext.home_return(
            Holder("C", "CHN", "LAI", "CHEUK YI", "H10101010", "CHN", "920901", "F", "010616"),
            "327255312289",
            "00",
            "12",
        ),
        "C<CHN327255312289<<<<<<<<01<<6 9209013F0106164H10101010003120 LAI<<CHEUK<YI<<<<<<<<<<<<<<<<<",
    ),
)


@pytest.mark.parametrize(("lines", "published"), PUBLISHED, ids=[p.split()[0][:5] for _, p in PUBLISHED])
def test_the_composed_zones_are_the_published_specimens(lines, published):
    assert " ".join(lines) == published


@pytest.mark.parametrize("format_", [name for name, _ in documents.SHARES])
def test_every_format_parses_as_itself_and_its_check_digits_hold_unless_it_says_so(format_):
    rng = random.Random(format_)
    spoilt = 0
    for _ in range(250):
        paper = documents.document(rng, format_)
        mrz = parse_mrz(paper.lines, today=TODAY)
        assert mrz.format == format_
        assert mrz.check_digits_ok is paper.check_ok, paper.format
        spoilt += not paper.check_ok
    assert 0 < spoilt < 25


def test_names_fit_the_field_and_a_cut_one_ends_with_a_letter():
    rng = random.Random(5)
    for _ in range(500):
        surname, given = names.person(rng, rng.choice(documents.COMMON))
        for width in (26, 30, 31, 39):
            field = mrztext.name_field(surname, given, width)
            assert len(field) == width
            assert set(field) <= set(mrztext.ALPHABET[10:] + "<")
            cut = len(surname) + 2 * bool(given) + len(given) > width
            assert (field[-1] != "<") >= cut


@pytest.mark.parametrize("set_name", ["reader-window", "counter-camera", "harsh", "negatives"])
def test_a_page_follows_from_its_set_seed_and_index(set_name):
    drawing()
    from tools.render_pages import page

    one, same = page(set_name, 4, 3), page(set_name, 4, 3)
    assert np.array_equal(one.image, same.image)
    assert one._replace(image=same.image) == same
    assert one.image.dtype == np.uint8
    assert one.image.ndim == 3
    assert (one.lines is None) == (set_name == "negatives")


def test_another_seed_or_place_is_another_page():
    drawing()
    from tools.render_pages import page

    made = [page("harsh", seed, index) for seed, index in ((4, 3), (5, 3), (4, 4))]
    assert len({one.lines for one in made}) == 3


def test_a_character_under_glare_is_not_legible():
    drawing()
    from tools.render_pages import ink, optics, sheet

    rng, noise = random.Random(1), np.random.default_rng(1)
    paper = documents.document(rng, "TD1")
    drawn = sheet.draw(paper, 8.0, ink.choose(rng, poor=0.0), rng, noise)
    pose = optics.flat_pose(paper.size, 200, 0, 0.0, (1.0, 2.0), rng)
    shot = optics.expose(drawn, pose, rng, noise)
    assert shot.legible()
    glare = np.zeros((40, 60), np.float32)
    x, y = shot.points[40] / np.array(pose.frame) * np.array([60, 40])
    glare[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] = 255
    optics.brighten(shot, glare)
    left = shot.contrast()
    assert left[40] < 5 < left[0]
    assert not shot.legible()


def test_an_unknown_set_is_refused():
    drawing()
    from tools.render_pages import page

    with pytest.raises(ValueError, match="no such set"):
        page("sunlit", 1, 1)

"""The locator: rows of print, whatever the picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edged.core.blocks import Candidates
from edged.core.direction import SIDE, directions
from edged.core.evenness import Halves, evenness
from edged.core.page import MAX_CANDIDATES, Row, locate
from edged.core.rows import joined
from edged.core.strip import refine


def page(lines: int = 2, characters: int = 44, angle: float = 0.0) -> np.ndarray:
    """A white page with rows of strokes at a fixed pitch, turned about its middle."""
    image = np.full((700, 1000), 235, np.uint8)
    for line in range(lines):
        for i in range(characters):
            x, y = 60 + i * 880 // characters, 560 + line * 44
            cv2.rectangle(image, (x, y), (x + 3, y + 18), 30, -1)
            cv2.line(image, (x, y + 9), (x + 11, y + (i * 7) % 18), 30, 3)
    turn = cv2.getRotationMatrix2D((500, 350), angle, 0.9)
    return cv2.warpAffine(image, turn, (1000, 700), borderValue=235)


@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("angle", [0.0, -3.0, 6.5])
def test_two_rows_are_found_at_any_right_angle_and_tilt(quarter, angle):
    blocks = locate(np.ascontiguousarray(np.rot90(page(angle=angle), quarter)))
    rows = blocks[0].rows
    assert len(rows) == 2
    found = np.degrees(np.arctan2(rows[0].dy, rows[0].dx))
    assert abs((found + angle + 45) % 90 - 45) < 1.0
    assert all(700 < row.length < 900 and 12 < row.cap < 26 for row in rows)


def off(row: Row, true: Row) -> float:
    """Distance of a row's middle from a true line, in heights of the true one's capitals."""
    return abs(-(row.x - true.x) * true.dy + (row.y - true.y) * true.dx) / true.cap


def true_rows(turn: np.ndarray) -> list[Row]:
    """Where `page` draws its two rows, under a (2, 3) turn and even scaling."""
    scale = float(np.hypot(turn[0, 0], turn[1, 0]))
    rows = []
    for line in (547.1, 586.7):
        x, y = turn @ (504.5, line, 1.0)
        dx, dy = turn[:, 0] / scale
        rows.append(Row(float(x), float(y), float(dx), float(dy), 800 * scale, 17.1 * scale))
    return rows


def camera(
    angle: float, *, size: tuple[int, int] = (1600, 1200), scale: float = 1.0
) -> tuple[np.ndarray, list[Row]]:
    """The page somewhere in a larger picture, and where its rows are."""
    turn = cv2.getRotationMatrix2D((500, 350), angle, scale)
    turn[:, 2] += np.array(size) / 2 - (500, 350)
    return cv2.warpAffine(page(), turn, size, flags=cv2.INTER_AREA, borderValue=90), true_rows(turn)


@pytest.mark.parametrize("angle", range(0, 360, 20))
def test_the_rows_come_first_at_any_angle(angle):
    picture, true = camera(float(angle))
    block = locate(picture)[0]
    assert len(block.rows) == 2
    assert block.convincing
    assert all(min(off(row, other) for row in block.rows) < 0.25 for other in true)
    assert all(abs(row.dx * true[0].dx + row.dy * true[0].dy) > np.cos(np.radians(1.5)) for row in block.rows)


@pytest.mark.parametrize("scale", [0.5, 0.7, 1.8])
def test_the_rows_come_first_in_any_size(scale):
    """From a quarter of the picture's width to nearly all of it."""
    picture, true = camera(4.0, scale=scale)
    block = locate(picture)[0]
    assert len(block.rows) == 2
    assert all(min(off(row, other) for row in block.rows) < 0.3 for other in true)


def test_a_lone_row_is_a_candidate():
    assert len(locate(page(lines=1))[0].rows) == 1


def words(seed: int = 3) -> np.ndarray:
    """A page of running text in a proportional face."""
    rng = np.random.default_rng(seed)
    image = np.full((700, 1000), 235, np.uint8)
    for y in range(60, 680, 36):
        text = " ".join("".join(map(chr, rng.integers(97, 123, n))) for n in rng.integers(2, 11, 8))
        cv2.putText(image, text, (40, y), cv2.FONT_HERSHEY_TRIPLEX, 0.8, 30, 1, cv2.LINE_AA)
    return image


def test_running_text_is_less_evident_than_rows_of_one_pitch():
    assert all(block.evidence < 0.4 for block in locate(words()))
    both = np.vstack([words(), page()[500:]])
    first, *others = locate(both)
    assert first.convincing
    assert min(row.y for row in first.rows) > 700
    assert all(block.evidence < first.evidence for block in others)


def test_evenness_tells_the_distance_of_characters():
    image = page()
    even, pitch = evenness(Halves(image), true_rows(np.eye(2, 3)))
    assert even.min() > 0.6
    assert np.abs(pitch - 18.0).max() < 0.5


@pytest.mark.parametrize("angle", [0.0, 12.0, 30.0, 44.0, -25.0])
def test_the_direction_of_print_is_seen_before_any_row(angle):
    picture, _ = camera(angle, size=(1400, 1400))
    reduced = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    found = np.degrees(directions(reduced)[0])
    assert abs((found + angle + 45) % 90 - 45) < 3.0


def test_an_earlier_frames_rows_lead_to_the_same_block_as_the_whole_page():
    _, before = camera(7.0)
    picture, true = camera(7.6)
    for hint in (before, before[:1], [row.reversed() for row in before[::-1]]):
        block = locate(picture, hint=hint)[0]
        assert len(block.rows) == 2
        assert all(min(off(row, other) for row in block.rows) < 0.25 for other in true)
        assert block.rows[0].dx * hint[0].dx > 0  # the way up that was known


def test_a_hint_that_is_wrong_changes_nothing():
    picture, true = camera(0.0)
    for wrong in (Row(200.0, 100.0, 1.0, 0.0, 300.0, 12.0), Row(-5e3, 9e3, 0.0, 1.0, 1e6, 0.0)):
        block = locate(picture, hint=[wrong, wrong.moved(0.0, 40.0)])[0]
        assert all(min(off(row, other) for row in block.rows) < 0.25 for other in true)


def test_an_exhaustive_search_finds_what_lies_at_another_angle_and_size_too():
    picture = np.full((1400, 2000), 200, np.uint8)
    picture[40:740, 20:1020] = page()
    turn = cv2.getRotationMatrix2D((500, 350), 33.0, 0.65)
    turn[:, 2] += (1000, 700)
    small = cv2.warpAffine(page(), turn, (2000, 1400), flags=cv2.INTER_AREA, borderValue=255)
    picture = np.minimum(picture, small)
    blocks = locate(picture, exhaustive=True)
    for true in (true_rows(np.array([[1.0, 0, 20], [0, 1, 40]])), true_rows(turn)):
        assert any(
            all(min(off(row, other) for row in block.rows) < 0.4 for other in true)
            for block in blocks
            if block.convincing
        )


@pytest.mark.parametrize("angle", [0.0, 9.0])
def test_a_rough_row_is_refined_on_the_full_picture(angle):
    picture, true = camera(angle, scale=1.4)
    for row in true:
        turn = np.radians(0.8)
        dx = row.dx * np.cos(turn) - row.dy * np.sin(turn)
        dy = row.dx * np.sin(turn) + row.dy * np.cos(turn)
        rough = row.moved(0.0, 0.3 * row.cap)._replace(dx=dx, dy=dy, cap=row.cap * 1.1)
        fine = refine(picture, rough)
        assert off(fine, row) < 0.12
        assert abs(np.degrees(np.arcsin(row.dx * fine.dy - row.dy * fine.dx))) < 0.25


def brighter(picture: np.ndarray, line: Row, along: float) -> np.ndarray:
    """The picture with a white spot of glare on a place of a line."""
    spot = line.moved(along, 0.0)
    return cv2.circle(picture.copy(), (round(spot.x), round(spot.y)), round(3.5 * line.cap), 235, -1)


@pytest.mark.parametrize("angle", [0.0, 12.0])
def test_what_glare_has_parted_is_one_row(angle):
    picture, true = camera(angle)
    row = locate(brighter(picture, true[0].moved(0.0, 20.0), 40.0))[0].rows[0]
    assert min(off(row, other) for other in true) < 0.3
    assert row.length > 0.9 * true[0].length


def wide_card() -> np.ndarray:
    """A card that fills the picture, with one line of thirty characters that stand far apart."""
    image = np.full((760, 1140), 200, np.uint8)
    for i, character in enumerate("CSC422168513<2612214<8507055<0"):
        at = (80 + round(i * 32.8), 628)
        cv2.putText(image, character, at, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 40, 3, cv2.LINE_AA)
    return image


def test_a_line_that_spans_a_picture_is_found_though_its_characters_stand_far_apart():
    row = locate(wide_card())[0].rows[0]
    assert abs(row.y - 616) < 12
    assert row.length > 850


@pytest.mark.parametrize("angle", [3.0, 100.0])
def test_an_mrz_of_an_eighth_of_a_large_picture_is_found(angle):
    picture, true = camera(angle, size=(3800, 2200), scale=0.62)
    block = locate(picture)[0]
    assert len(block.rows) == 2
    assert all(min(off(row, other) for row in block.rows) < 0.3 for other in true)


def hair_lines(picture: np.ndarray, contrast: float) -> np.ndarray:
    """The picture on a pattern of thin wavy lines, as security paper has."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    waves = np.abs((y + 9 * np.sin(x / 37)) % 5 - 2.5) < 1.0
    return (picture * np.where(waves, 1 - contrast, 1.0)).astype(np.uint8)


def test_hair_lines_do_not_drown_the_print():
    picture, true = camera(0.0)
    dark = hair_lines(picture, 0.3) * 0.3
    noise = np.random.default_rng(5).normal(0, 2, dark.shape)
    block = locate(np.clip(dark + noise, 0, 255).astype(np.uint8))[0]
    assert len(block.rows) == 2
    assert all(min(off(row, other) for row in block.rows) < 0.25 for other in true)


def test_noise_in_the_dark_does_not_drown_the_print():
    picture, true = camera(0.0)
    shade = np.linspace(0.03, 0.5, picture.shape[1])
    noise = np.random.default_rng(6).normal(0, 7.0, picture.shape)
    block = locate(np.clip(picture * shade + noise, 0, 255).astype(np.uint8))[0]
    assert len(block.rows) == 2
    assert all(min(off(row, other) for row in block.rows) < 0.3 for other in true)


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 0.62), (7.5, 0.6), (9.0, 0.62), (9.5, 0.72)])
def test_a_second_document_is_seen_beside_the_first(angle, scale):
    """Two blocks, small and tilted, one a tenth smaller: the search must not end at the first one's rows."""
    shrink = np.array([[0.9, 0.0, 50.0], [0.0, 0.9, 35.0]])
    smaller = cv2.warpAffine(page(), shrink, (1000, 700), flags=cv2.INTER_AREA, borderValue=235)
    pair = np.vstack([page(), smaller])
    turn = cv2.getRotationMatrix2D((500, 700), angle, scale)
    turn[:, 2] += np.array((1900, 1080)) / 2 - (500, 700)
    blocks = locate(cv2.warpAffine(pair, turn, (1900, 1080), flags=cv2.INTER_AREA, borderValue=90))
    lower = turn @ np.vstack([shrink + np.array([(0, 0, 0), (0, 0, 700)]), [(0, 0, 1)]])
    for true in (true_rows(turn), true_rows(lower)):
        assert any(
            all(min(off(row, other) for row in block.rows) < 0.3 for other in true)
            for block in blocks
            if block.convincing
        )


def test_a_row_that_other_print_hangs_on_to_is_cut_to_the_others():
    lines = [Row(504.5, 567.0 + 44 * i, 1.0, 0.0, 880.0, 19.0) for i in range(3)]
    found = Candidates(Halves(page(lines=3)))
    found.add([*lines[:2], lines[2].moved(60.0, 0.0)._replace(length=1000.0)])
    rows = found.blocks()[0].rows
    assert [round(row.x - row.length / 2) for row in rows] == [64, 64, 64]
    assert [round(row.x + row.length / 2) for row in rows] == [944, 944, 944]


def test_rows_are_joined_only_where_they_are_pieces_of_one():
    first = Row(100.0, 50.0, 1.0, 0.0, 120.0, 10.0)
    piece = first.moved(200.0, 2.0)
    (whole,) = joined([piece, first])
    assert (whole.length, round(whole.x)) == (pytest.approx(320.0, abs=0.1), 200)
    for other in (
        piece.moved(150.0, 0.0),
        piece.moved(0.0, 15.0),
        piece._replace(cap=16.0),
        piece.reversed(),
    ):
        assert joined([first, other]) == []
    assert len({row.length for row in joined([first, piece, first.moved(-190.0, 0.0)])}) == 2


def test_an_empty_page_has_no_candidates():
    assert locate(np.full((600, 900), 128, np.uint8)) == []
    assert locate(np.zeros((40, 40), np.uint8)) == []
    assert locate(np.zeros((4, 1), np.uint8)) == []  # OpenCV may take this for four numbers


def test_a_page_full_of_print_gives_a_bounded_answer():
    image = np.full((1400, 1000), 240, np.uint8)
    for y in range(10, 1390, 20):
        for x in range(10, 990, 11):
            cv2.line(image, (x, y), (x + 5, y + 9), 20, 2)
    assert len(locate(image)) <= MAX_CANDIDATES


@settings(max_examples=25, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 90), st.integers(1, 90))))
def test_any_small_picture_is_survived(image):
    assert isinstance(locate(image), list)

"""The decoder: evidence first, rules between probable characters, check digits last."""

from __future__ import annotations

import numpy as np
import pytest

from edged.core.lattice import decide
from edged.core.layouts import MrzFormat
from edged.core.mrz import check_digit
from edged.core.ocr import ALPHABET
from edged.errors import DecodeError

TD3 = ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10")
TD1 = ("I<UTOD231458907<<<<<<<<<<<<<<<", "7408122F1204159UTO<<<<<<<<<<<6", "ERIKSSON<<ANNA<MARIA<<<<<<<<<<")


def seen(lines, doubts=()):
    """Cells as a sure reader would give them, except for doubts: (line, position, {character: share})."""
    cells = []
    for line in lines:
        shares = np.full((len(line), len(ALPHABET)), 1e-6, np.float32)
        for i, char in enumerate(line):
            shares[i, ALPHABET.index(char)] = 1.0
        cells.append(shares)
    for line, at, shares in doubts:
        cells[line][at] = 1e-6
        for char, share in shares.items():
            cells[line][at, ALPHABET.index(char)] = share
    return [c / c.sum(axis=1, keepdims=True) for c in cells]


def test_sure_cells_come_out_as_they_are():
    for lines, format_ in ((TD3, MrzFormat.TD3), (TD1, MrzFormat.TD1)):
        found = decide(seen(lines))
        assert found is not None
        assert (found.format, found.lines, found.changed, found.ambiguous) == (format_, lines, 0, False)
        assert found.confidence.min() > 0.99


def test_the_layout_decides_between_probable_characters():
    found = decide(seen(TD3, [(0, 5, {"3": 0.6, "E": 0.4}), (1, 13, {"Z": 0.7, "7": 0.3})]))
    assert found is not None
    assert found.lines == TD3
    assert found.changed == 2


def test_where_there_is_room_for_one_of_o_and_0_both_count_for_it():
    """One face's O is another's 0; what is like neither isn't likelier for that."""
    name = TD3[0][:5] + "O" + TD3[0][6:]
    found = decide(seen((name, TD3[1]), [(0, 5, {"0": 0.995, "U": 0.003, "O": 0.002})]))
    assert found is not None
    assert found.lines[0] == name
    assert found.confidence[5] > 0.99


def test_where_there_is_room_for_both_o_and_0_stay_two():
    found = decide(seen(TD3, [(1, 3, {"9": 0.5, "O": 0.25, "0": 0.25})]))
    assert found is not None
    assert found.confidence[44 + 3] < 0.7


def test_a_clear_character_out_of_place_stays():
    misprint = TD3[1][:13] + "Z" + TD3[1][14:]
    found = decide(seen((TD3[0], misprint)))
    assert found is not None
    assert found.lines[1] == misprint


def test_what_check_digits_chose_between_probable_characters_they_do_not_confirm():
    found = decide(seen(TD3, [(1, 0, {"I": 0.7, "L": 0.3})]))
    assert found is not None
    assert found.lines == TD3
    assert found.ambiguous
    assert found.confidence[44] < 0.5


@pytest.mark.parametrize("share", [0.0, 0.05, 0.095])
def test_no_zero_absorbs_a_wrong_check_digit(share):
    """Each zero of a number read as the letter O would change its check digit by something else."""
    for at, wrong in ((9, "0246"), (1, "1357"), (8, "12789")):
        for char in wrong:
            line = list(TD3[1])
            line[at] = char
            line[5] = "0"
            text = "".join(line)
            found = decide(seen((TD3[0], text), [(1, 5, {"0": 1 - share, "O": share})]))
            assert found is not None
            assert found.lines[1] == text, "a character the picture shows clearly stays"


def test_a_wrong_check_digit_is_the_documents_only_where_all_it_speaks_for_is_clear():
    misprint = TD3[1][:9] + "7" + TD3[1][10:]
    for shares, ours in (({"8": 0.98, "B": 0.02}, False), ({"8": 0.8, "B": 0.1, "6": 0.1}, True)):
        found = decide(seen((TD3[0], misprint), [(1, 1, shares)]))
        assert found is not None
        assert found.lines[1] == misprint
        assert found.ambiguous is ours


def test_a_letter_o_in_a_number_whose_check_digit_fails_may_be_a_zero():
    letter = TD3[1][:5] + "O" + TD3[1][6:]
    found = decide(seen((TD3[0], letter)))
    assert found is not None
    assert found.lines[1] == letter
    assert found.ambiguous


def test_a_misprinted_check_digit_is_never_repaired():
    misprint = TD3[1][:9] + "7" + TD3[1][10:]
    found = decide(seen((TD3[0], misprint)))
    assert found is not None
    assert found.lines == (TD3[0], misprint)
    assert found.changed == 0


def test_a_reading_whose_check_digits_hold_by_luck_is_doubted():
    # B (11) for 1 changes no check digit: only the picture can tell them apart.
    found = decide(seen(TD3, [(1, 30, {"1": 0.55, "B": 0.45})]))
    assert found is not None
    assert found.ambiguous


def test_what_no_check_digit_tells_apart_is_measured_by_itself():
    found = decide(seen(TD3, [(1, 28, {"Z": 0.9, "P": 0.1}), (1, 33, {"2": 0.8, "C": 0.1, "M": 0.1})]))
    assert found is not None
    assert found.distinct[44 + 28] == pytest.approx(0.9, abs=0.01)
    assert found.distinct[44 + 33] == pytest.approx(0.8, abs=0.01)
    assert found.distinct[44] > 0.99


def test_driving_licences_are_told_apart():
    with pytest.raises(DecodeError) as refused:
        decide(seen(("D1FRA13AA000026181231MARTIN<<9",)))
    assert refused.value.code == "mrz.driving_licence"


def test_cells_of_no_layout_give_nothing():
    assert decide(seen(("A" * 30,))) is None
    assert decide(seen(("P<UTO", "12345"))) is None


def test_a_number_whose_zeros_all_look_like_the_letter_is_doubted_though_its_check_digit_holds():
    """The weights of its five zeros add up to 15: O for 0, four more in value, changes no check digit."""
    number = "L00890003"
    assert check_digit(number) == check_digit(number.replace("0", "O"))
    start = number + str(check_digit(number)) + TD3[1][10:43]
    right = (TD3[0], start + str(check_digit(start[:10] + start[13:20] + start[21:43])))
    wrong = (TD3[0], number.replace("0", "O") + right[1][9:])
    found = decide(seen(wrong))
    assert found is not None
    assert found.ambiguous
    zeros = decide(seen(right))
    assert zeros is not None
    assert (zeros.lines, zeros.ambiguous) == (right, False)

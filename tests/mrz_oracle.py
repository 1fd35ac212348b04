"""The slow, obvious judge of check digits: the tables of the standards, slice by slice, as a person does.

It shares nothing with edged, so that it can be the oracle of the kernels. L[0] is the first line.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

VALUES = {
    **{digit: int(digit) for digit in string.digits},
    **{letter: 10 + index for index, letter in enumerate(string.ascii_uppercase)},
    "<": 0,
}
ALPHABET = "".join(VALUES)

Verdicts = dict[str, bool]


def check_digit(text: str) -> str:
    return str(sum(VALUES[character] * (7, 3, 1)[index % 3] for index, character in enumerate(text)) % 10)


def classify(lines: Sequence[str]) -> str | None:
    shape = [len(line) for line in lines]
    first = lines[0] if lines else ""
    if shape == [44, 44]:
        return "MRVA" if first.startswith("V") else "TD3"
    if shape == [36, 36]:
        if first.startswith("V"):
            return "MRVB"
        return "FRA_ID" if first.startswith("IDFRA") else "TD2"
    if shape == [30, 30, 30]:
        if first.startswith("C<CHN"):
            return "PRC_HOME_RETURN"
        if first[:2] in {"CR", "CT", "CF"} and any(c in string.digits for c in first[2:5]):
            return "PRC_CARD"
        return "TD1"
    if shape == [30] and first[:2] in {"CS", "CD"}:
        return "PRC_PERMIT"
    return None


def plain(text: str, digit: str) -> bool:
    return digit == check_digit(text)


def maybe_empty(text: str, digit: str) -> bool:
    return plain(text, digit) or (digit == "<" and set(text) == {"<"})


def maybe_long(number: str, digit: str, optional: str) -> bool:
    if plain(number, digit):
        return True
    rest = optional.partition("<")[0]
    if digit != "<" or number.endswith("<") or len(rest) < 2 or rest[-1] not in string.digits:
        return False
    return rest[-1] in {check_digit(number + rest[:-1]), check_digit(number + "<" + rest[:-1])}


def td1(lines: Sequence[str]) -> Verdicts:
    one, two, _ = lines
    return {
        "document_number": maybe_long(one[5:14], one[14], one[15:30]),
        "birth_date": plain(two[0:6], two[6]),
        "expiry_date": maybe_empty(two[8:14], two[14]),
        "composite": plain(one[5:30] + two[0:7] + two[8:15] + two[18:29], two[29]),
    }


def td2(lines: Sequence[str]) -> Verdicts:
    two = lines[1]
    return {
        "document_number": maybe_long(two[0:9], two[9], two[28:35]),
        "birth_date": plain(two[13:19], two[19]),
        "expiry_date": maybe_empty(two[21:27], two[27]),
        "composite": plain(two[0:10] + two[13:20] + two[21:35], two[35]),
    }


def td3(lines: Sequence[str]) -> Verdicts:
    two = lines[1]
    return {
        "document_number": plain(two[0:9], two[9]),
        "birth_date": plain(two[13:19], two[19]),
        "expiry_date": maybe_empty(two[21:27], two[27]),
        "optional_data": maybe_empty(two[28:42], two[42]),
        "composite": plain(two[0:10] + two[13:20] + two[21:43], two[43]),
    }


def visa(lines: Sequence[str]) -> Verdicts:
    two = lines[1]
    return {
        "document_number": plain(two[0:9], two[9]),
        "birth_date": plain(two[13:19], two[19]),
        "expiry_date": maybe_empty(two[21:27], two[27]),
    }


def fra_id(lines: Sequence[str]) -> Verdicts:
    one, two = lines
    return {
        "document_number": plain(two[0:12], two[12]),
        "birth_date": plain(two[27:33], two[33]),
        "composite": plain(one + two[0:35], two[35]),
    }


def prc_permit(lines: Sequence[str]) -> Verdicts:
    (one,) = lines
    return {
        "document_number": plain(one[2:11], one[11]),
        "expiry_date": plain(one[13:19], one[19]),
        "birth_date": plain(one[21:27], one[27]),
        "composite": plain(one[2:12] + one[13:20] + one[21:28], one[29]),
    }


def prc_card(lines: Sequence[str]) -> Verdicts:
    one, two, _ = lines
    return {
        "document_number": plain(one[2:11], one[11]),
        "expiry_date": plain(one[15:21], one[21]),
        "birth_date": plain(one[23:29], one[29]),
        "renewals": plain(one[12:14], one[14]),
        "composite": plain(one[2:12] + one[15:22] + one[23:30] + two[19:29], two[29]),
    }


def prc_home_return(lines: Sequence[str]) -> Verdicts:
    one, two, _ = lines
    return {
        "document_number": plain(two[15:26], two[26]),
        "birth_date": plain(two[0:6], two[6]),
        "expiry_date": plain(two[8:14], two[14]),
        "chinese_name": plain(one[5:25], one[26]),
        "line_1": plain(one[0:29], one[29]),
        "line_2": plain(two[0:29], two[29]),
    }


JUDGES: dict[str, Callable[[Sequence[str]], Verdicts]] = {
    "TD1": td1,
    "TD2": td2,
    "TD3": td3,
    "MRVA": visa,
    "MRVB": visa,
    "FRA_ID": fra_id,
    "PRC_PERMIT": prc_permit,
    "PRC_CARD": prc_card,
    "PRC_HOME_RETURN": prc_home_return,
}

SHAPES = {
    "TD1": (3, 30),
    "TD2": (2, 36),
    "TD3": (2, 44),
    "MRVA": (2, 44),
    "MRVB": (2, 36),
    "FRA_ID": (2, 36),
    "PRC_PERMIT": (1, 30),
    "PRC_CARD": (3, 30),
    "PRC_HOME_RETURN": (3, 30),
}


def judge(lines: Sequence[str]) -> tuple[str | None, set[str]]:
    """(format, check digits that fail); (None, nothing) for lines of no layout or outside the alphabet."""
    format_ = classify(lines)
    if format_ is None or not all(character in VALUES for line in lines for character in line):
        return None, set()
    return format_, {name for name, holds in JUDGES[format_](lines).items() if not holds}


def cut(text: str, format_: str) -> list[str]:
    """Joined text as lines."""
    _, width = SHAPES[format_]
    return [text[at : at + width] for at in range(0, len(text), width)]


def judge_many(records: Iterable[Sequence[str]]) -> list[tuple[str | None, set[str]]]:
    return [judge(lines) for lines in records]

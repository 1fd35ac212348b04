"""Text of synthetic MRZ lines: realistic lines of every layout, and random strings.

Random strings make up about half, so that the network learns shapes and not the grammar: the grammar is the
decoder's, which knows when it may be used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"
ALPHABET = DIGITS + LETTERS + "<"
STATES = tuple(
    """
    UTO D<< CHN USA GBR FRA DEU ESP PRT ITA NLD BEL CHE AUT SWE NOR FIN DNK ISL EST LVA LTU POL CZE SVK HUN ROU
    BGR GRC TUR UKR RUS KAZ UZB GEO ARM AZE IRN IRQ ISR JOR SAU QAT ARE IND PAK BGD LKA NPL MMR THA VNM MYS SGP
    IDN PHL JPN KOR PRK MNG TWN AUS NZL FJI CAN MEX BRA ARG CHL COL PER EGY MAR DZA TUN NGA GHA KEN ETH ZAF AGO
    XXA XXB XXX UNO INP EUE MCO LIE AND SMR MLT CYP IRL LUX HRV SVN SRB MKD ALB BIH MNE MDA BLR
    """.split()  # noqa: SIM905 (a hundred quotes help nobody)
)
_ONSETS = ["", *"BCDFGHJKLMNPQRSTVWXYZ", "CH", "SH", "TH", "ZH", "BR", "KR", "ST", "TR", "MC", "SCH", "NG"]
_NUCLEI = [*"AEIOUY", "AE", "OE", "UE", "IA", "OO", "EI", "OU"]
_CODAS = ["", "", "", *"NRSTLMKHDGBPXZ", "NG", "CK", "RT", "NN", "SS", "MN", "HM", "WSKI"]


def _name(rng: random.Random) -> str:
    return "".join(
        rng.choice(_ONSETS) + rng.choice(_NUCLEI) + rng.choice(_CODAS) for _ in range(rng.randint(1, 4))
    )


def _names(rng: random.Random, width: int) -> str:
    primary = "<".join(_name(rng) for _ in range(rng.choice((1, 1, 1, 2, 3))))
    secondary = "<".join(_name(rng) for _ in range(rng.choice((0, 1, 1, 2, 2, 3))))
    return f"{primary}<<{secondary}".ljust(width, "<")[:width]


def _number(rng: random.Random, width: int, letters: float = 0.25) -> str:
    return "".join(rng.choice(LETTERS if rng.random() < letters else DIGITS) for _ in range(width))


def _optional(rng: random.Random, width: int) -> str:
    used = rng.choice((0, 0, rng.randint(1, width)))
    return _number(rng, used, rng.choice((0.0, 0.2, 1.0))).ljust(width, "<")


def _digits(rng: random.Random, width: int) -> str:
    return _number(rng, width, 0.0)


def _line_two(rng: random.Random, length: int) -> str:
    return (
        _number(rng, rng.randint(6, 9)).ljust(9, "<")
        + _digits(rng, 1)
        + rng.choice(STATES)
        + _digits(rng, 7)
        + rng.choice("MF<")
        + _digits(rng, 7)
        + _optional(rng, length - 30)
        + _digits(rng, 2)
    )


def realistic_line(rng: random.Random) -> str:
    """One line of a random layout: right alphabets in the right places, check digits left to chance."""
    match rng.randint(0, 8):
        case 0 | 1:
            return rng.choice("PV") + rng.choice("<POEDSNC") + rng.choice(STATES) + _names(rng, 39)
        case 2 | 3:
            return _line_two(rng, 44)
        case 4:
            code = rng.choice(("I<", "ID", "AC", "IR", "C<", "TR", "AR", "CR", "CT", "CS"))
            return code + rng.choice(STATES) + _number(rng, 9) + _digits(rng, 1) + _optional(rng, 15)
        case 5:
            dates = _digits(rng, 7) + rng.choice("MF<") + _digits(rng, 7)
            return dates + rng.choice(STATES) + _optional(rng, 11) + _digits(rng, 1)
        case 6:
            return _names(rng, 30)
        case 7:
            return rng.choice(("I<", "VC", "ID", "V<")) + rng.choice(STATES) + _names(rng, 31)
        case _:
            return _line_two(rng, 36)


def random_line(rng: random.Random) -> str:
    """A string without grammar; fillers come in runs as they do in real lines."""
    mode = rng.random()
    pool = LETTERS + DIGITS if mode < 0.6 else (LETTERS if mode < 0.8 else "0O1I2Z5S8B6GMNHWKXQDUVCE7T4AFPRL")
    out: list[str] = []
    while len(out) < 36:
        if rng.random() < 0.07:
            out.extend("<" * rng.randint(1, 6))
        else:
            out.append(rng.choice(pool))
    return "".join(out)


def training_line(rng: random.Random) -> str:
    """What the trainer draws: half realistic, half random."""
    return realistic_line(rng) if rng.random() < 0.5 else random_line(rng)

"""The designs: which fields the visual zone of each kind of specimen shows, and in which colours.

The visual zone repeats what the MRZ says, spelled out (Doc 9303-3 §3); numbers and dates are taken from the
lines so that the two can't drift apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.render_specimens.ornament import BLUE, FACES, LILAC, MINT, ROSE, SALMON, SAND, TEAL, Palette
from tools.render_specimens.sheet import Design, Field

if TYPE_CHECKING:
    from tools.render_specimens.mrz import Lines

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
PALETTES = (TEAL, BLUE, ROSE, SAND, LILAC, MINT)


def spelled(yymmdd: str, century: str) -> str:
    """`740812` as `12 AUG 1974`; unknown parts as XX (Doc 9303-3 §3.8)."""
    year, month, day = yymmdd[:2], yymmdd[2:4], yymmdd[4:]
    named = MONTHS[int(month) - 1] if "<" not in month else "XXX"
    return f"{day.replace('<', 'X')} {named} {century}{year}"


def passport(lines: Lines, surname: str, given: str, look: int) -> Design:
    """A passport's data page in its booklet."""
    second = lines[1]
    personal = second[28:42].strip("<")
    until = spelled(second[21:27], "20")
    rows = (
        (
            Field("Type / Type", "P", 0.8),
            Field("Code / Code", "UTO", 0.9),
            Field("Passport No. / No. de passeport", second[:9].strip("<"), 1.6),
        ),
        (Field("Surname / Nom", surname),),
        (Field("Given names / Prénoms", given),),
        (Field("Nationality / Nationalité", "UTOPIAN"), Field("Personal No.", personal or "–")),
        (
            Field("Date of birth / Date de naissance", spelled(second[13:19], "19"), 1.3),
            Field("Sex", second[20], 0.4),
            Field("Place of birth", "ZENITH", 1.2),
        ),
        (
            Field("Date of issue / Date de délivrance", f"{until[:7]}{int(until[7:]) - 10}"),
            Field("Authority / Autorité", "ZENITH"),
        ),
        (Field("Date of expiry / Date d’expiration", until), Field("", "")),
    )
    return Design(
        "PASSPORT / PASSEPORT",
        "UTOPIA",
        rows,
        PALETTES[look % 6],
        FACES[look % 6],
        ghost=True,
        signed=True,
        bound=True,
    )


def identity_back(lines: Lines, surname: str, given: str, number: str, look: int) -> Design:
    """The MRZ side of an identity card."""
    rows = (
        (Field("Surname, given names", f"{surname}, {given}"),),
        (Field("Card No.", number, 1.2), Field("Nationality", "UTO", 0.8)),
        (Field("Date of birth", spelled(lines[1][:6], "19")), Field("Sex", lines[1][7], 0.4)),
        (Field("Valid until", spelled(lines[1][8:14], "20")), Field("Issued by", "ZENITH")),
    )
    return Design("IDENTITY CARD", "UTOPIA", rows, PALETTES[(look + 1) % 6], FACES[look % 6])


def identity_page(lines: Lines, surname: str, given: str, look: int) -> Design:
    """A residence document of TD2 size: portrait and MRZ on the same side."""
    second = lines[1]
    rows = (
        (Field("Document No.", second[:9].strip("<")), Field("Nationality", "UTOPIAN")),
        (Field("Surname / Nom", surname),),
        (Field("Given names / Prénoms", given),),
        (Field("Date of birth", spelled(second[13:19], "19"), 1.4), Field("Sex", second[20], 0.5)),
        (Field("Valid until", spelled(second[21:27], "20"), 1.4), Field("Authority", "ZENITH", 1)),
    )
    return Design(
        "RESIDENCE DOCUMENT",
        "UTOPIA",
        rows,
        PALETTES[(look + 3) % 6],
        FACES[look % 6],
        ghost=True,
        signed=True,
    )


def visa(lines: Lines, surname: str, given: str, look: int) -> Design:
    """A visa sticker."""
    second = lines[1]
    until = spelled(second[21:27], "20")
    rows = (
        (
            Field("Category", "VISITOR", 1),
            Field("Number", second[:9].strip("<"), 1),
            Field("Entries", "MULTIPLE", 0.8),
        ),
        (Field("Surname, given names", f"{surname}, {given}"),),
        (
            Field("Date of birth", spelled(second[13:19], "19")),
            Field("Sex", second[20], 0.4),
            Field("Nationality", "XXX"),
        ),
        (Field("Valid from", "01 JAN 2026"), Field("Valid until", until)),
        (Field("Place of issue", "CLOUD HARBOUR"), Field("Duration of stay", "90 DAYS")),
    )
    return Design("VISA", "UTOPIA", rows, (LILAC, SAND)[look], FACES[0], signed=False, bound=True)


def chinese_front(
    title: str, subtitle: str, fields: tuple[str, str, str, str, str], palette: Palette
) -> Design:
    """The portrait side of a PRC permit: our own design, marked 样本 all over."""
    name, sex, born, validity, number = fields
    rows = (
        (Field("姓名 Name", "证件样本"), Field("证件号码 No.", number)),
        (Field("拼音 Pinyin", name),),
        (Field("出生日期 Date of birth", born), Field("性别 Sex", sex, 0.6)),
        (Field("有效期限 Validity", validity, 1.6), Field("签发机关 Authority", "样本机关")),
    )
    return Design(subtitle, title, rows, palette, FACES[5], mark="样本 SPECIMEN")


def chinese_back(title: str, identity: str, palette: Palette) -> Design:
    """The MRZ side of a PRC card permit."""
    rows = (
        (Field("证件样本 · 非真实证件", "SPECIMEN, NOT A DOCUMENT"),),
        (Field("身份证件号码 Identity No.", identity), Field("换证次数 Renewals", "00", 0.6)),
        (Field("签发机关 Authority", "样本机关"),),
    )
    return Design("SPECIMEN", title, rows, palette, None, mark="样本 SPECIMEN")


def driving_licence() -> Design:
    """A card that has no MRZ at all."""
    rows = (
        (Field("1.", "FAIRWEATHER"),),
        (Field("2.", "JUNE"),),
        (Field("3.", "14.05.1992  ZENITH"),),
        (Field("4a.", "02.03.2021"), Field("4b.", "01.03.2031")),
        (Field("5.", "FAIRW 920514 JX"),),
        (Field("9.", "AM / B1 / B / BE"),),
    )
    return Design("DRIVING LICENCE", "UTOPIA", rows, SALMON, FACES[2], signed=True)

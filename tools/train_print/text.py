"""What the drawn lines say: dates in many forms, document numbers, words, captions, foreign scripts.

The network folds case and accents: a letter is its base capital, so that `Aug`, `AUG` and `AOÛT` need no classes of
their own. What has no class (foreign scripts, other signs) is `OTHER`: something stands there, and isn't readable.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

DIGITS = "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ALPHABET = DIGITS + LETTERS + "./-"
OTHER = len(ALPHABET)
BLANK = OTHER + 1

MONTHS = """
JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC JANV FÉV MARS AVR MAI JUIN JUIL AOÛT SEPT DÉC MÄR MRZ OKT DEZ ENE ABR
AGO DIC FEV SET OUT GEN MAG GIU LUG OTT MAA MEI JUNE JULY SEPT. JAN. FEB. AUG. DEC. MAJ ЯНВ МАЙ ИЮН ИЮЛ АВГ DES SEPT
JANUARY FEBRUARY MARCH APRIL AUGUST SEPTEMBER OCTOBER NOVEMBER DECEMBER JANVIER JUILLET
""".split()  # noqa: SIM905 (a hundred quotes help nobody)
CAPTIONS = """
Date of birth|Date de naissance|Geburtsdatum|Date of expiry|Date d'expiration|Gültig bis|Date of issue|Passport No.|
Passport No./No du passeport|Sex/Sexe|Nationality|Nationalité|Surname/Nom|Given names/Prénoms|Place of birth|Authority|
Fecha de nacimiento|Data di nascita|Geboortedatum|Document number|Personal No.|Type/Type|Code of issuing State|Valid
until|Card No.|Date de délivrance|Lieu de naissance|Signature du titulaire|Height|Colour of eyes|Fecha de caducidad|
出生日期 / Date of birth|有效期至 / Date of expiry|签发日期|护照号 / Passport No.|公民身份号码|证件号码|性别 / Sex|国籍
Nationality|有效期限 Period of Validity|姓名 / Name|Дата рождения|Место рождения|Срок действия
""".replace("\n", " ").split("|")
_SYLLABLES = """
an er ma ri o ka lo el vi sto ber gen des in ti na re mu sch en tho ng wei xi zh ou que ll ph pas por tes ier eld kov
ski son ard ine ô é ü ñ ç å
""".split()  # noqa: SIM905
_HAN = "年月日中华人民共和国护照居住证件样本公安部出入境管理局男女姓名北京上海广东香港澳门台湾省市签发机关有效期长"
_CYRILLIC = "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЭЮЯабвгдежзиклмнопрст"
_SIGNS = ":'()<>*№°&+=_#,;\"?!%"


def label(char: str) -> int | None:
    """The class of a printed character; None for a space."""
    if char.isspace():
        return None
    if char in "lı|":
        return ALPHABET.index("I")
    if char in ",·":
        return ALPHABET.index(".")
    if char == "–":
        return ALPHABET.index("-")
    base = unicodedata.normalize("NFKD", char)[0].upper()
    return ALPHABET.index(base) if base in ALPHABET else OTHER


def _cased(rng: random.Random, word: str) -> str:
    mode = rng.random()
    return word.upper() if mode < 0.6 else word.title() if mode < 0.85 else word.lower()


def date(rng: random.Random) -> str:
    """A printed date: any order, any separator, months in figures or in words, one or two languages."""
    year, month, day = rng.randint(1920, 2049), rng.randint(1, 12), rng.randint(1, 31)
    dd = f"{day:02d}" if rng.random() < 0.85 else str(day)
    mm = f"{month:02d}" if rng.random() < 0.9 else str(month)
    yyyy, yy = str(year), f"{year % 100:02d}"
    kind = rng.random()
    gap = rng.choice((" ", " ", "  ", ""))
    if kind < 0.5:
        separator = rng.choice((".", ".", "/", "/", "-", " ", ". ", " / ", " - ", ""))
        order = rng.random()
        if order < 0.6:
            return separator.join((dd, mm, yyyy if rng.random() < 0.8 else yy))
        if order < 0.7:
            return separator.join((mm, dd, yyyy if rng.random() < 0.8 else yy))
        return separator.join((yyyy if rng.random() < 0.85 else yy, mm, dd))
    if kind < 0.9:
        name = _cased(rng, rng.choice(MONTHS))
        if rng.random() < 0.4:
            slash = rng.choice((" / ", " /", "/", "/ "))
            name += slash + _cased(rng, rng.choice(MONTHS))
        separator = rng.choice((gap, gap, "-", "."))
        return f"{dd}{separator}{name}{separator}{yyyy if rng.random() < 0.75 else yy}"
    if kind < 0.95:
        return f"{yyyy}年{mm}月{dd}日"
    return f"{yyyy}.{mm}.{dd}-{int(yyyy) + 10}.{mm}.{dd}"


def number(rng: random.Random) -> str:
    """A document or card number: letters and figures in groups, or a long row of figures."""
    kind = rng.random()
    if kind < 0.3:
        return "".join(rng.choice(DIGITS) for _ in range(rng.choice((6, 7, 8, 9, 9, 10, 12, 15, 18, 18))))
    if kind < 0.6:
        head = "".join(rng.choice(LETTERS) for _ in range(rng.randint(1, 3)))
        gap = rng.choice(("", "", " ", "-"))
        return head + gap + "".join(rng.choice(DIGITS) for _ in range(rng.randint(6, 12)))
    letters = rng.choice((0.2, 0.5, 0.5))
    text = "".join(
        rng.choice(LETTERS if rng.random() < letters else DIGITS) for _ in range(rng.randint(5, 16))
    )
    if rng.random() < 0.2:
        cut = rng.randint(2, len(text) - 2)
        text = text[:cut] + rng.choice(" -/.") + text[cut:]
    return text


def words(rng: random.Random) -> str:
    return " ".join(
        _cased(rng, "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(1, 4))))
        for _ in range(rng.randint(1, 4))
    )


def _signs(rng: random.Random) -> str:
    pool = rng.choice(
        (_HAN, _HAN, _CYRILLIC, _SIGNS + DIGITS, _HAN + DIGITS, LETTERS + LETTERS.lower() + _SIGNS)
    )
    return "".join(rng.choice(pool) for _ in range(rng.randint(2, 14)))


def _confusable(rng: random.Random) -> str:
    pool = rng.choice(("0O1I2Z5S8B6GQD", "3897650", "MNHWKUVY", "17/4TI", "0123456789"))
    return "".join(rng.choice(pool) for _ in range(rng.randint(4, 14)))


def line(rng: random.Random) -> str:
    """The text of one drawn line: one to three of everything above, parted by spaces."""
    parts: list[str] = []
    while len(" ".join(parts)) < 14 and len(parts) < 3:
        kind = rng.random()
        if kind < 0.36:
            parts.append(date(rng))
        elif kind < 0.58:
            parts.append(number(rng))
        elif kind < 0.68:
            parts.append(_confusable(rng))
        elif kind < 0.80:
            parts.append(words(rng))
        elif kind < 0.90:
            parts.append(rng.choice(CAPTIONS).strip())
        else:
            parts.append(_signs(rng))
        if rng.random() < 0.5:
            break
    return (" " * rng.choice((1, 1, 2, 3, 5))).join(parts)

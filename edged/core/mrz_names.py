"""Names in an MRZ: ICAO's fillers, the PRC's GA code, the 区位码 of 1999.

Sources: ICAO Doc 9303-3 §4.6 (names), 9303-4 §4.2.3 (truncation); GA/T 704.14-2015 (GA code); GB 2312.
"""

from __future__ import annotations

import re
from typing import Final

_GA_LETTERS: Final = "ABCDEFGHIJKLMNOP"
_GA_TO_HEX: Final = str.maketrans(_GA_LETTERS, "0123456789ABCDEF")
_HEX_TO_GA: Final = str.maketrans("0123456789ABCDEF", _GA_LETTERS)
_GA_NAME: Final = re.compile(r"((?:[A-P]{4})+)<*")
_QUWEI_NAME: Final = re.compile(r"((?:[0-9]{4})+)<*")


def split_name(raw: str) -> tuple[str, str]:
    """(surname, given names) of a name field, components parted by one space.

    A name without `<<` is a surname alone, as Doc 9303 has it.
    """
    primary, _, secondary = raw.rstrip("<").partition("<<")
    return words(primary), words(secondary)


def words(raw: str) -> str:
    """Components of a name parted by one space."""
    return " ".join(raw.replace("<", " ").split())


def has_gap(raw: str) -> bool:
    """Whether a name has fillers where Doc 9303 allows none: at its start, or a second pair.

    Fillers misread as letters look like that, and so do a few issuers' names: a warning, not a failure.
    """
    primary, _, secondary = raw.rstrip("<").partition("<<")
    return primary[:1] in {"", "<"} or secondary[:1] == "<" or "<<" in secondary


def decode_ga(raw: str) -> str | None:
    """The Chinese name in GA code: four letters a character, its GBK bytes' nibbles, A for 0 to P for 15.

    None when the text is no GA code, or codes no character.
    """
    match = _GA_NAME.fullmatch(raw)
    if match is None:
        return None
    return _decode(bytes.fromhex(match[1].translate(_GA_TO_HEX)), "gbk")


def decode_quwei(raw: str) -> str | None:
    """The Chinese name in 区位码, GB 2312's row and cell in four digits a character; None when it is none."""
    match = _QUWEI_NAME.fullmatch(raw)
    if match is None:
        return None
    digits = match[1]
    return _decode(bytes(160 + int(digits[at : at + 2]) for at in range(0, len(digits), 2)), "gb2312")


def _decode(coded: bytes, encoding: str) -> str | None:
    """Two bytes a character; a pair that stands for none, or for two of one byte, spoils the name."""
    try:
        name = coded.decode(encoding)
    except UnicodeDecodeError:
        return None
    return name if 2 * len(name) == len(coded) else None


def encode_ga(name: str) -> str:
    """A Chinese name in GA code; ValueError when a character isn't in GBK's two-byte range."""
    coded = name.encode("gbk")
    if len(coded) != 2 * len(name):
        raise ValueError("a Chinese name holds Chinese characters only")
    return coded.hex().upper().translate(_HEX_TO_GA)


def encode_quwei(name: str) -> str:
    """A Chinese name in 区位码; ValueError when a character isn't in GB 2312."""
    coded = name.encode("gb2312")
    if len(coded) != 2 * len(name):
        raise ValueError("a Chinese name holds Chinese characters only")
    return "".join(f"{byte - 160:02}" for byte in coded)


def count_letter(raw: str) -> int | None:
    """A count coded as one letter, A for none; None for anything else."""
    return _GA_LETTERS.index(raw) if raw in _GA_LETTERS and raw else None


def join_name(surname: str, given_names: str, width: int) -> str:
    """The name field, `width` characters: fillers between components, `<<` between the two names.

    Apostrophes are dropped, hyphens become fillers. A name that is too long is cut so that its last character
    is a letter, which is how a reader knows (Doc 9303-4 §4.2.3).
    """
    primary, secondary = field_name(surname), field_name(given_names)
    text = f"{primary}<<{secondary}" if secondary else primary
    if len(text) > width and len(primary) > width - 3 and secondary:
        text = f"{primary[: width - 3].rstrip('<')}<<{secondary}"  # one letter of the given names must show
    while len(text) > width and text[width - 1] == "<":
        at = len(text[:width].rstrip("<"))
        text = text[: at - 1] + text[at:]
    return text[:width].ljust(width, "<")


def field_name(name: str) -> str:
    """One name as a field prints it, without padding."""
    return "<".join(name.replace("'", "").replace("’", "").replace("-", " ").split())

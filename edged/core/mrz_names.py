"""Names in an MRZ: ICAO's fillers, the PRC's GA code, the 区位码 of 1999.

Sources: ICAO Doc 9303-3 §4.6 (names), 9303-4 §4.2.3 (truncation); GA/T 704.14-2015 (GA code); GB 2312. Reading
names is done in `edged.core._mrznames`, writing them here.
"""

from __future__ import annotations

from typing import Final

from edged.core import _mrznames

_HEX_TO_GA: Final = str.maketrans("0123456789ABCDEF", "ABCDEFGHIJKLMNOP")


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
    return _mrznames.decode_ga(raw)


def decode_quwei(raw: str) -> str | None:
    """The Chinese name in 区位码, GB 2312's row and cell in four digits a character; None when it is none."""
    return _mrznames.decode_quwei(raw)


def encode_ga(name: str) -> str:
    """A Chinese name in GA code; ValueError when a character isn't in GBK's two-byte range."""
    return _two_bytes_each(name, "gbk").hex().upper().translate(_HEX_TO_GA)


def encode_quwei(name: str) -> str:
    """A Chinese name in 区位码; ValueError when a character isn't in GB 2312."""
    return "".join(f"{byte - 160:02}" for byte in _two_bytes_each(name, "gb2312"))


def _two_bytes_each(name: str, encoding: str) -> bytes:
    coded = name.encode(encoding, "ignore")  # an error of the codec's would tell the name
    if len(coded) != 2 * len(name):
        raise ValueError("a Chinese name holds Chinese characters only")
    return coded


def join_name(surname: str, given_names: str, width: int) -> str:
    """The name field, `width` characters: fillers between components, `<<` between the two names.

    Apostrophes are dropped, hyphens become fillers. A name that is too long is cut so that its last character
    is a letter, which is how a reader knows (Doc 9303-4 §4.2.3). ValueError for a name that holds fillers itself.
    """
    if "<" in surname + given_names:
        raise ValueError("name holds a character that may not stand there")
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

"""What an issuer takes from the MRZ lines that it prints: the password (Doc 9303-11 §4.3.2), the state, the name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.layouts import LAYOUTS, MrzFormat, classify
from edged.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Sequence

_WEIGHTS: Final = (7, 3, 1)
"""Doc 9303-3 §4.9."""
_STATE_OF_PRC: Final = "CHN"

_PERMIT_NAME: Final = "NGKELMPONBPJ" + "ZHENG<JIAN<<YANG<B"
_PERMIT_REST: Final = "F<<B0000FJI<<<<<<<<<<<<<<<<<<<"
_PERMIT_NAME_SPAN: Final = (42, 60)
"""What the chip of a one-line permit has beyond its printed line: a specimen's name in GA code and in letters; sex,
century of birth, flags, place of birth (one source)."""


def check_digit(text: str) -> str:
    """The check digit over digits, letters and fillers."""
    values = (0 if one == "<" else int(one, 36) for one in text)
    return str(sum(value * _WEIGHTS[at % 3] for at, value in enumerate(values)) % 10)


def layout_of(lines: Sequence[str]) -> MrzFormat:
    """The layout of the lines. Raises `DecodeError` ("mrz", …) for those that have none, or no birth and expiry."""
    format_ = classify(lines)
    if not {"birth_date", "expiry_date"} <= LAYOUTS[format_].spans.keys():
        raise DecodeError("mrz", "mrz.unknown_format")
    return format_


def password(lines: Sequence[str]) -> bytes:
    """Number, birth date and expiry date, each with its check digit."""
    text = "".join(lines)
    spans = LAYOUTS[layout_of(lines)].spans
    number, birth, expiry = (
        text[slice(*spans[name])] for name in ("document_number", "birth_date", "expiry_date")
    )
    if text[spans["document_number"][1]] == "<" and "optional_data" in spans:
        more = text[slice(*spans["optional_data"])].rstrip("<")
        if len(more) > 1:  # a long number: the rest of it and its check digit (Doc 9303-5 §4.2.2.1 note j)
            number += more[:-1]
    return "".join(part + check_digit(part) for part in (number, birth, expiry)).encode("ascii")


def state(lines: Sequence[str]) -> str:
    """The issuing state's code, three letters or fewer."""
    spans = LAYOUTS[layout_of(lines)].spans
    if "issuing_state" not in spans:
        return _STATE_OF_PRC
    return "".join(lines)[slice(*spans["issuing_state"])].rstrip("<")


def in_chip(lines: Sequence[str]) -> str:
    """The text of DG1: the lines, joined; behind a one-line permit's what only its chip has."""
    text = "".join(lines)
    return text + _PERMIT_NAME + _PERMIT_REST if layout_of(lines) is MrzFormat.PRC_PERMIT else text


def another_name(lines: Sequence[str]) -> str:
    """The text of DG1 with another holder's name; everything that opens the chip stays."""
    text = in_chip(lines)
    start, stop = LAYOUTS[layout_of(lines)].spans.get("name", _PERMIT_NAME_SPAN)
    return text[:start] + "OTHER<<PERSON"[: stop - start].ljust(stop - start, "<") + text[stop:]

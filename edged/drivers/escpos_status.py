"""What an ESC/POS printer answers when it is asked how it is. Sans-IO.

`DLE EOT n` is answered at once, also while the printer is offline; `GS r 1` when everything before it has been printed;
`GS I 67` with the model's name. Source: Epson's ESC/POS command reference. Many printers answer only some of them.
"""

from __future__ import annotations

from typing import Final

ASK_OFFLINE: Final = b"\x10\x04\x02"
ASK_PAPER: Final = b"\x10\x04\x04"
ASK_MODEL: Final = b"\x1dIC"
ASK_DONE: Final = b"\x1dr\x01"

_COVER_OPEN: Final = 0x04
_STOPPED_BY_PAPER: Final = 0x20
_NEAR_END: Final = 0x0C
_ENDED: Final = 0x60
_FIXED: Final = (0x93, 0x12)
"""Bits of an answer to `DLE EOT` that never change, and how they stand."""
_LONGEST_NAME: Final = 80
_NAME: Final = 0x5F


def is_answer(byte: int) -> bool:
    """Whether this can be an answer to `DLE EOT`."""
    return byte & _FIXED[0] == _FIXED[1]


def is_done(byte: int) -> bool:
    """Whether this is the answer to `ASK_DONE`: two of its bits are always clear, of which `DLE EOT`'s have one set."""
    return not byte & 0x90


def cover_open(offline: int) -> bool:
    """From the answer to `ASK_OFFLINE`."""
    return bool(offline & _COVER_OPEN)


def stopped_by_paper(offline: int) -> bool:
    """From the answer to `ASK_OFFLINE`: printing has stopped because the roll has ended."""
    return bool(offline & _STOPPED_BY_PAPER)


def paper_ended(paper: int) -> bool:
    """From the answer to `ASK_PAPER`."""
    return bool(paper & _ENDED)


def paper_low(paper: int) -> bool:
    """From the answer to `ASK_PAPER`; printers without a sensor always say no."""
    return bool(paper & (_NEAR_END | _ENDED))


def model_name(answer: bytes) -> str | None:
    """The name in the answer to `ASK_MODEL`; None when it isn't one, or not whole."""
    start = answer.find(_NAME)
    end = answer.find(0, start)
    if start < 0 or end < 0:
        return None
    name = answer[start + 1 : end][:_LONGEST_NAME].decode("ascii", "replace")
    return "".join(one for one in name if one.isprintable()) or None

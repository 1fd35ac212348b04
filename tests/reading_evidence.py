"""What the line reader might have seen of a page, for tests of what is made of it."""

from __future__ import annotations

import numpy as np

from edged.core.ocr import ALPHABET
from edged.core.page import Row
from edged.core.shape import Reading

TD3 = ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F3104150ZE184226B<<<<<16")
TD1 = ("I<UTOD231458907<<<<<<<<<<<<<<<", "7408122F3104150UTO<<<<<<<<<<<2", "ERIKSSON<<ANNA<MARIA<<<<<<<<<<")


def evidence(doubts=(), lines=TD3, legibility=0.9, *, runs_on=False) -> Reading:
    """What one picture says of `lines`, but for doubts: (line, place, {character: share})."""
    cells = []
    for text in lines:
        shares = np.full((len(text), len(ALPHABET)), 1e-6, np.float32)
        shares[np.arange(len(text)), [ALPHABET.index(char) for char in text]] = 1.0
        cells.append(shares)
    for line, place, shares in doubts:
        cells[line][place] = 1e-6
        for char, share in shares.items():
            cells[line][place, ALPHABET.index(char)] = share
    return Reading(
        tuple(c / c.sum(axis=1, keepdims=True) for c in cells),
        tuple(np.ones(len(text), np.float32) for text in lines),
        tuple(Row(600, 450 + 50 * i, 1.0, 0.0, 900, 20) for i in range(len(lines))),
        0.95,
        legibility,
        False,
        runs_on,
        np.zeros(sum(map(len, lines)), bool),
        np.zeros(sum(map(len, lines)), bool),
    )

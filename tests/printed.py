"""Printed lines and cards made up for tests: nothing here was ever on a document."""

from __future__ import annotations

import numpy as np

from edged.core.page import Row
from edged.core.print_reader import OTHER, PRINTED, PrintLine
from edged.core.vision import cv2

CAP = 20.0
PITCH = 0.8  # capitals


def line(text: str, *, x: float = 0.0, y: float = 0.0, sure: float = 0.995) -> PrintLine:
    """`text` as the reader would deliver it, its left end at (x, y): every character with the share `sure`, the rest
    spread; a character that isn't in `PRINTED` is another sign."""
    shares, at, gaps, pen, gap = [], [], [], 0.0, 0.2
    for char in text:
        if char == " ":
            pen += PITCH
            gap = 0.9
            continue
        share = np.full(OTHER + 1, (1 - sure) / OTHER, np.float32)
        share[PRINTED.find(char) if char in PRINTED else OTHER] = sure
        shares.append(share)
        at.append(pen + PITCH / 2)
        gaps.append(gap)
        pen, gap = pen + PITCH, 0.2
    length = pen * CAP
    row = Row(x + length / 2, y, 1.0, 0.0, length, CAP)
    return PrintLine(row, np.array(shares).reshape(-1, OTHER + 1), np.array(at), np.array(gaps))


def card(number: str, *, turn: float = 0.0, caption: str = "No.") -> np.ndarray:
    """A page reader's picture, (1200, 1600) grey, of a card of nobody's design that carries `number`."""
    sheet = np.full((640, 1012), 205, np.float32)
    sheet += 8 * np.sin(np.arange(1012)[None] / 7 + np.arange(640)[:, None] / 5)
    sheet = sheet.astype(np.uint8)
    sheet[80:420, 60:320] = 120

    def write(text: str, x: int, y: int, size: float, weight: int) -> None:
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(sheet, text, (x, y), font, size, (40, 40, 40), weight, cv2.LINE_AA)

    write("SPECIMEN CARD", 380, 60, 1.0, 2)
    write("Name SPECIMEN", 380, 140, 1.1, 2)
    write("1985.01.01", 380, 230, 1.1, 2)
    write(caption, 60, 500, 0.9, 2)
    write(number, 60, 570, 1.7, 3)
    matrix = cv2.getRotationMatrix2D((506, 320), turn, 1.0)
    matrix[:, 2] += (294, 280)
    page = np.full((1200, 1600), 30, np.uint8)
    cv2.warpAffine(sheet, matrix, (1600, 1200), dst=page, borderMode=cv2.BORDER_TRANSPARENT)
    return cv2.GaussianBlur(page, (0, 0), 0.8)

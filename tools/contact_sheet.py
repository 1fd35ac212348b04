"""Draw docs/specimens.jpg, the README's picture of what the demo puts on the glass.

python -m tools.contact_sheet docs/specimens.jpg
"""

from __future__ import annotations

import sys

import cv2
import numpy as np

from edged.specimens import shipped

SHOWN = (
    "passport",
    "identity-card",
    "visa-a",
    "permit-two-sides",
    "upside-down",
    "sideways",
    "half-out",
    "two-documents",
)
COLUMNS, WIDTH, HEIGHT, GAP = 4, 320, 240, 6


def sheet() -> np.ndarray:
    """The shown specimens' first sides, (rows, columns, 3) BGR."""
    specimens = {specimen.name: specimen for specimen in shipped()}
    rows = -(-len(SHOWN) // COLUMNS)
    size = (rows * (HEIGHT + GAP) + GAP, COLUMNS * (WIDTH + GAP) + GAP, 3)
    canvas = np.full(size, 255, np.uint8)
    for number, name in enumerate(SHOWN):
        image = cv2.imread(str(specimens[name].sides[-1]))
        top = GAP + number // COLUMNS * (HEIGHT + GAP)
        left = GAP + number % COLUMNS * (WIDTH + GAP)
        small = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        canvas[top : top + HEIGHT, left : left + WIDTH] = small
    return canvas


if __name__ == "__main__":
    cv2.imwrite(sys.argv[1], sheet(), [cv2.IMWRITE_JPEG_QUALITY, 82])

"""Barcode libraries side by side on drawn and degraded symbols: zxing-cpp against OpenCV's own detectors.

    python benchmarks/barcodes.py

Prints for each symbology how many of the same pictures each library decodes rightly, and its processor time on a
2-megapixel page without any symbol.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import zxingcpp

from edged.core.barcode import SYMBOLOGIES, find_barcodes
from edged.core.vision import cv2

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

TEXT = {name: "SPECIMEN" if name.startswith("Code") else "SPECIMEN " * 12 for name in SYMBOLOGIES}
DRAWN = 24


def drawn(symbology: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A page with one symbol: turned by any right angle and a little, as a page reader sees it, blurred and noisy."""
    kind = zxingcpp.barcode_format_from_str(symbology)
    symbol = np.array(zxingcpp.create_barcode(TEXT[symbology], kind).to_image(scale=4), np.uint8)
    symbol = cv2.copyMakeBorder(symbol, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=255)
    page = np.full((1200, 1600), 210, np.uint8)
    scale = rng.uniform(2.5, 4.0) / 4  # pixels a module, of the four drawn
    turn = cv2.getRotationMatrix2D(
        (symbol.shape[1] / 2, symbol.shape[0] / 2), float(rng.integers(4) * 90 + rng.normal(0, 3)), scale
    )
    turn[:, 2] += (800 - symbol.shape[1] / 2, 600 - symbol.shape[0] / 2)
    soft = cv2.GaussianBlur(symbol, (0, 0), 0.45 / scale)
    mask = cv2.warpAffine(np.full_like(symbol, 255), turn, (1600, 1200))
    laid = cv2.warpAffine(soft, turn, (1600, 1200), flags=cv2.INTER_LINEAR)
    page = np.where(mask > 127, laid * 0.65 + 45, page).astype(np.float32)
    page = cv2.GaussianBlur(page, (0, 0), float(rng.uniform(0.4, 1.4)))
    return np.clip(page + rng.normal(0, 4, page.shape), 0, 255).astype(np.uint8)


def by_zxing(page: NDArray[np.uint8]) -> list[str]:
    return [code.content.reveal().decode() for code in find_barcodes(page)]


def by_opencv(page: NDArray[np.uint8]) -> list[str]:
    found: list[str] = []
    for detector in (cv2.QRCodeDetector(), cv2.barcode.BarcodeDetector()):
        result: Any = detector.detectAndDecodeMulti(page)
        found += [text for text in (result[1] if isinstance(result[0], bool) else result[0]) or () if text]
    return found


def main() -> None:
    libraries: dict[str, Callable[[NDArray[np.uint8]], list[str]]] = {
        "zxing-cpp": by_zxing,
        "OpenCV": by_opencv,
    }
    print(f"{'':12}" + "".join(f"{name:>12}" for name in libraries))
    for symbology in SYMBOLOGIES:
        rng = np.random.default_rng(7)
        pages = [drawn(symbology, rng) for _ in range(DRAWN)]
        right = [sum(TEXT[symbology] in read(page) for page in pages) for read in libraries.values()]
        print(f"{symbology:12}" + "".join(f"{f'{count}/{DRAWN}':>12}" for count in right))
    empty = np.full((1200, 1600), 200, np.uint8)
    empty[300:900, 300:1300] = np.random.default_rng(1).integers(0, 255, (600, 1000))
    times = []
    for read in libraries.values():
        best = float("inf")
        for _ in range(5):
            began = time.thread_time()
            read(empty)
            best = min(best, time.thread_time() - began)
        times.append(f"{best * 1000:.0f} ms")
    print(f"{'no symbol':12}" + "".join(f"{one:>12}" for one in times))


if __name__ == "__main__":
    main()

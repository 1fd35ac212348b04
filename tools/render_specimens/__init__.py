"""Renderer of the shipped specimen documents: `python -m tools.render_specimens OUTDIR`.

Needs Pillow and the Debian packages fonts-ocr-b, fonts-dejavu-core and fonts-wqy-zenhei; at run time edged
needs none of them. `render_page` draws any machine-readable lines for a test that wants a page of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from tools.render_specimens.capture import Camera
    from tools.render_specimens.sheet import Design

__all__ = ["render_page"]


def render_page(
    format: str,  # noqa: A002 - the word the rest of the code uses
    lines: Sequence[str],
    *,
    design: Design | None = None,
    camera: Camera | None = None,
    angle: float = 0.0,
    x: float = 0.0,
    y: float = 0.0,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """Photograph of one page of `format` (TD1, TD2, TD3, MRVA, MRVB, PRC_PERMIT, PRC_CARD) with `lines`.

    `lines` are printed as given, whatever their length; none leaves the zone out. `angle` turns the page
    clockwise (degrees), `x` and `y` move its centre from the window's centre (mm). `design` and `camera` are
    of `sheet.Design` and `capture.Camera`. Returns (H, W, 3) BGR, deterministic in its arguments. Raises
    `OSError` when a font is missing.
    """
    # imported here so that `tools.render_specimens.mrz` works where Pillow is not installed
    from tools.render_specimens import capture, sheet

    camera = camera or capture.Camera()
    page = sheet.draw_sheet(
        format, lines, design or sheet.Design(), camera.ppi / 25.4 * capture.OVERSAMPLING, seed
    )
    return capture.photograph([capture.Placement(page, x, y, angle)], camera, seed)

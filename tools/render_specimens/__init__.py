"""Renderer of the shipped specimen documents: `python -m tools.render_specimens OUTDIR`.

Needs Pillow and the Debian packages fonts-ocr-b, fonts-dejavu-core and fonts-wqy-zenhei; at run time edged
needs none of them. `render_page` draws any machine-readable lines for a test that wants a page of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.render_specimens.capture import Camera, Placement, photograph
from tools.render_specimens.sheet import Design, draw_sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["OVERSAMPLING", "Camera", "Design", "render_page"]

OVERSAMPLING = 2.0  # sheets are drawn finer than the camera sees them, so that sampling decides the edges


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

    `lines` are printed as given, whatever their length; none leaves the zone out. `angle` turns the page clockwise
    (degrees), `x` and `y` move its centre from the window's centre (mm). Returns (H, W, 3) BGR, deterministic
    in its arguments.
    """
    camera = camera or Camera()
    sheet = draw_sheet(format, lines, design or Design(), camera.ppi / 25.4 * OVERSAMPLING, seed)
    return photograph([Placement(sheet, x, y, angle)], camera, seed)

"""QR codes: as a picture to print, and in half blocks for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QUIET: Final = 4
"""Modules of margin that a reader needs (ISO/IEC 18004 §9.1)."""

_PIXELS: Final = 8  # of a module in the picture: 4 cm at 300 dpi for a token
_BLOCKS: Final = {(True, True): " ", (True, False): "▄", (False, True): "▀", (False, False): "█"}
"""By (dark above, dark below). Light modules are painted: on a terminal's dark ground that is a code the right way
round, and on a light ground an inverted one, which cameras read as well."""


def modules(text: str) -> NDArray[np.bool_]:
    """The symbol with its margin, true where dark; error correction level M."""
    import numpy as np
    import zxingcpp

    writer: Any = zxingcpp
    made = writer.create_barcode(text, writer.BarcodeFormat.QRCode, ec_level="M")
    dark = np.asarray(made.to_image(scale=1, add_quiet_zones=False)) < 128
    return np.pad(dark, QUIET)


def png(dark: NDArray[np.bool_]) -> bytes:
    """A picture in black and white."""
    import cv2
    import numpy as np

    light = np.where(dark, 0, 255).astype(np.uint8)
    large = light.repeat(_PIXELS, axis=0).repeat(_PIXELS, axis=1)
    done, data = cv2.imencode(".png", large)
    assert done
    return data.tobytes()


def half_blocks(dark: NDArray[np.bool_]) -> list[str]:
    """Lines of characters, two rows of modules each."""
    import numpy as np

    if len(dark) % 2:
        dark = np.vstack([dark, np.zeros((1, dark.shape[1]), bool)])
    pairs = zip(dark[::2], dark[1::2], strict=True)
    return [
        "".join(_BLOCKS[bool(above), bool(below)] for above, below in zip(*rows, strict=True))
        for rows in pairs
    ]

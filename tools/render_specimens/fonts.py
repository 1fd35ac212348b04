"""Fonts of the drawings, all from Debian: fonts-ocr-b, fonts-dejavu-core, fonts-wqy-zenhei."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

ROOT = Path("/usr/share/fonts")
FILES = {
    "ocr-b": "opentype/ocr-b/OCRB.otf",
    "sans": "truetype/dejavu/DejaVuSans.ttf",
    "bold": "truetype/dejavu/DejaVuSans-Bold.ttf",
    "serif": "truetype/dejavu/DejaVuSerif-Bold.ttf",
    "chinese": "truetype/wqy/wqy-zenhei.ttc",
}
PACKAGES = "fonts-ocr-b fonts-dejavu-core fonts-wqy-zenhei"


def missing() -> list[str]:
    """The font files that are not installed; empty when everything can be drawn."""
    return [name for name in FILES.values() if not (ROOT / name).is_file()]


@lru_cache(maxsize=128)
def font(name: str, em: float) -> ImageFont.FreeTypeFont:
    """Font `name` at `em` pixels. Raises `OSError` naming the Debian packages when it is not installed."""
    path = ROOT / FILES[name]
    if not path.is_file():
        raise OSError(f"{path} is missing: apt-get install {PACKAGES}")
    return ImageFont.truetype(str(path), em, layout_engine=ImageFont.Layout.BASIC)


def for_text(text: str, name: str, em: float) -> ImageFont.FreeTypeFont:
    """Font `name`, or the Chinese one where `text` needs it."""
    return font("chinese" if any(char >= "\u2e80" for char in text) else name, em)

"""The fonts a slip is set in: which of them has a character, and how wide it is. One font never has everything.

Fonts with TrueType outlines alone: a PDF has to embed them.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from edged.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence

FONTS: Final = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/arphic/uming.ttc",
)
"""Where Debian's packages put them (fonts-dejavu-core, fonts-droid-fallback, fonts-wqy-zenhei, …), asked in this order.

DejaVu has the Latin letters that Droid's fallback lacks; Droid's Chinese is under the Apache licence and legible at
eighteen dots. The order is part of how a slip looks: who compares a photograph with a slip drawn anew needs the same.
"""

_EM: Final = 1000.0
_PACKAGES: Final = "fonts-dejavu-core fonts-droid-fallback"


class Run(NamedTuple):
    """Characters of one font."""

    face: int
    """Which of the faces."""
    text: str


class Faces(Protocol):
    """Fonts, asked in order for each character."""

    def runs(self, text: str) -> list[Run]:
        """`text` in pieces of one font. Raises `OutputError` ("slip.no_font", "slip.no_glyph")."""
        ...

    def width(self, text: str) -> float:
        """In multiples of the font's size. Raises as `runs` does."""
        ...


class FontFiles:
    """Installed fonts. Attributes: `files`: those that are there, in order."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Raises `OutputError`: "slip.no_font", "slip.no_library"."""
        self.files = tuple(file for file in files if file.is_file())
        if not self.files:
            raise OutputError("slip.no_font", packages=_PACKAGES)
        self._metrics = [_metrics(file) for file in self.files]

    def runs(self, text: str) -> list[Run]:
        """See `Faces`."""
        runs: list[Run] = []
        for character in text:
            face = self._face(character)
            if runs and runs[-1].face == face:
                runs[-1] = Run(face, runs[-1].text + character)
            else:
                runs.append(Run(face, character))
        return runs

    def width(self, text: str) -> float:
        """See `Faces`."""
        return sum(self._metrics[self._face(one)].width(one) for one in text)

    def _face(self, character: str) -> int:
        for face, metrics in enumerate(self._metrics):
            if metrics.has(character):
                return face
        # Which character is not said: it may be somebody's name.
        raise OutputError("slip.no_glyph", packages=_PACKAGES)


class _Metrics:
    def __init__(self, face: Any) -> None:
        self._glyphs, self._widths, self._default = face.charToGlyph, face.charWidths, face.defaultWidth

    def has(self, character: str) -> bool:
        return bool(self._glyphs.get(ord(character))) and character.isprintable()

    def width(self, character: str) -> float:
        return float(self._widths.get(ord(character), self._default)) / _EM


@lru_cache(maxsize=8)
def _metrics(file: Path) -> _Metrics:
    try:
        from reportlab.pdfbase.ttfonts import TTFError, TTFontFace
    except ImportError as error:
        raise OutputError("slip.no_library") from error
    try:
        return _Metrics(TTFontFace(str(file)))
    except (TTFError, OSError) as error:
        raise OutputError("slip.no_font", packages=_PACKAGES) from error


@lru_cache(maxsize=1)
def installed() -> FontFiles:
    """The fonts of this machine, read once (tens of milliseconds). Raises `OutputError`."""
    return FontFiles([Path(name) for name in FONTS])

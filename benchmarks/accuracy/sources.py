"""Where the pictures come from: a folder of real ones, degraded copies of them, shipped specimens, unseen drawn pages.

An `Item` is small and picklable; `load()` makes or reads its picture where it is wanted, so that a run may be
shared among processes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .degrade import degrade

if TYPE_CHECKING:
    from numpy.typing import NDArray

SYNTHETIC = ("reader-window", "counter-camera", "harsh", "negatives")
REAL = ("corpus", "degraded", "specimens")
SETS = (*REAL, *SYNTHETIC)


class Picture(NamedTuple):
    """A picture and the truth about it."""

    image: NDArray[np.uint8]
    name: str
    set: str
    format: str | None
    lines: list[str] | None
    check_ok: bool
    legible: bool
    """Whether a person could read every character; a page that isn't may be refused."""
    kind: str
    issuer: str
    light: str
    document: str
    faults: tuple[str, ...] = ()


class Item(NamedTuple):
    """One picture to be measured: a file (and which degraded copy of it), or a place in a drawn set."""

    set: str
    path: Path | None = None
    entry: dict[str, Any] | None = None
    copy: int = 0
    seed: int = 0
    index: int = 0

    def load(self) -> Picture:
        """The picture. Raises OSError when a file, or a font for drawing, is missing."""
        return self._drawn() if self.path is None else self._from_file(self.path)

    def _drawn(self) -> Picture:
        from tools.render_pages import page  # pillow and fonts are needed for nothing else

        made = page(self.set, self.seed, self.index)
        lines = None if made.lines is None else list(made.lines)
        return Picture(
            image=made.image,
            name=made.name,
            set=self.set,
            format=made.format,
            lines=lines,
            check_ok=made.check_ok,
            legible=made.legible,
            kind=self.set if lines else made.kind,
            issuer=issuer(made.format, lines),
            light=made.light,
            document=document_type(made.format),
            faults=made.faults,
        )

    def _from_file(self, path: Path) -> Picture:
        from edged.core.image import decode_image

        entry = self.entry or {}
        image = decode_image(path.read_bytes())
        if self.copy:
            image = degrade(image, np.random.default_rng([self.copy, *entry["file"].encode()]))
        lines = entry["lines"]
        kind = entry["kind"]
        return Picture(
            image=image,
            name=entry["file"] + (f" #{self.copy}" if self.copy else ""),
            set=self.set,
            format=entry["format"],
            lines=lines,
            check_ok=bool(entry.get("check_ok", True)),
            legible=True,
            kind=kind + (" degraded" if self.copy else ""),
            issuer=issuer(entry["format"], lines),
            light="IR" if kind.endswith("-IR") else "visible",
            document=document_type(entry["format"]),
        )


def issuer(format_: str | None, lines: list[str] | None) -> str:
    """The issuing state as the first line says it, without fillers; the PRC's cards say it by their layout."""
    if not lines or format_ is None:
        return ""
    if format_.startswith("PRC_"):
        return "CHN"
    return lines[0][2:5].strip("<") or "(blank)"


def document_type(format_: str | None) -> str:
    """What kind of document has this layout."""
    return {
        "TD3": "passport",
        "TD1": "card (TD1)",
        "TD2": "card (TD2)",
        "MRVA": "visa (MRV-A)",
        "MRVB": "visa (MRV-B)",
        "FRA_ID": "French card, 2 × 36",
        "PRC_PERMIT": "exit-entry permit, one line",
        "PRC_CARD": "mainland travel permit",
        "PRC_HOME_RETURN": "home return permit of 1999",
    }.get(format_ or "", "")


def corpus(folder: Path, copies: int = 0) -> list[Item]:
    """A folder's pictures and so many degraded copies of each. Its `corpus.json` lists file, format, kind, lines."""
    entries: list[dict[str, Any]] = json.loads((folder / "corpus.json").read_text())
    found = [Item("corpus", folder / entry["file"], entry) for entry in entries]
    found += [
        Item("degraded", folder / entry["file"], entry, copy)
        for entry in entries
        for copy in range(1, copies + 1)
    ]
    return found


def specimens() -> list[Item]:
    """The shipped specimens: each side is an item, only the last one has the lines."""
    import edged.specimens

    folder = Path(str(edged.specimens.__path__[0]))
    found = []
    for path in sorted(folder.glob("*.json")):
        specimen = json.loads(path.read_text())
        expected = specimen["expected"]
        good = expected["checks"].get("mrz_check_digits") == "successful"
        for side in specimen["sides"]:
            lines = expected["lines"] if side == specimen["sides"][-1] else None
            entry = {
                "file": side,
                "format": expected["format"] if lines else None,
                "kind": "specimen",
                "lines": lines,
                "check_ok": good,
            }
            found.append(Item("specimens", folder / side, entry))
    return found


def drawn(set_name: str, seed: int, pages: int) -> list[Item]:
    """The first pages of a drawn set."""
    return [Item(set_name, seed=seed, index=index) for index in range(pages)]

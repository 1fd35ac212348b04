"""The specimen documents that come with edged: photographs of fictional documents and what each must come to.

`edged demo` puts them on the glass and the tests read them. They were drawn by `tools/render_specimens`;
every person, number and issuer in them is fiction (Utopia, or the specimen name of the PRC layouts).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

import msgspec

from edged.errors import ConfigError
from edged.events import Light
from edged.verdict import Result

__all__ = [
    "FIXED_TODAY",
    "IMAGE_SUFFIXES",
    "EmulatedChip",
    "Expected",
    "Specimen",
    "load_folder",
    "shipped",
    "under_light",
]

FIXED_TODAY = date(2026, 6, 15)
"""The day on which the expectations hold: a clock that stands still decides what has expired."""

IMAGE_SUFFIXES = frozenset({".bmp", ".jp2", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Names of files that a folder of documents may show, in lower case: the formats that edged decodes."""


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What putting a specimen on the glass must come to on `FIXED_TODAY`.

    Attributes:
        outcome: how the press of the scan button ends.
        result: overall result of the verdict; None without a verdict.
        format: value of `MrzFormat`; None when no MRZ can be read.
        document_class: value of `DocumentClass`.
        lines: the MRZ as printed; None when none can be read.
        checks: the optical checks and expiry by name (`edged.verdict.CHECKS`); empty without a verdict.
        reason: reason code of an aborted or refused press.
    """

    outcome: Literal["committed", "aborted", "refused"]
    result: Result | None
    format: str | None
    document_class: str
    lines: tuple[str, ...] | None
    checks: dict[str, Result]
    reason: str | None = None


class EmulatedChip(msgspec.Struct, frozen=True):
    """The chip in a document: that of the specimen `page`, of a kind and with a fault that `edged.emulator` knows.

    `reason` is the first that the check of the chip must give; None where it needs none.
    """

    page: str
    profile: str
    fault: str | None = None
    reason: str | None = None


class Specimen(msgspec.Struct, frozen=True):
    """One document for the glass.

    Attributes:
        name: short and unique, in the shipped set and in a folder.
        title: what it is, for people, by language (en, zh-CN).
        sides: image files, in the order in which a clerk would show them.
        scene: the scene to ask for with the scan.
        purpose: the purpose to give with the scan.
        expected: what must come of it; None for a user's own images.
        chip: the emulated chip in it; None for a document without one.
    """

    name: str
    title: dict[str, str]
    sides: tuple[Path, ...]
    scene: str
    purpose: str
    expected: Expected | None = None
    chip: EmulatedChip | None = None


class _Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`<name>.json` beside the images, and its `place` in the demo's order."""

    name: str
    place: int
    title: dict[str, str]
    sides: tuple[str, ...]
    scene: str
    purpose: str
    expected: Expected


def shipped() -> tuple[Specimen, ...]:
    """The specimens in the package, plain ones first, in the order of the demo."""
    folder = Path(__file__).parent
    found = [msgspec.json.decode(path.read_bytes(), type=_Description) for path in folder.glob("*.json")]
    return tuple(
        Specimen(
            one.name,
            one.title,
            tuple(folder / side for side in one.sides),
            one.scene,
            one.purpose,
            one.expected,
        )
        for one in sorted(found, key=lambda one: one.place)
    )


def under_light(file: Path, light: Light) -> Path:
    """Where the picture of `file`'s side under another light than white lies, should there be one: `front.ir.png`."""
    return file.with_name(f"{file.stem}.{light.value}.png") if file.name else file


def load_folder(path: Path, *, scene: str = "bank", purpose: str = "demo") -> tuple[Specimen, ...]:
    """Every image file of the folder `path` as a one-sided specimen without expectation, ordered by name.

    Files are told by their suffix and not opened: one that only claims to be an image is a document like any
    other, and its reading says so. Hidden files, folders inside and pictures of another one's side under another
    light (`under_light`) are left out. Raises `ConfigError` when
    `path` is no folder, can't be listed or holds no image.
    """
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        raise ConfigError(str(path), "config.unreadable", error=error.strerror or "") from error
    images = [
        entry
        for entry in entries
        if entry.suffix.lower() in IMAGE_SUFFIXES and not entry.name.startswith(".") and entry.is_file()
    ]
    others = {under_light(image, light) for image in images for light in Light if light is not Light.WHITE}
    images = [image for image in images if image not in others]
    if not images:
        suffixes = " ".join(sorted(IMAGE_SUFFIXES))
        raise ConfigError(str(path), "config.no_images", suffixes=suffixes)
    return tuple(
        Specimen(image.name, {"en": image.name, "zh-CN": image.name}, (image,), scene, purpose)
        for image in images
    )

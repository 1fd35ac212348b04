"""What a specimen is made of: pages, how they lie on the glass, the photograph, the expectation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

from tools.render_specimens.capture import OVERSAMPLING, Camera, Placement, photograph
from tools.render_specimens.sheet import Design, Sheet, draw_sheet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tools.render_specimens.mrz import Lines

    Photograph = NDArray[np.uint8]

CHECKS = ("document_detected", "mrz_read", "mrz_check_digits", "mrz_fields", "expiry")
"""The checks that every scene of the demo demands (`edged.verdict.CHECKS`)."""


@dataclass(frozen=True)
class Page:
    """One printed page: its format, lines and look."""

    format: str
    lines: Lines
    design: Design

    def sheet(self, camera: Camera, seed: int) -> Sheet:
        return draw_sheet(self.format, self.lines, self.design, camera.ppi / 25.4 * OVERSAMPLING, seed)


@dataclass(frozen=True)
class Lying:
    """A page on the glass (mm from the middle, degrees clockwise)."""

    page: Page
    x: float = 0.0
    y: float = 0.0
    angle: float = 0.0


@dataclass(frozen=True)
class Shot:
    """One photograph: what lies on the glass and which camera looks."""

    lying: tuple[Lying, ...]
    camera: Camera

    def take(self, seed: int) -> Photograph:
        """(H, W, 3) BGR, the same for the same seed."""
        placements = [
            Placement(lying.page.sheet(self.camera, seed + i), lying.x, lying.y, lying.angle)
            for i, lying in enumerate(self.lying)
        ]
        return photograph(placements, self.camera, seed)


@dataclass(frozen=True)
class Plan:
    """One specimen: its photographs, side by side, and its expectation."""

    name: str
    title: tuple[str, str]  # en, zh-CN
    scene: str
    purpose: str
    shots: tuple[Shot, ...]
    read: Page | None  # the page whose MRZ must come out
    document_class: str = "unknown"
    failed: tuple[str, ...] = ()
    empty: bool = False

    def files(self) -> tuple[str, ...]:
        if len(self.shots) == 1:
            return (f"{self.name}.jpg",)
        return tuple(f"{self.name}-{i}.jpg" for i in range(1, len(self.shots) + 1))

    def render(self) -> list[Photograph]:
        """Every side's photograph, seeded by its file name."""
        return [shot.take(crc32(file.encode())) for shot, file in zip(self.shots, self.files(), strict=True)]

    def expected(self) -> dict[str, Any]:
        """What `edged.specimens.Expected` holds."""
        found: dict[str, Any] = {"format": None, "document_class": self.document_class, "lines": None}
        if self.empty:
            return {
                "outcome": "aborted",
                "reason": "inspection.no_document",
                "result": None,
                **found,
                "checks": {},
            }
        if self.read is None:
            checks = dict.fromkeys(CHECKS, "undetermined") | {"document_detected": "successful"}
            return {"outcome": "committed", "result": "undetermined", **found, "checks": checks}
        checks = dict.fromkeys(CHECKS, "successful") | dict.fromkeys(self.failed, "failed")
        found |= {"format": self.read.format, "lines": list(self.read.lines)}
        return {
            "outcome": "committed",
            "result": "failed" if self.failed else "successful",
            **found,
            "checks": checks,
        }

    def describe(self, place: int) -> dict[str, Any]:
        """The content of `<name>.json` of the specimen at `place` in the demo."""
        return {
            "name": self.name,
            "place": place,
            "title": {"en": self.title[0], "zh-CN": self.title[1]},
            "sides": list(self.files()),
            "scene": self.scene,
            "purpose": self.purpose,
            "expected": self.expected(),
        }

"""The three places where a document is photographed, each with its everyday light and its everyday faults.

`reader-window`: pressed on a reader's glass under even light, visible or infra-red. `counter-camera`: lying on a
counter below a camera. `harsh`: what a hurried clerk's worst pictures are like, still legible to a patient eye.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from . import faults, ink, optics
from .ornament import hologram, other_page, tabletop
from .sheet import Sheet, draw

if TYPE_CHECKING:
    import random

    from .documents import Document


class Taken(NamedTuple):
    """A photograph, and what is known about it."""

    shot: optics.Shot
    light: str
    faults: tuple[str, ...]


def _plain(document: Document) -> bool:
    """The PRC's documents and the French card are set in OCR-B, all of them."""
    return document.issuer == "CHN" or document.format == "FRA_ID"


def reader_window(document: Document, rng: random.Random, noise: np.random.Generator) -> Taken:
    """300–400 dpi, any quarter turn and up to three degrees, even light, little blur and noise, mild glare."""
    dpi = rng.uniform(300, 400)
    how = ink.choose(rng, poor=0.0, plain=_plain(document))
    sheet = draw(document, dpi / 25.4, how, rng, noise)
    light = rng.choices(("visible", "IR"), (68, 32))[0]
    if light == "IR":
        sheet = infra_red(sheet, rng)
    elif rng.random() < 0.5:
        hologram(sheet.image, sheet.scale, rng, noise)
    quarter = rng.choice((0, 0, 0, 1, 2, 2, 3))
    margin = (0.5, 4.0) if rng.random() < 0.8 else (2.0, 25.0)
    pose = optics.flat_pose(document.size, dpi, quarter, rng.uniform(-3, 3), margin, rng)
    shade = rng.choice((rng.randint(4, 40), rng.randint(4, 40), rng.randint(180, 250)))
    backdrop = np.full((pose.frame[1], pose.frame[0], 3), shade, np.uint8)
    shot = optics.expose(sheet, pose, rng, noise, backdrop)
    found = [light]
    x, y = optics.coordinates(shot)
    far = (
        (x / pose.frame[0] - rng.uniform(0.35, 0.65)) ** 2
        + (y / pose.frame[1] - rng.uniform(0.35, 0.65)) ** 2
    ) * 2
    optics.darken(shot, 1 - rng.uniform(0.0, 0.14) * far)
    if light == "visible" and rng.random() < 0.25:
        faults.laminate_glare(shot, rng, peak=rng.uniform(25, 75))
        found.append("mild glare")
    optics.expose_by(shot, rng.uniform(0.78, 1.04), rng.uniform(0, 12), rng.uniform(0.85, 1.2))
    optics.defocus(shot, rng.uniform(0.0, 1.0))
    optics.grain(shot, rng.uniform(0.6, 3.2), noise, coloured=light == "visible")
    if rng.random() < 0.7:
        optics.compress(shot, rng.randint(82, 97))
    return Taken(shot, light, tuple(found[1:]))


def infra_red(sheet: Sheet, rng: random.Random) -> Sheet:
    """What an infra-red lamp shows: carbon ink stays, most other print fades."""
    grey = cv2.cvtColor(sheet.image, cv2.COLOR_BGR2GRAY)
    top = int((sheet.cells[:, 1].min() - 2.5) * sheet.scale)
    bottom = int((sheet.cells[:, 1].max() + 2.5) * sheet.scale)
    paper = int(rng.uniform(150, 235))
    fade = np.arange(256, dtype=np.float32)
    # in the zone the carbon ink keeps its depth; pale print is gone, and so is most of what stands elsewhere
    keep = np.clip((sheet.paper_grey * 0.8 - fade) / (sheet.paper_grey * 0.8 - 20), 0, 1)
    zone = (paper * (1 - keep) + 14 * keep).astype(np.uint8)
    rest = (paper - (paper - 14) * keep * rng.choice((0.08, 0.25, 0.9))).astype(np.uint8)
    picture = cv2.LUT(grey, rest)
    picture[top:bottom] = cv2.LUT(grey[top:bottom], zone)
    image = np.asarray(cv2.merge([picture] * 3), np.uint8)
    ink_grey = float(np.interp(sheet.ink_grey, fade, zone.astype(np.float32)))
    return sheet._replace(image=image, paper_grey=float(paper), ink_grey=ink_grey)


def _opened(sheet: Sheet, rng: random.Random, noise: np.random.Generator) -> Sheet:
    """The sheet with the booklet's other page above it."""
    above = other_page(sheet.size, sheet.scale, rng, noise)[:, : sheet.image.shape[1]]
    shade = np.linspace(1.0, rng.uniform(0.6, 0.85), 24)
    edge = min(above.shape[0], int(6 * sheet.scale))
    ramp = np.interp(np.linspace(0, 1, edge), np.linspace(0, 1, 24), shade)
    above[-edge:] = (above[-edge:] * ramp[:, None, None]).astype(np.uint8)
    image = np.vstack([above, sheet.image])
    size = (sheet.size[0], sheet.size[1] + above.shape[0] / sheet.scale)
    cells = sheet.cells + np.array([0, above.shape[0] / sheet.scale], np.float32)
    return sheet._replace(image=image, size=size, cells=cells)


def counter_camera(document: Document, rng: random.Random, noise: np.random.Generator) -> Taken:
    """2–8 megapixels, up to 15 degrees of tilt about every axis, 150–300 dpi where the zone is."""
    megapixels = rng.choices((2.0, 3.1, 5.0, 8.0), (55, 22, 15, 8))[0]
    ratio = rng.choice((4 / 3, 4 / 3, 16 / 9))
    frame = (round(math.sqrt(megapixels * 1e6 * ratio)), round(math.sqrt(megapixels * 1e6 / ratio)))
    if rng.random() < 0.2:
        frame = frame[::-1]
    opened = document.kind in ("passport", "visa") and rng.random() < 0.4
    size = (document.size[0], document.size[1] * 2) if opened else document.size
    wanted = rng.uniform(150, 300) / 25.4
    quarter = rng.choice((0, 0, 0, 1, 2, 3))
    across, down = size[::-1] if quarter % 2 else size
    largest = min(frame[0] / across, frame[1] / down) * 0.93
    scale = min(wanted, largest)
    how = ink.choose(rng, poor=0.25, plain=_plain(document))
    sheet = draw(document, min(14.0, max(7.0, scale * 1.25)), how, rng, noise)
    if rng.random() < 0.4:
        hologram(sheet.image, sheet.scale, rng, noise)
    if opened:
        sheet = _opened(sheet, rng, noise)
    tilts = tuple(max(-15.0, min(15.0, rng.gauss(0, s))) for s in (5.0, 5.0, 5.0))
    pose = optics.camera_pose(
        sheet.size, frame, scale / (largest / 0.93), quarter, (tilts[0], tilts[1], tilts[2]), rng
    )
    if opened and rng.random() < 0.5:
        pose.bend = rng.uniform(-0.8, 0.8)
    shot = optics.expose(sheet, pose, rng, noise)
    found = []
    if rng.random() < 0.04:
        faults.screen(shot, rng)
        found.append("photographed screen")
    faults.lamp(shot, rng, depth=rng.uniform(0.05, 0.45))
    if rng.random() < 0.3:
        faults.cast_shadow(shot, rng, depth=rng.uniform(0.2, 0.5))
        found.append("shadow")
    if rng.random() < 0.22:
        faults.laminate_glare(shot, rng, peak=rng.uniform(40, 130))
        found.append("glare")
    if rng.random() < 0.12:
        faults.fingers(shot, rng)
        found.append("fingers")
    faults.colour_cast(shot, rng)
    optics.expose_by(shot, rng.uniform(0.7, 1.1), rng.uniform(0, 15), rng.uniform(0.8, 1.25))
    optics.defocus(shot, min(rng.expovariate(1 / 0.5), 0.12 * shot.pitch))
    if rng.random() < 0.15:
        optics.smear(shot, rng.uniform(1, 0.2 * shot.pitch), rng.uniform(0, math.pi))
        found.append("motion")
    optics.grain(shot, rng.uniform(1, 5), noise, coarse=rng.choice((0, 0, 0.7)))
    if rng.random() < 0.4:
        optics.sharpen(shot, rng.uniform(0.2, 1.0))
    optics.compress(shot, rng.randint(60, 95))
    return Taken(shot, "ambient", tuple(found))


FAULTS = ("motion", "strong glare", "fold", "dirt", "dark", "compression", "shadow", "defocus")


def harsh(document: Document, rng: random.Random, noise: np.random.Generator) -> Taken:
    """Capitals from 8 pixels, and one to three of: motion, strong glare, folds, dirt, darkness, hard compression."""
    cap = 8.6 + 11.5 * rng.random() ** 1.3
    how = ink.choose(rng, poor=1.0, plain=_plain(document))
    scale = cap / how.cap
    sheet = draw(document, min(14.0, max(7.0, scale * 1.5)), how, rng, noise)
    chosen = rng.sample(FAULTS, rng.choice((1, 1, 2, 2, 3)))
    if "fold" in chosen:
        sheet = faults.fold(sheet, rng, noise)
    if "dirt" in chosen:
        sheet = faults.dirt(sheet, rng, noise)
    quarter = rng.choice((0, 0, 1, 2, 3))
    across, down = document.size[::-1] if quarter % 2 else document.size
    room = rng.uniform(1.08, 1.7)
    frame = (round(across * scale * room), round(down * scale * room))
    tilts = tuple(max(-18.0, min(18.0, rng.gauss(0, 7.0))) for _ in range(3))
    pose = optics.camera_pose(sheet.size, frame, 1 / room, quarter, (tilts[0], tilts[1], tilts[2]), rng)
    shot = optics.expose(sheet, pose, rng, noise, tabletop(frame[::-1], rng, noise))
    faults.lamp(shot, rng, depth=rng.uniform(0.1, 0.6))
    if "shadow" in chosen:
        faults.cast_shadow(shot, rng, depth=rng.uniform(0.3, 0.65))
    if "strong glare" in chosen:
        faults.laminate_glare(shot, rng, peak=rng.uniform(70, 210), over_zone=True)
    faults.colour_cast(shot, rng)
    if "dark" in chosen:
        optics.expose_by(shot, rng.uniform(0.28, 0.55), rng.uniform(0, 15))
    else:
        optics.expose_by(shot, rng.uniform(0.6, 1.15), rng.uniform(-10, 20), rng.uniform(0.75, 1.3))
    # blur is shared out of one budget, so that what is small isn't also smeared beyond recognition
    budget = (0.07 + 0.02 * min(1.0, (cap - 8.6) / 6)) * shot.pitch
    if "motion" in chosen:
        optics.smear(shot, rng.uniform(0.5, 1.0) * budget * math.sqrt(12), rng.uniform(0, math.pi))
    if "defocus" in chosen:
        rest = math.sqrt(max(0.0, budget**2 - (shot.sigma**2 if "motion" in chosen else 0)))
        optics.defocus(shot, rng.uniform(0.5, 1.0) * rest)
    optics.grain(
        shot,
        rng.uniform(2, 9) * (0.5 if "dark" in chosen else 0.7 if cap < 11 else 1.0),
        noise,
        coarse=rng.choice((0, 0.6, 0.9)),
    )
    if rng.random() < 0.4:
        optics.sharpen(shot, rng.uniform(0.3, 1.4))
    low = 22 if shot.pitch > 16 else 34 if shot.pitch > 11 else 50
    optics.compress(shot, rng.randint(low, low + 20) if "compression" in chosen else rng.randint(60, 92))
    return Taken(shot, "ambient", tuple(sorted(chosen)))


CONDITIONS = {"reader-window": reader_window, "counter-camera": counter_camera, "harsh": harsh}

"""Pages from which no zone may be returned as valid: nothing there, something like it, half of it, two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import faults, ink, optics
from .documents import TD1_SIZE, TD2_SIZE, TD3_SIZE, Document, document
from .mrztext import digit, fill
from .ornament import guilloche, tabletop
from .sheet import Canvas, Sheet, draw, print_zone, visual_zone

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from .ink import Plane

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ<"
_SENTENCES = (
    "THIS IS TO CERTIFY THAT THE BEARER HAS PAID THE FEE", "Please keep this receipt for your records.",
    "请妥善保管本凭证", "Terms and conditions apply; see overleaf.", "ROOM 1207  CHECK-OUT 12:00",
    "Total amount due 1,288.00 CNY",
    "Valid only together with a travel document", "Lorem ipsum dolor sit amet, consectetur adipiscing elit",
    "REPUBLIC OF UTOPIA MINISTRY OF TRANSPORT", "Flight MU 5102  PVG-PEK  Seat 34K", "Baujahr 2019, 81 kW, EURO 6",
)  # fmt: skip


def _canvas(
    size: tuple[float, float], rng: random.Random, noise: np.random.Generator
) -> tuple[Canvas, ink.Print]:
    canvas = Canvas(size, 12.0, rng, noise)
    guilloche(canvas.image, canvas.scale, rng, strength=rng.uniform(0.1, 0.9))
    return canvas, ink.choose(rng, poor=0.0)


def _sheet(canvas: Canvas) -> Sheet:
    return Sheet(canvas.image, canvas.scale, canvas.size, np.zeros((0, 2), np.float32), None, 230.0, 30.0)


def _words(canvas: Canvas, rng: random.Random, top: float, bottom: float) -> None:
    y = top
    while y < bottom:
        face = rng.choice(("sans", "serif", "narrow", "courier", "ocrb", "dejavu"))
        canvas.text(
            (rng.uniform(3, 12), y), rng.choice(_SENTENCES), rng.uniform(1.2, 2.6), face, (40, 40, 40)
        )
        y += rng.uniform(3, 7)


def driving_licence(rng: random.Random, noise: np.random.Generator) -> Sheet:
    """A card with a portrait and numbered fields; French ones carry one line of 30, Swiss ones 9 + 30 + 30."""
    holder = document(rng, "TD1")
    canvas, how = _canvas(TD1_SIZE, rng, noise)
    visual_zone(canvas, holder._replace(kind="card"), 40)
    for number, y in zip(("1.", "2.", "3.", "4a.", "4b.", "5.", "9."), np.linspace(9, 38, 7), strict=True):
        canvas.text((25, float(y)), number, 1.4, "sans-bold", (90, 40, 40))
    lottery = rng.random()
    name = holder.holder.surname.replace(" ", "<")
    if lottery < 0.4:
        head = "D1FRA" + "".join(rng.choice(_ALPHABET[:36]) for _ in range(9))
        line = head + digit(head) + holder.holder.expiry + fill(name, 8)
        print_zone(canvas, (line + digit(line),), how, 6.5)
    elif lottery < 0.65:
        first = "".join(rng.choice(_ALPHABET[:36]) for _ in range(9))
        second = fill(
            "FACHE" + "".join(rng.choice("0123456789") for _ in range(12)) + "<<" + holder.holder.birth, 30
        )
        print_zone(canvas, (second, fill(name + "<<" + holder.holder.given, 30)), how, 5.0)
        print_zone(canvas, (first,), how, 5.0 + 2 * how.spacing, left=5.0)
    return _sheet(canvas)


def no_zone(rng: random.Random, noise: np.random.Generator) -> Sheet:
    """Letters, receipts, stamps, cards without a zone."""
    canvas, _ = _canvas(rng.choice((TD1_SIZE, TD2_SIZE, TD3_SIZE, (105.0, 148.0))), rng, noise)
    if rng.random() < 0.4:
        visual_zone(canvas, document(rng, "TD3"), canvas.size[1] - 4)
    else:
        _words(canvas, rng, 5, canvas.size[1] - 3)
    if rng.random() < 0.4:  # a barcode
        x = rng.uniform(5, 20)
        y0, y1 = int((canvas.size[1] - 14) * canvas.scale), int((canvas.size[1] - 4) * canvas.scale)
        while x < canvas.size[0] - 8:
            wide = rng.choice((0.25, 0.5, 0.75))
            canvas.image[y0:y1, int(x * canvas.scale) : int((x + wide) * canvas.scale)] = 20
            x += wide + rng.choice((0.25, 0.5, 0.75))
    return _sheet(canvas)


def fillers(rng: random.Random, noise: np.random.Generator) -> Sheet:
    """A page full of `<`."""
    size, width = rng.choice(((TD3_SIZE, 44), (TD1_SIZE, 30), (TD2_SIZE, 36)))
    canvas, how = _canvas(size, rng, noise)
    rows = rng.choice((2, 3, int((size[1] - 8) / how.spacing)))
    how = how._replace(pitch=min(how.pitch, (size[0] - 4) / width))
    print_zone(canvas, tuple("<" * width for _ in range(rows)), how, rng.uniform(4.5, 8))
    return _sheet(canvas)


def imitation(rng: random.Random, noise: np.random.Generator) -> Sheet:
    """Rows of the right length and face that aren't a zone: nonsense, or a real one's lines shuffled or spoilt."""
    real = document(rng, rng.choice(("TD3", "TD1", "TD2")))
    canvas, how = _canvas(real.size, rng, noise)
    lottery = rng.random()
    width = len(real.lines[0])
    if lottery < 0.4:
        lines = tuple("".join(rng.choice(_ALPHABET) for _ in range(width)) for _ in real.lines)
    elif lottery < 0.7:
        lines = tuple(
            "".join(rng.choice(_ALPHABET[10:]) if c != "<" else c for c in line) for line in real.lines
        )
    else:
        lines = real.lines[::-1]
    _words(canvas, rng, 5, canvas.size[1] - 26)
    print_zone(canvas, lines, how, rng.uniform(7, 9))
    return _sheet(canvas)


def _whole(
    rng: random.Random, noise: np.random.Generator, format_: str | None = None
) -> tuple[Document, Sheet]:
    paper = document(rng, format_)
    return paper, draw(paper, 12.0, ink.choose(rng, poor=0.0), rng, noise)


def half(rng: random.Random, noise: np.random.Generator) -> Sheet:
    """A document of which only a part lies in the picture: the cut goes through the zone."""
    paper, sheet = _whole(rng, noise)
    left, right = sheet.cells[:, 0].min(), sheet.cells[:, 0].max()
    top, bottom = sheet.cells[:, 1].min(), sheet.cells[:, 1].max()
    image, scale = sheet.image, sheet.scale
    cut = rng.choice(("left", "right", "below")) if len(paper.lines) > 1 else rng.choice(("left", "right"))
    if cut == "right":
        image = image[:, : int(rng.uniform(left + 10, right - 3.5) * scale)]
    elif cut == "left":
        image = image[:, int(rng.uniform(left + 3.5, right - 10) * scale) :]
    else:
        image = image[: int(rng.uniform(top + 1.6, bottom - 0.6) * scale)]
    image = np.ascontiguousarray(image)
    size = (image.shape[1] / scale, image.shape[0] / scale)
    return sheet._replace(image=image, size=size, cells=np.zeros((0, 2), np.float32), how=None, rounded=False)


def two_documents(rng: random.Random, noise: np.random.Generator) -> Sheet:
    """Two documents side by side, both with a zone: whose would it be?"""
    first, second = (
        _whole(rng, noise, rng.choice(("TD1", "TD1", "TD2", "TD3", "PRC_CARD")))[1] for _ in range(2)
    )
    gap = round(rng.uniform(2, 8) * 12)
    a, b = first.image, second.image
    turned = rng.random() < 0.25
    if turned:
        b = np.ascontiguousarray(np.rot90(b, 2))
    width = max(a.shape[1], b.shape[1])
    shade = rng.randint(10, 60)
    board = np.full((a.shape[0] + gap + b.shape[0], width, 3), shade, np.uint8)
    board[: a.shape[0], : a.shape[1]] = a
    board[a.shape[0] + gap :, : b.shape[1]] = b
    size = (board.shape[1] / 12, board.shape[0] / 12)
    return first._replace(image=board, size=size, cells=np.zeros((0, 2), np.float32), how=None, rounded=False)


KINDS: tuple[tuple[str, Callable[[random.Random, np.random.Generator], Sheet]], ...] = (
    ("driving licence", driving_licence),
    ("no zone", no_zone),
    ("page of fillers", fillers),
    ("imitation", imitation),
    ("half a document", half),
    ("two documents", two_documents),
)


def photograph(sheet: Sheet, cut: bool, rng: random.Random, noise: np.random.Generator) -> tuple[Plane, str]:
    """Through a reader's window or under a counter's camera; a cut document fills the picture to its cut edge."""
    at_counter = rng.random() < 0.4
    if cut or not at_counter:
        dpi = min(rng.uniform(250, 350), 25.4 * 2400 / max(sheet.size))
        quarter = rng.choice((0, 0, 1, 2, 3))
        angle = 0.0 if cut else rng.uniform(-3, 3)
        pose = optics.flat_pose(sheet.size, dpi, quarter, angle, (0.0, 0.0) if cut else (0.5, 6.0), rng)
        shot = optics.expose(sheet, pose, rng, noise)
    else:
        frame = rng.choice(((1632, 1224), (1920, 1080), (2048, 1536)))
        tilts = (rng.gauss(0, 4), rng.gauss(0, 4), rng.gauss(0, 4))
        pose = optics.camera_pose(
            sheet.size, frame, rng.uniform(0.7, 0.93), rng.choice((0, 0, 1, 2, 3)), tilts, rng
        )
        shot = optics.expose(sheet, pose, rng, noise, tabletop(frame[::-1], rng, noise))
        faults.lamp(shot, rng, depth=rng.uniform(0.1, 0.5))
    optics.expose_by(shot, rng.uniform(0.8, 1.05), rng.uniform(0, 12), rng.uniform(0.85, 1.2))
    optics.defocus(shot, rng.uniform(0, 1.0))
    optics.grain(shot, rng.uniform(1, 4), noise)
    optics.compress(shot, rng.randint(70, 95))
    return shot.picture, "ambient" if at_counter and not cut else "visible"


def negative(rng: random.Random, noise: np.random.Generator) -> tuple[Plane, str, str]:
    """(picture, light, kind) of a page from which nothing valid may come."""
    kind, make = rng.choice(KINDS)
    sheet = make(rng, noise)
    picture, light = photograph(sheet, kind == "half a document", rng, noise)
    return picture, light, kind

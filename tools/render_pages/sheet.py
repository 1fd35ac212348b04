"""The page as it lies on the glass: paper, security print, portrait, visual zone and the machine-readable zone.

Drawn flat, in page geometry, at `scale` pixels a millimetre. A `Sheet` also says where every character's cell is
and how much ink stands there, so that legibility can be computed and needn't be guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

from . import ink
from .ornament import draw_portrait, guilloche, paper

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

    from .documents import Document
    from .ink import Plane, Print

Colour = tuple[int, int, int]


class Sheet(NamedTuple):
    """One side of paper. Points are millimetres from its top left corner."""

    image: Plane
    """(H, W, 3) BGR."""
    scale: float
    size: tuple[float, float]
    cells: NDArray[np.float32]
    """(characters, 2) middles of the zone's cells; empty without a zone."""
    how: Print | None
    paper_grey: float
    ink_grey: float
    """Grey levels of the paper and of full ink in the zone, under full light."""
    whole: NDArray[np.float32] | None = None
    """(characters,) share of each cell that dirt and folds have left as it was; None: all of it."""
    rounded: bool = True
    """Whether the corners are a card's."""


TITLES = {
    "passport": ("PASSPORT", "PASSEPORT", "REISEPASS", "PASAPORTE", "PASAPORT", "护照 PASSPORT", "ПАСПОРТ",
                 "旅券 PASSPORT"),
    "card": ("IDENTITY CARD", "CARTE NATIONALE D'IDENTITÉ", "PERSONALAUSWEIS", "RESIDENCE PERMIT",
             "CARTE DE IDENTITATE", "AUFENTHALTSTITEL", "DOCUMENTO NACIONAL DE IDENTIDAD"),
    "visa": ("VISA", "VISUM", "VISADO", "ENTRY VISA", "签证 VISA"),
    "permit": ("往来港澳通行证", "港澳居民来往内地通行证", "台湾居民来往大陆通行证", "往来台湾通行证"),
}  # fmt: skip
LABELS = (
    ("Surname / Nom", "surname"), ("Given names / Prénoms", "given"), ("Nationality / Nationalité", "nationality"),
    ("Date of birth / Date de naissance", "birth"), ("Sex / Sexe", "sex"),
    ("Date of expiry / Date d'expiration", "expiry"),
    ("Document No. / N° du document", "number"), ("Authority / Autorité", "authority"),
)  # fmt: skip
BACKS = (
    "Height / Taille 170 cm", "签发机关 公安部出入境管理局", "Address: Hauptstr. 12, 50667", "Eye colour GREEN",
    "换证次数 Times of Renewal", "Remarks: FAMILY MEMBER",
)  # fmt: skip
MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()  # noqa: SIM905


class Canvas:
    """A page being drawn on, in millimetres."""

    def __init__(
        self, size: tuple[float, float], scale: float, rng: random.Random, noise: np.random.Generator
    ) -> None:
        self.size, self.scale, self.rng, self.noise = size, scale, rng, noise
        self.image = paper(size, scale, rng, noise)

    def text(self, at: tuple[float, float], words: str, height: float, face: str, colour: Colour) -> None:
        """Words with capitals `height` high, their middle line at `at`; a Chinese face where they need it."""
        if any(character >= "\u1100" for character in words):
            face = "chinese"
        elif any(character >= "\u0370" for character in words):
            face = "free-sans"
        face_em = ink.font(face, round(height * self.scale / 0.72, 1))
        left, top, right, bottom = (int(v) for v in face_em.getbbox(words, anchor="ls"))
        if right <= left or bottom <= top:
            return
        mask = Image.new("L", (right - left + 2, bottom - top + 2))
        ImageDraw.Draw(mask).text((-left, -top), words, fill=255, font=face_em, anchor="ls")
        x, y = at[0] * self.scale + left, (at[1] + height / 2) * self.scale + top
        self.stamp(np.asarray(mask, np.uint8), round(x), round(y), colour)

    def stamp(self, mask: Plane, x: int, y: int, colour: Colour) -> None:
        """Lay colour through a mask whose top left corner comes to (x, y); what hangs over is cut."""
        height, width = self.image.shape[:2]
        x0, y0, x1, y1 = max(0, x), max(0, y), min(width, x + mask.shape[1]), min(height, y + mask.shape[0])
        if x1 <= x0 or y1 <= y0:
            return
        cover = mask[y0 - y : y1 - y, x0 - x : x1 - x, None].astype(np.uint16)
        part = self.image[y0:y1, x0:x1]
        part[...] = (part * (255 - cover) + np.array(colour, np.uint16) * cover) // 255


def visual_zone(canvas: Canvas, document: Document, bottom: float) -> None:
    """Title, labels and values above `bottom`, around the portrait."""
    rng, (width, _) = canvas.rng, canvas.size
    small = width < 100
    ink_colour = (rng.randint(10, 70), rng.randint(10, 60), rng.randint(10, 60))
    title = rng.choice(TITLES[document.kind])
    face = rng.choice(("sans-bold", "narrow", "serif", "dejavu"))
    title_colour = (rng.randint(20, 140), rng.randint(10, 60), rng.randint(10, 120))
    canvas.text((4, 5), title, 2.6 if small else 3.4, face, title_colour)
    canvas.text((width * 0.62, 5), document.issuer.strip("<"), 2.6, face, title_colour)
    photo = (
        (4.0, 8.5, 19.0, max(8.0, min(24.0, bottom - 10.0)))
        if small
        else (5.0, 11.0, 33.0, min(43.0, bottom - 14))
    )
    if document.format == "PRC_PERMIT" or rng.random() < 0.85:
        draw_portrait(canvas.image, canvas.scale, photo, rng, canvas.noise)
    holder = document.holder
    values = {
        "surname": (document.native + " " + holder.surname).strip(),
        "given": holder.given,
        "nationality": holder.nationality,
        "birth": _visual_date(rng, holder.birth),
        "sex": holder.sex.replace("<", "X"),
        "expiry": _visual_date(rng, holder.expiry),
        "number": holder.number,
        "authority": rng.choice(
            ("MINISTRY OF INTERIOR", "公安部出入境管理局", "PREFECTURE", "STADT KOELN", "IPS")
        ),
    }
    x, y = photo[0] + photo[2] + 4, 10.0
    step = max(3.2, (bottom - 2 - y) / len(LABELS))
    value_face = rng.choice(("sans", "sans-bold", "narrow", "courier-bold", "ocrb", "go-mono"))
    for label, key in LABELS:
        if y + 2.2 > bottom:
            break
        if step > 4.4:
            canvas.text((x, y - 1.4), label, 0.9, "sans", ink_colour)
        if rng.random() < 0.95:
            canvas.text((x, y + 0.6), values[key], 1.6 if small else 2.1, value_face, ink_colour)
        y += step


def _visual_date(rng: random.Random, date: str) -> str:
    year, month, day = date[:2], date[2:4], date[4:]
    if "<" in date:
        return f"XX.XX.19{year}"
    year = ("20" if int(year) < 37 else "19") + year
    return rng.choice(
        (
            f"{day}.{month}.{year}",
            f"{day} {MONTHS[int(month) - 1]} / {MONTHS[int(month) - 1]} {year}",
            f"{year}.{month}.{day}",
        )
    )


def print_zone(
    canvas: Canvas, lines: tuple[str, ...], how: Print, bottom: float, left: float | None = None
) -> NDArray[np.float32]:
    """The zone with its last line's middle `bottom` above the lower edge; returns its cells' middles."""
    plane, margin = ink.set_zone(lines, how, canvas.rng, canvas.noise)
    span = len(lines[0]) * how.pitch
    if left is None:
        left = (canvas.size[0] - span) / 2 + canvas.rng.uniform(-1.2, 1.2)
    left = min(max(left, 1.5), max(1.5, canvas.size[0] - span - 1.5))
    top = canvas.size[1] - bottom - (len(lines) - 1) * how.spacing
    ratio = canvas.scale / ink.FINE
    x = (left - margin / ink.FINE) * canvas.scale
    y = (top - how.cap / 2 - margin / ink.FINE) * canvas.scale
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    # moved by the fraction of a pixel while it is made smaller, so that no zone sits on the pixels' own raster
    small = cv2.resize(plane, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    shift = np.array([[1, 0, x - x0], [0, 1, y - y0]], np.float32)
    small = cv2.warpAffine(small, shift, (small.shape[1] + 1, small.shape[0] + 1), flags=cv2.INTER_LINEAR)
    colour = (canvas.rng.randint(8, 40), canvas.rng.randint(8, 30), canvas.rng.randint(8, 36))
    canvas.stamp(np.asarray(small, np.uint8), x0, y0, colour)
    return np.array(
        [
            (left + (place + 0.5) * how.pitch, top + row * how.spacing)
            for row in range(len(lines))
            for place in range(len(lines[0]))
        ],
        np.float32,
    )


def close_print(canvas: Canvas, how: Print, top: float, document: Document) -> None:
    """What some issuers print close to the zone: a serial number, an authority, micro-print, a line."""
    rng = canvas.rng
    for _ in range(rng.randint(1, 2)):
        y = top - how.cap / 2 - rng.uniform(1.6, 3.5)
        words, face = rng.choice(
            (
                (document.holder.number + "  " + document.holder.surname, "ocrb"),
                (f"{rng.randint(10**9, 10**10)}", "ocrb"),
                ("SPCLEP Sector 3  Str. Lungă nr. " + str(rng.randint(1, 99)), "sans"),
                ("Behörde / Autorité / Autorità / Autoritad / Authority", "sans"),
                ("Unterschrift der Inhaberin / des Inhabers · Signature", "narrow"),
                ("THIS DOCUMENT REMAINS THE PROPERTY OF THE ISSUING STATE " * 2, "sans"),
            )
        )
        height = rng.uniform(1.0, 2.2) if face != "sans" else rng.uniform(0.9, 1.6)
        canvas.text((rng.uniform(3, 25), y), words, height, face, (40, 30, 30))
        top = y
    if rng.random() < 0.3:
        y0 = int((top - 1.2) * canvas.scale)
        cv2.line(canvas.image, (0, y0), (canvas.image.shape[1], y0), (90, 70, 70), 1, cv2.LINE_AA)


def draw(
    document: Document, scale: float, how: Print, rng: random.Random, noise: np.random.Generator
) -> Sheet:
    """The document's page with its zone."""
    canvas = Canvas(document.size, scale, rng, noise)
    guilloche(canvas.image, scale, rng, strength=rng.uniform(0.15, 1.0))
    bottom = rng.uniform(7.0, 9.6)
    rows = len(document.lines)
    top = document.size[1] - bottom - (rows - 1) * how.spacing
    if rng.random() < 0.35:  # a paler strip for the zone, as many issuers have it
        y0 = int((top - 4) * scale)
        canvas.image[y0:] = cv2.addWeighted(
            canvas.image[y0:], 0.4, np.full_like(canvas.image[y0:], 246), 0.6, 0
        )
    backside = document.format in ("TD1", "PRC_CARD", "PRC_HOME_RETURN") and rng.random() < 0.6
    if backside:
        for line in range(rng.randint(2, 5)):
            words = rng.choice(BACKS)
            canvas.text((rng.uniform(4, 40), 5 + line * 4.2), words, 1.5, "sans", (50, 40, 40))
    else:
        visual_zone(canvas, document, top - 5)
    if rng.random() < (0.6 if document.issuer in ("ROU", "CHE") else 0.18):
        close_print(canvas, how, top, document)
    clean = cv2.mean(canvas.image[int((top - 2) * scale) :])
    cells = print_zone(canvas, document.lines, how, bottom)
    grey = 0.114 * clean[0] + 0.587 * clean[1] + 0.299 * clean[2]
    return Sheet(canvas.image, scale, document.size, cells, how, grey, grey + (20 - grey) * how.darkness)


def spoil(clean: Sheet, image: Plane) -> Sheet:
    """The sheet with a damaged image; `whole` says how much of each cell is still what was printed."""
    before, after = (cv2.cvtColor(i, cv2.COLOR_BGR2GRAY) for i in (clean.image, image))
    changed = (cv2.absdiff(before, after) > 0.35 * (clean.paper_grey - clean.ink_grey)).astype(np.float32)
    cell = max(3, round(2.4 * clean.scale))
    share = cv2.blur(changed, (cell, cell))
    at = np.clip((clean.cells * clean.scale).astype(int), 0, np.array(share.shape[::-1]) - 1)
    whole = 1 - share[at[:, 1], at[:, 0]]
    if clean.whole is not None:
        whole = np.minimum(whole, clean.whole)
    return clean._replace(image=image, whole=whole.astype(np.float32))

"""A canary's page as the window shows it, drawn by the renderer that measures reading."""

from __future__ import annotations

import importlib.util
import random
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from tests.taint.canaries import Canary


def can_draw() -> bool:
    """Whether pages can be drawn here."""
    if importlib.util.find_spec("PIL") is None:
        return False
    from tools.render_pages import ink

    return not ink.missing()


def draw(person: Canary, directory: Path) -> Path:
    """The file of this person's page; drawn once."""
    from tools.render_pages import ink, optics
    from tools.render_pages.documents import MRVA_SIZE, TD1_SIZE, TD2_SIZE, TD3_SIZE, Document
    from tools.render_pages.mrztext import Holder
    from tools.render_pages.sheet import draw as lay_out

    path = directory / f"{person.number}.png"
    if path.exists():
        return path
    sizes = {"TD1": TD1_SIZE, "TD2": TD2_SIZE, "TD3": TD3_SIZE, "MRVA": MRVA_SIZE, "MRVB": TD2_SIZE}
    holder = Holder(
        person.lines[0][:1], "UTO", person.surname, person.given_names, person.document_number, "UTO",
        f"{person.birth:%y%m%d}", "F", f"{person.expiry:%y%m%d}", person.optional_data,
    )  # fmt: skip
    layout = person.format.value
    document = Document(layout, "passport", "UTO", holder, person.lines, True, sizes[layout], person.han[:4])
    chance, grain = random.Random(person.number), np.random.default_rng(person.number)
    dpi = 320.0
    sheet = lay_out(document, dpi / 25.4, ink.choose(chance, poor=0.0, plain=True), chance, grain)
    pose = optics.flat_pose(document.size, dpi, 0, 0.4, (1.0, 3.0), chance)
    backdrop = np.full((pose.frame[1], pose.frame[0], 3), 24, np.uint8)
    shot = optics.expose(sheet, pose, chance, grain, backdrop)
    optics.grain(shot, 1.0, grain, coloured=True)
    cv2.imwrite(str(path), shot.picture)
    return path

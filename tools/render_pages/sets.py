"""The sets: which page stands at which place. Everything follows from (set, seed, index).

Seeds: 1 to 99 are for development, whoever tunes a threshold may look at them. `ACCEPTANCE_SEED` is for the last
measurement only: nothing is looked at there, so that its pages stay unseen.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .conditions import CONDITIONS
from .documents import document
from .negatives import negative

if TYPE_CHECKING:
    from .ink import Plane

ACCEPTANCE_SEED = 9303
SETS = (*CONDITIONS, "negatives")


class Page(NamedTuple):
    """A picture and the truth about it."""

    image: Plane
    """(H, W, 3) BGR."""
    name: str
    set: str
    format: str | None
    lines: tuple[str, ...] | None
    """The zone as printed, None where there is none or no whole one."""
    check_ok: bool
    legible: bool
    """False where glare, dirt or blur leaves some character without contrast: such a page may be refused."""
    kind: str
    issuer: str
    light: str
    face: str
    faults: tuple[str, ...]


def page(set_name: str, seed: int, index: int) -> Page:
    """Page `index` of a set. The same on every run; raises OSError naming missing fonts, ValueError for no set."""
    if set_name not in SETS:
        raise ValueError(f"no such set: {set_name}; there are {', '.join(SETS)}")
    root = np.random.SeedSequence([seed, SETS.index(set_name), index])
    rng = random.Random(int(root.generate_state(1, np.uint64)[0]))
    noise = np.random.default_rng(root)
    name = f"{set_name}-{seed}-{index:05}"
    if set_name == "negatives":
        picture, light, kind = negative(rng, noise)
        return Page(picture, name, set_name, None, None, False, False, kind, "", light, "", ())
    paper = document(rng)
    taken = CONDITIONS[set_name](paper, rng, noise)
    how = taken.shot.sheet.how
    return Page(
        image=taken.shot.picture,
        name=name,
        set=set_name,
        format=paper.format,
        lines=paper.lines,
        check_ok=paper.check_ok,
        legible=taken.shot.legible(),
        kind=paper.kind,
        issuer=paper.issuer,
        light=taken.light,
        face=how.face if how else "",
        faults=taken.faults,
    )

"""Fixture material: slips on paper: facts, a town's signatures on them, and every output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from edged.drivers.escpos_bytes import Paper, encode
from edged.emulator.escpos_printer import EscposEmulator
from edged.slip import content, url
from edged.slip.faces import FONTS, Run
from edged.slip.facts import CheckFact, RecipientFact, SlipFacts
from edged.slip.layout import MEDIA, Page, lay_out
from edged.slip.receipt import print_job
from edged.slip.signing import sign_slip
from edged.uplink.names import Role
from edged.verdict import CHECKS, Kind, Result
from tests.broker import NOW, Town

if TYPE_CHECKING:
    from numpy.typing import NDArray

needs_fonts = pytest.mark.skipif(
    not all(Path(name).exists() for name in FONTS[:2]),
    reason="fonts-dejavu-core, fonts-droid-fallback are missing",
)

BASE = "https://verify.example.cn/S"
T = int(NOW.timestamp())
DAY = 86_400


def facts(**changes: Any) -> SlipFacts:
    """An ordinary slip."""
    content: dict[str, Any] = {
        "number": "7K3M9QXA04TZ",
        "copy": 1,
        "site": "滨江支行一号柜台",
        "device": "box-1",
        "at": T - 60,
        "utc_offset_min": 480,
        "clock_trusted": True,
        "expires": T + 90 * DAY,
        "kind": Kind.LIVE,
        "scene": "bank",
        "result": Result.SUCCESSFUL,
        "document_class": "passport",
        "issuer": "UTO",
        "name": "E*",
        "document_number": "L8*****C3",
        "document_expires": "2031-04",
        "checks": (
            CheckFact("document_detected", Result.SUCCESSFUL),
            CheckFact("mrz_read", Result.SUCCESSFUL),
            CheckFact("mrz_check_digits", Result.SUCCESSFUL),
            CheckFact("expiry", Result.SUCCESSFUL),
            CheckFact("chip", Result.NOT_SUPPORTED),
        ),
        "person": Result.NOT_SUPPORTED,
        "read": ("picture", "mrz"),
        "recipients": (RecipientFact("某某银行", ("checks", "name_masked"), 30),),
    }
    return SlipFacts(**(content | changes))


def longest() -> SlipFacts:
    """As much as a slip can say."""
    return facts(
        copy=255,
        supersedes="ZZZZZZZZZZZZ",
        site="滨" * 8,
        utc_offset_min=-765,
        kind=Kind.TEST,
        name="张" * 4,
        document_number="9" * 24,
        checks=tuple(CheckFact(name, Result.ABORTED) for name in CHECKS),
        read=("picture", "mrz", "chip", "id_card", "text"),
        recipients=tuple(RecipientFact("行" * 8, ("checks", "handover_fields"), 3650) for _ in range(4)),
        more_recipients=200,
    )


class Signed(NamedTuple):
    facts: SlipFacts
    url: str


def signed(place: Town, wanted: SlipFacts) -> Signed:
    slip = sign_slip(wanted, place.signer(Role.DEVICE, wanted.device), BASE)
    return Signed(slip.facts, url.build(BASE, slip.cose))


def page(slip: Signed, media: str, faces: Any, said: SlipFacts | None = None) -> Page:
    """The slip's page; `said`: what a forger has it say beside the genuine code."""
    told = said or slip.facts
    return lay_out(content.lines(told), slip.url, content.watermark(told), MEDIA[media], faces)


def printed(slip: Signed, width_mm: int, said: SlipFacts | None = None) -> NDArray[np.bool_]:
    """What comes out of a printer that understands ESC/POS: dots, True is black."""
    told = said or slip.facts
    job = print_job(content.lines(told), slip.url, content.watermark(told), width_mm)
    printer = EscposEmulator(Paper(width_mm).dots)
    printer.taken(bytes(encode(job.elements(), Paper(width_mm))))
    assert printer.cuts == 1
    return np.asarray(printer.picture() == 0, np.bool_)


class MadeUpFaces:
    """Fonts of nobody: Latin letters half as wide as Chinese ones. Layouts are the same on every machine."""

    def runs(self, text: str) -> list[Run]:
        runs: list[Run] = []
        for character in text:
            face = int(ord(character) > 0x2000)
            if runs and runs[-1].face == face:
                runs[-1] = Run(face, runs[-1].text + character)
            else:
                runs.append(Run(face, character))
        return runs

    def width(self, text: str) -> float:
        return sum(1.0 if ord(one) > 0x2000 else 0.5 for one in text)

"""What a document's pictures say beyond its MRZ: checks of the visual zone, of a card's number, of optical security.

Blocking; it runs in the thread where judging runs. Nothing here decides: `edged.config` lets none of these checks be
mandatory. Whatever goes wrong costs the one check, which is then undetermined, and never the inspection.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

from edged import log
from edged.events import Light
from edged.verdict import Check, Reason, Result

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edged.core.optical import Features
    from edged.core.optical_fit import Thresholds
    from edged.core.reading import PageReading
    from edged.side import ReadSide

MAX_PIXELS: Final = 12_000_000
"""Of one picture that is looked at: a window of 125 by 88 mm at 800 dpi. Time grows with it."""
BUDGET_S: Final = 0.5
"""Once so much time has passed nothing further is begun: a clerk waits, and none of this decides."""

_VISUAL: Final = ("viz_birth_date", "viz_expiry_date", "viz_document_number")
_CARD: Final = "card_number"
_OPTICAL: Final = "optical_security"
_NO_CARD: Final = frozenset(("mrz.driving_licence", "reading.two_documents", "reading.mrz_cut"))
"""Reasons for there being no MRZ that no card's number would change: an MRZ was seen."""


class Evidence(NamedTuple):
    """What was found; holds no identity.

    Attributes:
        checks: some of `viz_*`, `card_number`, `optical_security`: those that make sense for what was read.
        refusal: why a document without an MRZ is no travel document, where a barcode says so.
    """

    checks: tuple[Check, ...] = ()
    refusal: Reason | None = None


class _Skip(Exception):  # noqa: N818 - no error: a part that isn't begun
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Budget:
    """What may still be looked at."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends = clock() + BUDGET_S

    def picture(self, side: ReadSide, light: Light | None) -> NDArray[np.uint8] | None:
        """The side's picture under this light, None where it has none; raises `_Skip` when nothing may be begun."""
        if light is None:
            return None
        frame = side.frames.get(light)
        if frame is None:
            if light is side.leading:  # `edged.side` keeps none that is larger still
                raise _Skip("evidence.too_large")
            return None
        height, width = frame.image().shape[:2]
        if height * width > MAX_PIXELS:
            raise _Skip("evidence.too_large")
        if self._clock() > self._ends:
            raise _Skip("evidence.no_time")
        return frame.image()


def gather(
    sides: Sequence[ReadSide],
    reading: PageReading,
    *,
    today: datetime.date,
    thresholds: Thresholds | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Evidence:
    """Look at the sides of one document, `reading` among theirs the one that stands for it. Never raises.

    `thresholds` are those of the reader's model (`edged optical fit`), None when it isn't calibrated.
    """
    if not reading.frames:
        return Evidence(_without_picture())
    budget = _Budget(clock)
    checks: tuple[Check, ...] = ()
    refusal: Reason | None = None
    if reading.mrz is not None:
        checks += _safely(_VISUAL, lambda: _visual_zone(sides, reading, budget))
    elif any(_may_be_card(side) for side in sides):
        found: list[Reason] = []
        checks += _safely((_CARD,), lambda: _without_mrz(sides, found, budget))
        refusal = found[0] if found else None
    if thresholds is not None or any(light is not Light.WHITE for side in sides for light in side.frames):
        checks += _safely((_OPTICAL,), lambda: _optical(sides, reading, today, thresholds, budget))
    return Evidence(checks, refusal)


def _safely(names: tuple[str, ...], look: Callable[[], tuple[Check, ...]]) -> tuple[Check, ...]:
    """What `look` finds; the checks undetermined when it was not begun or went wrong."""
    try:
        return look()
    except _Skip as skipped:
        code = skipped.code
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the MRZ was read and its verdict stands
        log.get("evidence").error("a check failed; please report this", checks=names, exc_info=error)
        code = "evidence.failed"
    return tuple(Check(name, Result.UNDETERMINED, (Reason(code),)) for name in names)


def _without_picture() -> tuple[Check, ...]:
    """The checks of a document that a reader of text read: nobody has a picture of it."""
    visual = (Check(name, Result.NOT_SUPPORTED, (Reason("viz.not_supported"),)) for name in _VISUAL)
    return (*visual, Check(_OPTICAL, Result.NOT_SUPPORTED, (Reason("optical_security.not_supported"),)))


def _visual_zone(sides: Sequence[ReadSide], reading: PageReading, budget: _Budget) -> tuple[Check, ...]:
    from edged.core.viz import read_visual_zone, visual_zone_checks

    zones = [
        read_visual_zone(picture, side.reading)
        for side in sides
        if side.reading.mrz is not None and (picture := budget.picture(side, side.leading)) is not None
    ]
    return visual_zone_checks(reading, zones)


def _without_mrz(sides: Sequence[ReadSide], refusal: list[Reason], budget: _Budget) -> tuple[Check, ...]:
    """The card's number, or into `refusal` why there is no need to look for one."""
    from edged.core import barcode
    from edged.core.printed_number import read_card_number

    pictures = [
        picture
        for side in sides
        if _may_be_card(side) and (picture := budget.picture(side, side.leading)) is not None
    ]
    for picture in pictures:
        if (reason := barcode.refusal(barcode.find_barcodes(picture))) is not None:
            refusal.append(reason)
            return ()
    checks = [Check(_CARD, Result.UNDETERMINED, (Reason("card.no_number"),))]
    for picture in pictures:
        checks.append(read_card_number(picture).check)
        if checks[-1].result is Result.SUCCESSFUL:
            break
    return (max(checks, key=_tells),)


def _may_be_card(side: ReadSide) -> bool:
    """Whether this side may be a card's without an MRZ, as far as it was read."""
    return side.reading.document_present and _NO_CARD.isdisjoint(
        reason.code for reason in side.reading.reasons
    )


def _tells(check: Check) -> int:
    """How much a check of a card's number says: none on one side of a card is no news."""
    if check.result is Result.SUCCESSFUL:
        return 2
    return int(any(reason.code != "card.no_number" for reason in check.reasons))


def _optical(
    sides: Sequence[ReadSide],
    reading: PageReading,
    today: datetime.date,
    thresholds: Thresholds | None,
    budget: _Budget,
) -> tuple[Check, ...]:
    """The optical checks of the side whose MRZ was read, told as one; their numbers go to the log."""
    from edged.core import optical_fit

    side = next((side for side in sides if side.reading is reading), None)
    features = None if side is None or reading.mrz is None else _features(side, today, budget)
    found = optical_fit.judge(features, thresholds)
    log.get("evidence").info(
        "optical features",
        features={} if features is None else _numbers(features),
        checks={check.name: check.result.value for check in found},
    )
    return (optical_fit.summary(found),)


def _features(side: ReadSide, today: datetime.date, budget: _Budget) -> Features | None:
    """What the side's pictures measure, None without white light and another one."""
    from edged.core.optical import measure
    from edged.core.portrait import find_portrait
    from edged.core.reading import read_page

    pictures = {light: picture for light in Light if (picture := budget.picture(side, light)) is not None}
    white = pictures.get(Light.WHITE)
    if white is None or len(pictures) < 2:
        return None
    # The numbers rest on where the MRZ stands in white light: a hand may have moved it between two pictures.
    seen = side.reading if side.leading is Light.WHITE else read_page(white, today=today)
    if seen.mrz is None:
        return None
    portrait = find_portrait(white, seen.rows, seen.mrz.format)
    return measure(pictures, seen.rows, seen.mrz.format, portrait=portrait)


def _numbers(features: Features) -> dict[str, float]:
    import msgspec

    return {
        name: value
        for name, value in msgspec.structs.asdict(features).items()
        if isinstance(value, float | int)
    }

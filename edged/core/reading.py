"""A picture of a page becomes an MRZ, judged: `read_page`. Several of one page: `edged.core.burst`.

What stands on the page is read, never guessed: a reading is valid only when its layout is known, its check
digits and fields are right, and every character, those no check digit covers above all, is sure in the
picture itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edged.core import own_print, quality
from edged.core.again import look_again
from edged.core.laps import Laps
from edged.core.layouts import MrzFormat
from edged.core.margins import too_narrow_for_more
from edged.core.mrz import parse_mrz
from edged.core.ocr import ALPHABET
from edged.core.sight import Sight, closer, look
from edged.core.vision import grey_of
from edged.identity import Identity, Sensitive, wipe, withheld
from edged.verdict import Check, Reason, Result

if TYPE_CHECKING:
    import datetime
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.core.lattice import Decision
    from edged.core.mrz import Mrz
    from edged.core.page import Row

_SURE_COVERED: Final = 0.50
"""Confidence a character needs where a check digit speaks for it too."""
_SURE_ALONE: Final = 0.97
"""Confidence a character needs where nothing else speaks for it: names, states, nationality, sex."""
_SURE_ODD: Final = 0.99
"""The same where the fields hold something unusual."""
UNLIKELY: Final = frozenset(("mrz.unusual_document_code", "mrz.name_gap"))
"""Oddities that no picture makes sure, since no check digit speaks there: an I that lost its foot is a clear T, and a K
whose stem lies in a fold a clear filler."""
_ILLEGIBLE: Final = 0.80
"""Mean confidence below which a page's characters are no reading at all."""
_MAX_UNSURE: Final = 0.2
"""Share of unsure characters above which a page's characters are no reading at all."""
_SEEN_WELL: Final = frozenset(("reading.no_document", "reading.two_documents"))
"""Refusals that no better picture would change."""
_BLIND: Final = 0.5
_MAX_BLIND: Final = 3
"""So many characters that are more likely wrong than right, in an MRZ whose checks fail: nothing was read."""


class PageReading(Identity):
    """What one picture of a page says. Holds raw identity behind `mrz`; everything else is safe to log.

    Attributes:
        document_present: something lies in the window.
        mrz: the MRZ as printed, right or wrong; None when there is none or it can't be made out.
        valid: `mrz` is right in itself and every character of it is sure.
        confidence: 0..1, the least sure character; 0 without an MRZ.
        name_confidence: the same over the characters that no check digit covers.
        changed: characters the layout or the check digits decided against the picture's first choice.
        reasons: why it isn't valid, or what to do for a better picture.
        rotation: degrees (0, 90, 180, 270) clockwise that make the MRZ upright.
        sure: every character is, right or wrong: no other picture of this page would say anything else.
        frames: pictures it was read from; 0 where a reader of text read it (`edged.core.text_reading`).
        rows: where the MRZ's lines stand, top line first, in pixels of the picture; empty without lines.
        timings_ms: milliseconds by stage ("quality", "locate", "read", "decide", "again" where a
            second look was taken, "total").
        checks: document_detected, mrz_read, mrz_check_digits, mrz_fields, image_quality.
    """

    __slots__ = (
        "_cells",
        "_sureness",
        "changed",
        "checks",
        "confidence",
        "document_present",
        "frames",
        "mrz",
        "name_confidence",
        "reasons",
        "rotation",
        "rows",
        "sure",
        "timings_ms",
        "valid",
    )

    def __init__(self, page: Page, timings_ms: dict[str, float]) -> None:
        self.document_present: bool = page.quality.document_present
        self.mrz: Mrz | None = page.mrz
        self.confidence: float = page.confidence
        self.name_confidence: float = page.name_confidence
        self.changed: int = page.changed
        self.rotation: int = page.rotation
        self.rows: tuple[Row, ...] = page.rows
        self.sure: bool = page.mrz is not None and page.sure
        self.frames: int = page.frames
        self._cells = page.cells
        self._sureness = page.sureness
        self.timings_ms: dict[str, float] = timings_ms
        self.valid: bool = page.mrz is not None and page.sure and page.mrz.valid
        self.checks: tuple[Check, ...] = _checks(page)
        self.reasons: tuple[Reason, ...] = _reasons(page, self.valid)

    def forget(self) -> None:
        """Overwrite the evidence of the characters, and let go of the MRZ."""
        self.mrz = None
        for evidence in (self._cells, self._sureness):
            if evidence is not None:
                wipe(evidence)
        self._cells = self._sureness = None

    @property
    def characters(self) -> Sensitive[tuple[Character, ...]]:
        """Every character of the joined lines; none without an MRZ."""
        if self.mrz is None or self._cells is None or self._sureness is None:
            return Sensitive(())
        text = "".join(self.mrz.lines.reveal())
        return Sensitive(
            tuple(
                Character(char, float(sure), _alternatives(char, shares))
                for char, sure, shares in zip(text, self._sureness, self._cells, strict=True)
            )
        )


def _alternatives(char: str, shares: NDArray[np.float32]) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-shares)[: _ALTERNATIVES + 1]
    found = [(ALPHABET[i], float(shares[i])) for i in order if shares[i] >= _WORTH_NAMING]
    return tuple(one for one in found if one[0] != char)[:_ALTERNATIVES]


@withheld
class Character(NamedTuple):
    """One character of an MRZ: what it was read as, how sure, and what else it may be, likelier first."""

    text: str
    confidence: float
    alternatives: tuple[tuple[str, float], ...]


_ALTERNATIVES: Final = 3
_WORTH_NAMING: Final = 0.001
"""Other characters told of each place, and the share in the picture from which they are."""


@withheld
class Page(NamedTuple):
    """Everything found out about one page."""

    quality: quality.Quality
    mrz: Mrz | None = None
    sure: bool = False
    digits_prove: bool = True
    """Whether check digits that hold say something: not where they chose what was read."""
    confidence: float = 0.0
    name_confidence: float = 0.0
    changed: int = 0
    rotation: int = 0
    why: tuple[Reason, ...] = ()
    advice: tuple[Reason, ...] = ()
    rows: tuple[Row, ...] = ()
    frames: int = 1
    cells: NDArray[np.float32] | None = None
    sureness: NDArray[np.float32] | None = None


def read_page(
    image: NDArray[np.uint8],
    *,
    today: datetime.date,
    hint: Sequence[Row] = (),
    likely: MrzFormat | None = None,
) -> PageReading:
    """Find and read the MRZ of a page picture, (H, W, 3) BGR or (H, W) grey, 8 bits, any way up.

    `hint` says where it probably is, and saves the search: the `rows` of an earlier picture's reading, or one row for
    the place where this reader's window shows it. `likely` says of which format it probably is, and saves most of the
    search for a permit's single line. Either may be wrong; a second document elsewhere is then not noticed.

    Never raises on the content of a picture that isn't empty; whatever is wrong with it is in `reasons` and `checks`.
    Blocks for tens of milliseconds and lets other threads run meanwhile (the kernels and OpenCV release the GIL).
    """
    laps = Laps()
    _, page = examine(grey_of(image), laps, today, hint, likely)
    return PageReading(page, laps.finish())


def examine(
    grey: NDArray[np.uint8],
    laps: Laps,
    today: datetime.date,
    hint: Sequence[Row] = (),
    likely: MrzFormat | None = None,
) -> tuple[Sight, Page]:
    """One grey frame's evidence and what it is worth; what isn't sure and right is looked at a second time."""
    sight = look(grey, laps, hint, likely)
    page = judge(sight, today)
    laps("decide")
    right = page.mrz is not None and page.sure and page.mrz.valid
    if sight.reading is None or sight.decision is None:
        return sight, page
    swapped = own_print.swapped(sight.reading.cells, sight.decision)
    if right and not swapped:
        return sight, page
    if not right:
        sight = closer(sight, look_again(grey, sight.reading))
    if swapped:
        sight = _by_own_print(sight)
    page = judge(sight, today)
    laps("again")
    return sight, page


def _by_own_print(sight: Sight) -> Sight:
    """The sight with O and 0 told by the page's own print; without a reading where that fits no layout."""
    assert sight.reading is not None
    assert sight.decision is not None
    reading = own_print.settled(sight.grey, sight.reading, sight.decision)
    told = closer(sight, reading)
    if told.reading is not reading:
        return Sight(sight.grey, sight.quality, missing=Reason("reading.illegible"))
    return told


def judge(sight: Sight, today: datetime.date) -> Page:
    """What a frame's evidence, or that of several frames put together, is worth."""
    reading, decision, grey, measured = sight.reading, sight.decision, sight.grey, sight.quality
    if reading is None or decision is None:
        assert sight.missing is not None
        return Page(measured, why=(sight.missing,), advice=_advice(sight))
    confidence = decision.confidence * np.minimum(1.0, np.concatenate(reading.presence) * 1.1)
    unsure = _unsure(decision, confidence, _SURE_ALONE)
    illegible = float(confidence.mean()) < _ILLEGIBLE or float(unsure.mean()) > _MAX_UNSURE
    unsure |= reading.fouled | _hidden(decision, reading.crossed)
    rotation = _rotation(reading.rows[0])

    def refused(code: str) -> Page:
        return Page(
            measured, rotation=rotation, why=(Reason(code),), advice=_advice(sight), rows=reading.rows
        )

    if unsure.any() and _leaves(grey, reading.rows):
        return refused("reading.mrz_cut")
    if illegible:
        return refused("reading.illegible")
    mrz = parse_mrz(decision.lines, today=today)
    right = mrz.check_digits_ok and mrz.fields_ok
    if int((confidence < _BLIND).sum()) >= _MAX_BLIND and not right:
        return refused("reading.illegible")
    # The first 36 characters of a visa's or a passport's 44 look like this, check digits and all but one included.
    part = decision.format is MrzFormat.MRVB or (
        decision.format is MrzFormat.TD2 and mrz.document_code.startswith("P")
    )
    if part and (reading.at_border or reading.runs_on):
        return refused("reading.mrz_cut")
    if decision.format is MrzFormat.MRVB:
        part = not too_narrow_for_more(grey, reading.rows, len(decision.lines[0]))
    sure = not unsure.any() and not decision.ambiguous and not part
    if reading.runs_on and not right:
        sure = False  # it may be ours, read one place off
    if not sure and all(check.result is not Result.SUCCESSFUL for check in mrz.check_digits):
        return refused("reading.illegible")
    if sure and any(check.reason is not None for check in mrz.field_checks):
        # Odd contents (an unknown state, a number of unusual form) are more often misread than odd.
        unsure = _unsure(decision, confidence, _SURE_ODD)
        odd = {check.reason.code for check in mrz.field_checks if check.reason is not None}
        sure = not unsure.any() and not odd & UNLIKELY
    doubt = Reason("reading.uncertain", {"count": str(max(1, int(unsure.sum())))})
    if part and not unsure.any():
        doubt = Reason("reading.may_be_longer")
    return Page(
        measured,
        mrz,
        sure,
        sure or not decision.ambiguous,
        float(confidence.min()),
        float(confidence[~decision.covered].min(initial=1.0)),
        decision.changed,
        rotation,
        () if sure else (doubt,),
        () if sure else _advice(sight),
        reading.rows,
        cells=np.concatenate(reading.cells),
        sureness=confidence,
    )


def _advice(sight: Sight) -> tuple[Reason, ...]:
    """What would make a better picture of it."""
    if sight.missing is not None and sight.missing.code in _SEEN_WELL:
        return ()
    if sight.reading is None:
        return quality.of_page(sight.grey)
    return quality.of_rows(sight.grey, sight.reading.rows)


def _unsure(decision: Decision, confidence: NDArray[np.float32], alone: float) -> NDArray[np.bool_]:
    """The characters that are not sure: by themselves, or among those a check digit can't tell from them."""
    covered = (confidence < _SURE_COVERED) | (decision.distinct < alone)
    return np.asarray(np.where(decision.covered, covered, confidence < alone), np.bool_)


def _hidden(decision: Decision, crossed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The crossed characters that may be others: no check digit speaks for them, nor do the fillers around them."""
    filler = np.array([char == "<" for char in "<" + "".join(decision.lines) + "<"])
    among_fillers = filler[:-2] & filler[1:-1] & filler[2:]
    return np.asarray(crossed & ~decision.covered & ~among_fillers, np.bool_)


def _leaves(grey: NDArray[np.uint8], rows: tuple[Row, ...]) -> bool:
    """Whether a corner of the MRZ lies outside the picture by more than a sixth of a character."""
    height, width = grey.shape
    for row in rows:
        slack = row.cap / 6
        for along in (-row.length / 2, row.length / 2):
            for across in (-row.cap * 0.45, row.cap * 0.45):
                corner = row.moved(along, across)
                if not (-slack <= corner.x < width + slack and -slack <= corner.y < height + slack):
                    return True
    return False


def _rotation(row: Row) -> int:
    """Clockwise degrees that turn the row's reading direction to the right."""
    angle = np.degrees(np.arctan2(row.dy, row.dx))
    return int(round(-angle / 90.0) * 90) % 360


def _checks(page: Page) -> tuple[Check, ...]:
    present = page.quality.document_present
    detected = Check(
        "document_detected",
        Result.SUCCESSFUL if present else Result.UNDETERMINED,
        () if present else (Reason("reading.no_document"),),
    )
    image = page.quality.check()
    if not page.frames:
        image = Check("image_quality", Result.NOT_SUPPORTED, (Reason("image_quality.not_supported"),))
    elif page.sure:  # a picture in which every character is sure is good enough
        image = Check("image_quality", Result.SUCCESSFUL)
    elif page.advice:
        reasons = (*image.reasons, *(advice for advice in page.advice if advice not in image.reasons))
        image = Check("image_quality", Result.UNDETERMINED, reasons)
    mrz = page.mrz
    if mrz is None:
        unread = [Check(name, Result.UNDETERMINED, page.why) for name in _MRZ_CHECKS]
        return (detected, *unread, image)
    read = Check("mrz_read", Result.SUCCESSFUL if page.sure else Result.UNDETERMINED, page.why)
    digits = tuple(check.reason for check in mrz.check_digits if check.reason is not None)
    fields = tuple(check.reason for check in mrz.field_checks if check.reason is not None)
    return (
        detected,
        read,
        _judged("mrz_check_digits", mrz.check_digits_ok and page.digits_prove, page, digits),
        _judged("mrz_fields", mrz.fields_ok, page, fields),
        image,
    )


_MRZ_CHECKS: Final = ("mrz_read", "mrz_check_digits", "mrz_fields")


def _judged(name: str, ok: bool, page: Page, reasons: tuple[Reason, ...]) -> Check:
    """A wrong check digit in a reading that isn't sure may be our misreading: undetermined, not failed."""
    if ok:
        return Check(name, Result.SUCCESSFUL, reasons)
    if page.sure:
        return Check(name, Result.FAILED, reasons)
    return Check(name, Result.UNDETERMINED, (*page.why, *reasons))


def _reasons(page: Page, valid: bool) -> tuple[Reason, ...]:
    found = list(page.why)
    if page.mrz is not None and not valid:
        found += [reason for reason in page.mrz.reasons if reason not in found]
    if not valid:
        found += [reason for reason in (*page.quality.reasons, *page.advice) if reason not in found]
    return tuple(found)

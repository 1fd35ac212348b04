"""The verdict on a slip as somebody holds it: its signature, and whether what is printed is what was signed.

`edged.slip.verifying` judges the code; here the paper around it is looked at, and only ever makes a verdict worse: a
genuine code on a paper that says something else is an altered slip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from edged.errors import OutputError
from edged.slip import content
from edged.slip.comparing import Compared, compare, normal
from edged.slip.faces import installed
from edged.slip.layout import A6
from edged.slip.looking import Look, Looked, look
from edged.slip.wrapping import wrapped
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edged.slip.facts import SlipFacts
    from edged.slip.finding import Found
    from edged.slip.verifying import Verification

Seen = Literal["same", "differs", "unsure", "missing", "not_signed", "not_looked"]

_OF_PRINT: Final[dict[str, Seen]] = {
    "same": "same", "differs": "differs", "missing": "missing", "not_signed": "not_signed",
}  # fmt: skip
_OF_LOOK: Final[dict[Look, Seen]] = {Look.SAME: "same", Look.DIFFERS: "differs", Look.UNSURE: "unsure"}


class PaperLine(msgspec.Struct, frozen=True):
    """One line as signed, and what the paper shows in its place; `key` None: on the paper, and not signed."""

    key: str | None
    signed: tuple[tuple[str, str], tuple[str, str]]
    """Caption and value, (zh-CN, en) each."""
    seen: Seen
    printed: str = ""


class Judged(NamedTuple):
    """What is to be told.

    Attributes:
        verification: with what the paper adds to it.
        lines: signed and printed side by side.
        media: the paper that the slip seems to be drawn for (`layout.MEDIA`), where it was looked at.
    """

    verification: Verification
    lines: tuple[PaperLine, ...]
    media: str | None


def judge(
    verification: Verification,
    *,
    printed: Sequence[str] | None = None,
    picture: NDArray[np.uint8] | None = None,
    code: Found | None = None,
) -> Judged:
    """Add what the paper says: the text of a PDF, the look of a picture, or both. Raises nothing of its own."""
    facts = verification.facts
    if facts is None or not verification.signed:
        return Judged(verification, _unseen(verification), None)
    lines, media = _unseen(verification), None
    if picture is not None and code is not None:
        verification, looked = _looked(verification, facts, picture, code)
        media = looked.media
        lines = tuple(
            msgspec.structs.replace(line, seen=_OF_LOOK[looked.looks.get(line.key or "", Look.UNSURE)])
            for line in lines
        )
    if printed is not None and (words := without_watermark(printed, content.watermark(facts))):
        compared = compare(words, verification.lines)
        if any(one.outcome != "same" for one in compared):
            verification = _altered(verification, Reason("slip_command.text_differs"))
        lines = _side_by_side(compared, lines, looked=picture is not None)
    return Judged(verification, lines, media)


def noted(judged: Judged, reason: Reason) -> Judged:
    """The same, with one thing more to know."""
    return judged._replace(verification=_with(judged.verification, reason))


def without_watermark(printed: Sequence[str], watermark: str) -> tuple[str, ...]:
    """The text of a PDF without the lines that are the watermark's and nothing else."""
    try:
        faces, width = installed(), A6.width - 2 * A6.margin
        parts = wrapped(watermark, width, lambda one: faces.width(one) * A6.sizes["mark"])
    except OutputError:
        parts = [watermark]
    pieces = [piece for piece in map(normal, parts) if piece]
    kept = []
    for line in printed:
        rest = normal(line)
        for piece in pieces:
            rest = rest.replace(piece, "")
        if rest:
            kept.append(line)
    return tuple(kept)


def _looked(
    verification: Verification, facts: SlipFacts, picture: NDArray[np.uint8], code: Found
) -> tuple[Verification, Looked]:
    try:
        seen = look(picture, code, verification.lines, content.watermark(facts), installed())
    except OutputError as error:
        nothing = Looked(None, {line.key: Look.UNSURE for line in verification.lines})
        return _with(verification, Reason("slip_command.not_looked", {"reason": error.code})), nothing
    if seen.differing:
        return _altered(verification, Reason("slip_command.looks_different")), seen
    if seen.media is None:
        return _with(verification, Reason("slip_command.not_our_drawing")), seen
    if Look.UNSURE in seen.looks.values():
        return _with(verification, Reason("slip_command.look_yourself")), seen
    return verification, seen


def _altered(verification: Verification, reason: Reason) -> Verification:
    """The code is the fleet's; the paper isn't. What spoke against the code as well is still said."""
    others = () if verification.verdict == "genuine" else verification.reasons
    return msgspec.structs.replace(verification, verdict="altered", reasons=(reason, *others))


def _with(verification: Verification, reason: Reason) -> Verification:
    return msgspec.structs.replace(verification, reasons=(*verification.reasons, reason))


def _unseen(verification: Verification) -> tuple[PaperLine, ...]:
    return tuple(PaperLine(line.key, (line.caption, line.value), "not_looked") for line in verification.lines)


def _side_by_side(
    compared: Sequence[Compared], lines: Sequence[PaperLine], *, looked: bool
) -> tuple[PaperLine, ...]:
    """In the order of the paper; a line whose text is right and that doesn't look so is told by its look.

    Text may be in a file and not on its page: unseen, in white, below a picture.
    """
    by_key = {line.key: line for line in lines}
    told = []
    for one in compared:
        line = by_key.get(one.key, PaperLine(None, (("", ""), ("", "")), "not_signed"))
        if one.outcome == "same" and (looked or line.seen == "differs"):
            told.append(line)
        else:
            told.append(msgspec.structs.replace(line, seen=_OF_PRINT[one.outcome], printed=one.printed))
    return tuple(told)

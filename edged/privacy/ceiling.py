"""The ceiling over every policy, compiled in: what may become of each claim, whoever signed the policy.

Direct identifiers never leave the box in clear. `CEILING` has each claim's strongest action, `FORMS` what it may be
generalised to, the form that tells most first; `Kept` bounds what a mask may leave.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Action(StrEnum):
    """What becomes of a claim on its way to an audience."""

    DROP = "drop"
    KEEP = "keep"
    MASK = "mask"
    GENERALISE = "generalise"
    PSEUDONYMISE = "pseudonymise"


CEILING: Final[Mapping[str, Action | None]] = MappingProxyType(
    {
        "issuing_state": Action.KEEP,
        "document_code": Action.KEEP,
        "nationality": Action.KEEP,
        "sex": Action.KEEP,
        "age_over_18": Action.KEEP,
        "birth_date": Action.GENERALISE,
        "expiry_date": Action.GENERALISE,
        "surname": Action.MASK,
        "given_names": Action.MASK,
        "chinese_name": Action.MASK,
        "document_number": Action.MASK,
        "optional_data": None,
        "document": Action.PSEUDONYMISE,
        "holder": Action.PSEUDONYMISE,
    }
)
"""Every claim, and the strongest action beside `drop` that it may have; None: dropped always.

Optional data is where many states print a personal number (ICAO Doc 9303-4 §4.2.2), in forms no mask fits.
"""

FORMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "birth_date": ("year", "decade", "age_band"),
        "expiry_date": ("month", "quarter", "year", "validity_band"),
        "nationality": ("region",),
        "issuing_state": ("region",),
    }
)
"""What a claim may be generalised to; the first is what `generalise` alone means, and the strongest."""


class Kept:
    """Bounds of masks: characters that may stay.

    Attributes:
        START: at the beginning of a number.
        END: at its end.
        BOTH: of one number altogether; a short one keeps less (`edged.privacy.masks`).
        NAME: of a name, at its beginning.
    """

    START: Final = 2
    END: Final = 4
    BOTH: Final = 4
    NAME: Final = 1


NAMES: Final = ("surname", "given_names", "chinese_name")
"""Claims that are masked as names: what is left of them never tells their length."""


def allowed(claim: str) -> tuple[Action, ...]:
    """The actions that a policy may give to a claim of `CEILING`, `drop` first."""
    strongest = CEILING[claim]
    weaker = (Action.GENERALISE,) if claim in FORMS and strongest is not Action.GENERALISE else ()
    return (Action.DROP, *(() if strongest is None else (strongest,)), *weaker)
